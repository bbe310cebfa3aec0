/*
 * Unit tests of policy/user_agent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/user_agent.h"

struct ua_case {
    const char *value;
    const char *name;
    const char *version;
    const char *os;
    const char *os_version;
    const char *device;
    const char *kinds; /* of "mobile tablet desktop bot" the first letters */
    const char *url;   /* NULL: none */
};

static void assert_part(const char *value, const char *part, struct str got, const char *want)
{
    if (!str_eq(got, str_from(want)))
        fail_msg("%s of %s is \"%.*s\", not \"%s\"", part, value, STR_ARG(got), want);
}

static void assert_kind(const struct ua_case *c, char letter, bool got)
{
    if (got != (strchr(c->kinds, letter) != NULL))
        fail_msg("kind %c of %s is %d", letter, c->value, got);
}

static void check(const struct ua_case *c)
{
    struct user_agent ua;

    user_agent_parse(str_from(c->value), &ua);
    assert_part(c->value, "name", ua.name, c->name);
    assert_part(c->value, "version", ua.version, c->version);
    assert_part(c->value, "os", ua.os, c->os);
    assert_part(c->value, "os_version", ua.os_version, c->os_version);
    assert_part(c->value, "device", ua.device, c->device);
    assert_part(c->value, "url", ua.url, c->url);
    assert_kind(c, 'm', ua.is_mobile);
    assert_kind(c, 't', ua.is_tablet);
    assert_kind(c, 'd', ua.is_desktop);
    assert_kind(c, 'b', ua.is_bot);
}

/* clang-format off */
#define WEBKIT "AppleWebKit/537.36 (KHTML, like Gecko)"

static const struct ua_case browsers[] = {
    { "Mozilla/5.0 (Windows NT 10.0; Win64; x64) " WEBKIT " Chrome/120.0.0.0 Safari/537.36",
      "Chrome", "120.0.0.0", "Windows", "10.0", "", "d", NULL },
    { "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) " WEBKIT " Chrome/119.0.6045.159 Safari/537.36",
      "Chrome", "119.0.6045.159", "macOS", "10.15.7", "", "d", NULL },
    { "Mozilla/5.0 (X11; Linux x86_64) " WEBKIT " Chrome/118.0.0.0 Safari/537.36",
      "Chrome", "118.0.0.0", "Linux", "", "", "d", NULL },
    { "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) " WEBKIT " Chrome/119.0.0.0 Safari/537.36",
      "Chrome", "119.0.0.0", "ChromeOS", "14541.0.0", "", "d", NULL },
    { "Mozilla/5.0 (X11; CrOS aarch64 15633.69.0) " WEBKIT " Chrome/119.0.6045.212 Safari/537.36",
      "Chrome", "119.0.6045.212", "ChromeOS", "15633.69.0", "", "d", NULL },
    { "Mozilla/5.0 (Linux; Android 10; K) " WEBKIT " Chrome/120.0.0.0 Mobile Safari/537.36",
      "Chrome", "120.0.0.0", "Android", "10", "", "m", NULL },
    { "Mozilla/5.0 (Linux; Android 13; Pixel 7 Pro) " WEBKIT " Chrome/114.0.5735.196 Mobile Safari/537.36",
      "Chrome", "114.0.5735.196", "Android", "13", "Pixel 7 Pro", "m", NULL },
    { "Mozilla/5.0 (Linux; Android 12; SM-X906C Build/QP1A.190711.020; wv) " WEBKIT " Version/4.0 Chrome/80.0.3987.119 Safari/537.36",
      "Chrome", "80.0.3987.119", "Android", "12", "SM-X906C", "t", NULL },
    { "Mozilla/5.0 (Linux; Android 9; moto g(7) power) " WEBKIT " Chrome/87.0.4280.101 Mobile Safari/537.36",
      "Chrome", "87.0.4280.101", "Android", "9", "moto g(7) power", "m", NULL },
    { "Mozilla/5.0 (Linux; Android 11; motorola edge plus) " WEBKIT " Chrome/96.0.4664.45 Mobile Safari/537.36",
      "Chrome", "96.0.4664.45", "Android", "11", "motorola edge plus", "m", NULL },
    { "Mozilla/5.0 (Linux; Android 8.1.0; CUBOT_P20) " WEBKIT " Chrome/88.0.4324.93 Mobile Safari/537.36",
      "Chrome", "88.0.4324.93", "Android", "8.1.0", "CUBOT_P20", "m", NULL },
    { "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/120.0.6099.50 Mobile/15E148 Safari/604.1",
      "Chrome", "120.0.6099.50", "iOS", "17.1", "iPhone", "m", NULL },
    { "Mozilla/5.0 (X11; Linux x86_64) " WEBKIT " Ubuntu Chromium/37.0.2062.94 Chrome/37.0.2062.94 Safari/537.36",
      "Chromium", "37.0.2062.94", "Linux", "", "", "d", NULL },
    { "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_12_6) AppleWebKit/603.3.8 (KHTML, like Gecko) Version/10.1.2 Safari/603.3.8",
      "Safari", "10.1.2", "macOS", "10.12.6", "", "d", NULL },
    { "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1.2 Mobile/15E148 Safari/604.1",
      "Safari", "17.1.2", "iOS", "17.1.2", "iPhone", "m", NULL },
    { "Mozilla/5.0 (iPad; CPU OS 15_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.6.1 Mobile/15E148 Safari/604.1",
      "Safari", "15.6.1", "iOS", "15.6.1", "iPad", "t", NULL },
    { "Mozilla/5.0 (iPod touch; CPU iPhone OS 12_5_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1.2 Mobile/15E148 Safari/604.1",
      "Safari", "12.1.2", "iOS", "12.5.7", "iPod", "m", NULL },
    { "Mozilla/5.0 (Linux; U; Android 4.0.3; ko-kr; LG-L160L Build/IML74K) AppleWebkit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30",
      "Android Browser", "4.0", "Android", "4.0.3", "LG-L160L", "m", NULL },
    { "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:109.0) Gecko/20100101 Firefox/121.0",
      "Firefox", "121.0", "Windows", "10.0", "", "d", NULL },
    { "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/119.0",
      "Firefox", "119.0", "Linux", "", "", "d", NULL },
    { "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:120.0) Gecko/20100101 Firefox/120.0",
      "Firefox", "120.0", "macOS", "10.15", "", "d", NULL },
    { "Mozilla/5.0 (Android 13; Mobile; rv:109.0) Gecko/119.0 Firefox/119.0",
      "Firefox", "119.0", "Android", "13", "", "m", NULL },
    { "Mozilla/5.0 (Android 12; Tablet; rv:109.0) Gecko/115.0 Firefox/115.0",
      "Firefox", "115.0", "Android", "12", "", "t", NULL },
    { "Mozilla/5.0 (iPad; CPU OS 16_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/120.0 Mobile/15E148 Safari/605.1.15",
      "Firefox", "120.0", "iOS", "16.3", "iPad", "t", NULL },
    { "Mozilla/5.0 (X11; FreeBSD amd64; rv:102.0) Gecko/20100101 Firefox/102.0",
      "Firefox", "102.0", "FreeBSD", "", "", "d", NULL },
    { "Mozilla/5.0 (Windows NT 10.0; Win64; x64) " WEBKIT " Chrome/120.0.0.0 Safari/537.36 Edg/120.0.2210.61",
      "Edge", "120.0.2210.61", "Windows", "10.0", "", "d", NULL },
    { "Mozilla/5.0 (Windows NT 10.0; Win64; x64) " WEBKIT " Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763",
      "Edge", "18.17763", "Windows", "10.0", "", "d", NULL },
    { "Mozilla/5.0 (Linux; Android 10; HD1913) " WEBKIT " Chrome/119.0.6045.193 Mobile Safari/537.36 EdgA/119.0.2151.92",
      "Edge", "119.0.2151.92", "Android", "10", "HD1913", "m", NULL },
    { "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 EdgiOS/119.0.2151.105 Mobile/15E148 Safari/605.1.15",
      "Edge", "119.0.2151.105", "iOS", "17.1.2", "iPhone", "m", NULL },
    { "Mozilla/5.0 (Windows NT 10.0; Win64; x64) " WEBKIT " Chrome/119.0.0.0 Safari/537.36 OPR/105.0.0.0",
      "Opera", "105.0.0.0", "Windows", "10.0", "", "d", NULL },
    { "Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18",
      "Opera", "12.18", "Windows", "6.1", "", "d", NULL },
    { "Opera/9.80 (J2ME/MIDP; Opera Mini/7.1.32052/29.3709; U; en) Presto/2.8.119 Version/11.10",
      "Opera Mini", "7.1.32052", "", "", "", "m", NULL },
    { "Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-S918B) " WEBKIT " SamsungBrowser/23.0 Chrome/115.0.0.0 Mobile Safari/537.36",
      "Samsung Internet", "23.0", "Android", "13", "SAMSUNG SM-S918B", "m", NULL },
    { "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
      "Internet Explorer", "11.0", "Windows", "10.0", "", "d", NULL },
    { "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)",
      "Internet Explorer", "10.0", "Windows", "6.2", "", "d", NULL },
    { "Mozilla/4.0 (compatible; MSIE 6.0; Windows 98)",
      "Internet Explorer", "6.0", "Windows", "98", "", "d", NULL },
    { "Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) " WEBKIT " Chrome/52.0.2743.116 Mobile Safari/537.36 Edge/15.15254",
      "Edge", "15.15254", "Windows Phone", "10.0", "", "m", NULL },
    { "Mozilla/5.0 (compatible; MSIE 9.0; Windows Phone OS 7.5; Trident/5.0; IEMobile/9.0; NOKIA; Lumia 710)",
      "Internet Explorer", "9.0", "Windows Phone", "7.5", "", "m", NULL },
    { "Mozilla/5.0 (Windows NT 10.0; Win64; x64) " WEBKIT " Chrome/118.0.0.0 YaBrowser/23.11.0 Yowser/2.5 Safari/537.36",
      "Yandex Browser", "23.11.0", "Windows", "10.0", "", "d", NULL },
    { "Mozilla/5.0 (X11; Linux x86_64) " WEBKIT " Chrome/118.0.0.0 Safari/537.36 Vivaldi/6.4.3160.47",
      "Vivaldi", "6.4.3160.47", "Linux", "", "", "d", NULL },
    { "Mozilla/5.0 (Linux; Android 9; KFTRWI) " WEBKIT " Silk/118.3.1 like Chrome/118.0.5993.155 Safari/537.36",
      "Silk", "118.3.1", "Android", "9", "KFTRWI", "t", NULL },
    { "Mozilla/5.0 (Linux; Android 9; BRAVIA 4K VH2 Build/PTT1; Android TV) " WEBKIT " Chrome/88.0.4324.93 Safari/537.36",
      "Chrome", "88.0.4324.93", "Android", "9", "BRAVIA 4K VH2", "", NULL },
    { "Mozilla/5.0 (iPhone; CPU iPhone OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/20G75 [FBAN/FBIOS;FBAV/428.0.0.26.113;FBBV/505060606;FBDV/iPhone12,1]",
      "Facebook", "428.0.0.26.113", "iOS", "16.6", "iPhone", "m", NULL },
    { "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 302.0.0.23.113 (iPhone13,2; iOS 17_0; en_US)",
      "Instagram", "302.0.0.23.113", "iOS", "17.0", "iPhone", "m", NULL },
};

static const struct ua_case tools[] = {
    { "curl/8.5.0", "curl", "8.5.0", "", "", "", "", NULL },
    { "Wget/1.21.3", "Wget", "1.21.3", "", "", "", "", NULL },
    { "Go-http-client/1.1", "Go-http-client", "1.1", "", "", "", "", NULL },
    { "python-requests/2.31.0", "python-requests", "2.31.0", "", "", "", "", NULL },
    { "Python/3.11 aiohttp/3.9.1", "aiohttp", "3.9.1", "", "", "", "", NULL },
    { "Python-urllib/3.10", "Python-urllib", "3.10", "", "", "", "", NULL },
    { "okhttp/4.12.0", "okhttp", "4.12.0", "", "", "", "", NULL },
    { "axios/1.6.2", "axios", "1.6.2", "", "", "", "", NULL },
    { "PostmanRuntime/7.35.0", "PostmanRuntime", "7.35.0", "", "", "", "", NULL },
    { "Apache-HttpClient/4.5.14 (Java/17.0.9)", "Apache-HttpClient", "4.5.14", "", "", "", "", NULL },
    { "Dalvik/2.1.0 (Linux; U; Android 13; SM-G991B Build/TP1A.220624.014)",
      "Dalvik", "2.1.0", "Android", "13", "SM-G991B", "m", NULL },
    { "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.22621.2506",
      "WindowsPowerShell", "5.1.22621.2506", "Windows", "10.0", "", "d", NULL },
    { "MyApp/1.0 (iPhone; iOS 16.0; Scale/3.00)", "MyApp", "1.0", "iOS", "16.0", "iPhone", "m", NULL },
    { "GitHub-Hookshot/044aadd", "GitHub-Hookshot", "044aadd", "", "", "", "", NULL },
    { "kube-probe/1.28", "kube-probe", "1.28", "", "", "", "", NULL },
    { "node", "node", "", "", "", "", "", NULL },
    { "Mozilla/5.0", "Mozilla", "5.0", "", "", "", "", NULL },
    { "", "", "", "", "", "", "", NULL },
};

static const struct ua_case bots[] = {
    { "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
      "Googlebot", "2.1", "", "", "", "b", "http://www.google.com/bot.html" },
    { "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) " WEBKIT " Chrome/119.0.6045.199 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
      "Googlebot", "2.1", "Android", "6.0.1", "Nexus 5X", "mb", "http://www.google.com/bot.html" },
    { "Googlebot-Image/1.0", "Googlebot-Image", "1.0", "", "", "", "b", NULL },
    { "AdsBot-Google (+http://www.google.com/adsbot.html)",
      "AdsBot-Google", "", "", "", "", "b", "http://www.google.com/adsbot.html" },
    { "Mozilla/5.0 " WEBKIT " Chrome/116.0.1938.76 Safari/537.36 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
      "bingbot", "2.0", "", "", "", "b", "http://www.bing.com/bingbot.htm" },
    { "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
      "GPTBot", "1.2", "", "", "", "b", "https://openai.com/gptbot" },
    { "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ChatGPT-User/1.0; +https://openai.com/bot)",
      "ChatGPT-User", "1.0", "", "", "", "b", "https://openai.com/bot" },
    { "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) " WEBKIT " Chrome/131.0.0.0 Safari/537.36; compatible; OAI-SearchBot/1.0; +https://openai.com/searchbot",
      "OAI-SearchBot", "1.0", "macOS", "10.15.7", "", "db", "https://openai.com/searchbot" },
    { "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
      "ClaudeBot", "1.0", "", "", "", "b", NULL },
    { "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)",
      "PerplexityBot", "1.0", "", "", "", "b", "https://perplexity.ai/perplexitybot" },
    { "Mozilla/5.0 (Linux; Android 5.0) " WEBKIT " Mobile Safari/537.36 (compatible; Bytespider; spider-feedback@bytedance.com)",
      "Bytespider", "", "Android", "5.0", "", "mb", NULL },
    { "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
      "AhrefsBot", "7.0", "", "", "", "b", "http://ahrefs.com/robot/" },
    { "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)",
      "Applebot", "0.1", "macOS", "10.15.5", "", "db", "http://www.apple.com/go/applebot" },
    { "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
      "Yahoo! Slurp", "", "", "", "", "b", "http://help.yahoo.com/help/us/ysearch/slurp" },
    { "DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)",
      "DuckDuckBot", "1.1", "", "", "", "b", "http://duckduckgo.com/duckduckbot.html" },
    { "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
      "YandexBot", "3.0", "", "", "", "b", "http://yandex.com/bots" },
    { "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
      "Baiduspider", "2.0", "", "", "", "b", "http://www.baidu.com/search/spider.html" },
    { "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
      "facebookexternalhit", "1.1", "", "", "", "b", "http://www.facebook.com/externalhit_uatext.php" },
    { "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
      "meta-externalagent", "1.1", "", "", "", "b", "https://developers.facebook.com/docs/sharing/webmasters/crawler" },
    { "Twitterbot/1.0", "Twitterbot", "1.0", "", "", "", "b", NULL },
    { "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
      "LinkedInBot", "1.0", "", "", "", "b", "http://www.linkedin.com" },
    { "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
      "Slackbot-LinkExpanding", "1.0", "", "", "", "b", "https://api.slack.com/robots" },
    { "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
      "Discordbot", "2.0", "", "", "", "b", "https://discordapp.com" },
    { "TelegramBot (like TwitterBot)", "TelegramBot", "", "", "", "", "b", NULL },
    { "WhatsApp/2.23.20.0 A", "WhatsApp", "2.23.20.0", "", "", "", "b", NULL },
    { "CCBot/2.0 (https://commoncrawl.org/faq/)", "CCBot", "2.0", "", "", "", "b", "https://commoncrawl.org/faq/" },
    { "Mozilla/5.0 (X11; Linux x86_64) " WEBKIT " HeadlessChrome/120.0.0.0 Safari/537.36",
      "HeadlessChrome", "120.0.0.0", "Linux", "", "", "db", NULL },
    { "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
      "UptimeRobot", "2.0", "", "", "", "b", "http://www.uptimerobot.com/" },
    /* Not in the table. */
    { "SomeCrawler/3.1 (Linux)", "SomeCrawler", "3.1", "Linux", "", "", "db", NULL },
    { "Mozilla/5.0 (compatible; Example-Spider/0.9)", "Example-Spider", "0.9", "", "", "", "b", NULL },
    { "Mozilla/5.0 (compatible; Inspector/1.4; +https://example.com/inspector)",
      "Inspector", "1.4", "", "", "", "b", "https://example.com/inspector" },
    { "Mozilla/5.0 (compatible; Inspector; +https://example.com/robots)",
      "Inspector", "", "", "", "", "b", "https://example.com/robots" },
    { "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
      "Stripe", "1.0", "", "", "", "b", "https://stripe.com/docs/webhooks" },
    { "Mozilla/5.0 (X11; Linux x86_64) " WEBKIT " Chrome/100.0.0.0 Safari/537.36 Probe/2.0 (https://example.com/p)",
      "Probe", "2.0", "Linux", "", "", "db", "https://example.com/p" },
    { "https://example.com", "", "", "", "", "", "b", "https://example.com" },
};
/* clang-format on */

static void parse_browsers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(browsers) / sizeof(browsers[0]); i++)
        check(&browsers[i]);
}

static void parse_tools(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
        check(&tools[i]);
}

static void parse_bots(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bots) / sizeof(bots[0]); i++)
        check(&bots[i]);
}

static void parse_odd_bytes_gives_ascii(void **state)
{
    static const struct str cases[] = {
        STR_INIT("\xff\xfe\x80"),
        STR_INIT("caf\xc3\xa9/1.0"),
        STR_INIT("Mozilla/5.0 (Linux; Android 10; \xe2\x98\x83) Chrome/1.0 Mobile"),
        STR_INIT("((((((((((Android ((((;;;;("),
        STR_INIT("x\0y/1\0(http://\0)"),
        STR_INIT("/////"),
        STR_INIT("Android "),
        STR_INIT("http://"),
        STR_INIT("rv:"),
        STR_INIT("Trident/"),
        STR_INIT("CPU OS 1_2_3_4_5_6_7_8_9_10_11_12_13_14_15_16_17_18_19 iPad"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct user_agent ua;
        struct str all[6];

        user_agent_parse(cases[i], &ua);
        all[0] = ua.name;
        all[1] = ua.version;
        all[2] = ua.os;
        all[3] = ua.os_version;
        all[4] = ua.device;
        all[5] = ua.url;
        for (size_t k = 0; k < 6; k++) {
            for (size_t b = 0; b < all[k].n; b++)
                assert_in_range((unsigned char)all[k].p[b], ' ', '~');
        }
    }
}

static void parse_looks_at_the_first_bytes_only(void **state)
{
    static char value[USER_AGENT_MAX_BYTES + 16];
    struct user_agent ua;

    (void)state;
    memset(value, ' ', sizeof(value));
    memcpy(value + USER_AGENT_MAX_BYTES - 8, "curl/8.5", 8);
    user_agent_parse(str_of(value, sizeof(value)), &ua);
    assert_part("cut", "version", ua.version, "8.5");
    memcpy(value + USER_AGENT_MAX_BYTES - 8, "..curl/8.5", 10);
    user_agent_parse(str_of(value, sizeof(value)), &ua);
    assert_part("cut", "version", ua.version, "8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_browsers),
        cmocka_unit_test(parse_tools),
        cmocka_unit_test(parse_bots),
        cmocka_unit_test(parse_odd_bytes_gives_ascii),
        cmocka_unit_test(parse_looks_at_the_first_bytes_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
