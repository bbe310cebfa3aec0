#include "gateway/error_page.h"

#include "base/buf.h"
#include "base/json_text.h"

enum { PAGE_MAX_BYTES = 16 * 1024 }; /* some 3 KiB, and a message of which each byte is escaped */

/* What a page says. */
struct page {
    unsigned status;
    unsigned number;    /* 0: it has none, and none is shown */
    struct str message; /* printable ASCII */
};

typedef void page_write_fn(struct buf *out, const struct page *p);

/* ---- plain text ---- */

static void write_text(struct buf *out, const struct page *p)
{
    if (p->number != 0)
        buf_add_fmt(out, "ERR_SALLYPORT_%u\n", p->number);
    buf_add_fmt(out, "%.*s\n", STR_ARG(p->message));
}

/* ---- JSON ---- */

static void write_json(struct buf *out, const struct page *p)
{
    buf_add_char(out, '{');
    if (p->number != 0)
        buf_add_fmt(out, "\"error_code\":\"ERR_SALLYPORT_%u\",", p->number);
    buf_add_fmt(out, "\"status_code\":%u,\"msg\":", p->status);
    json_text_string(out, p->message, PAGE_MAX_BYTES);
    buf_add_str(out, STR("}\n"));
}

/* ---- HTML ---- */

static void add_html_char(struct buf *out, char c)
{
    switch (c) {
    case '&':
        buf_add_str(out, STR("&amp;"));
        break;
    case '<':
        buf_add_str(out, STR("&lt;"));
        break;
    case '>':
        buf_add_str(out, STR("&gt;"));
        break;
    case '"':
        buf_add_str(out, STR("&quot;"));
        break;
    case '\'':
        buf_add_str(out, STR("&#39;"));
        break;
    default:
        buf_add_char(out, c);
    }
}

/* One file without scripts, fonts or images: it must show when nothing else can be reached. */
static const char html_head[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"robots\" content=\"noindex\">\n"
    "<title>%u %s</title>\n"
    "<style>\n"
    ":root { color-scheme: light dark; }\n"
    "body { margin: 0; min-height: 100vh; display: grid; place-items: center;\n"
    "  font: 1rem/1.5 system-ui, sans-serif; background: Canvas; color: CanvasText; }\n"
    "main { max-width: 36rem; padding: 2rem; }\n"
    "h1 { margin: 0 0 .5rem; font-size: 1.75rem; }\n"
    "p { margin: 0 0 1rem; overflow-wrap: anywhere; }\n"
    "code { font: .875rem ui-monospace, monospace; opacity: .7; }\n"
    "</style>\n"
    "</head>\n"
    "<body>\n"
    "<main>\n"
    "<h1>%u %s</h1>\n"
    "<p>";

static void write_html(struct buf *out, const struct page *p)
{
    const char *reason = http_reason(p->status);

    buf_add_fmt(out, html_head, p->status, reason, p->status, reason);
    for (size_t i = 0; i < p->message.n; i++)
        add_html_char(out, p->message.p[i]);
    buf_add_str(out, STR("</p>\n"));
    if (p->number != 0)
        buf_add_fmt(out, "<code>ERR_SALLYPORT_%u</code>\n", p->number);
    buf_add_str(out, STR("</main>\n</body>\n</html>\n"));
}

/* ---- which one ---- */

struct page_form {
    struct str content_type;
    page_write_fn *write;
};

static const struct page_form text_form = { STR_INIT("text/plain; charset=utf-8"), write_text };
static const struct page_form json_form = { STR_INIT("application/json"), write_json };
static const struct page_form html_form = { STR_INIT("text/html; charset=utf-8"), write_html };

/* True if the parameters of a media range give it the weight 0: "not this one". */
static bool is_unwanted(struct str params)
{
    struct str param;

    while (str_next(&params, ';', &param)) {
        param = str_trim_ows(param);
        if (!str_starts_nocase(param, STR("q=0")))
            continue;
        for (param = str_skip(param, 3); param.n > 0; param = str_skip(param, 1)) {
            if (param.p[0] != '.' && param.p[0] != '0')
                return false;
        }
        return true;
    }
    return false;
}

/* JSON when the visitor names it first, HTML when it is named at all, else text (spec 8.1). */
static const struct page_form *choose_form(struct str accept)
{
    const struct page_form *form = &text_form;
    struct str range;
    bool first = true;

    while (str_next(&accept, ',', &range)) {
        size_t end = str_find_char(range, ';');
        struct str type = str_trim_ows(str_slice(range, 0, end));

        if (type.n == 0 || is_unwanted(str_skip(range, end)))
            continue;
        if (first && str_eq_nocase(type, STR("application/json")))
            return &json_form;
        if (str_eq_nocase(type, STR("text/html")))
            form = &html_form;
        first = false;
    }
    return form;
}

/*
 * The message with "?" for all but printable ASCII: it may quote what a peer sent, and may have
 * been cut within a character.
 */
static struct str printable(struct str message, struct arena *a)
{
    char *p = arena_alloc(a, message.n);

    for (size_t i = 0; i < message.n; i++)
        p[i] = message.p[i] >= 0x20 && message.p[i] < 0x7f ? message.p[i] : '?';
    return str_of(p, message.n);
}

static void add_headers(struct error_page *out, const struct page *p, struct str content_type,
                        bool ngrok_header, struct arena *a)
{
    http_headers_add(&out->headers, a, STR("content-type"), content_type);
    http_headers_add(&out->headers, a, STR("cache-control"), STR("no-store"));
    if (p->number != 0)
        http_headers_add(&out->headers, a, STR("Sallyport-Error-Code"),
                         arena_fmt(a, "ERR_SALLYPORT_%u", p->number));
    if (p->number != 0 && ngrok_header)
        http_headers_add(&out->headers, a, STR("Ngrok-Error-Code"),
                         arena_fmt(a, "ERR_NGROK_%u", p->number));
    if (p->status == 405) /* RFC 9110 section 15.5.6 asks for it; only CONNECT is refused */
        http_headers_add(&out->headers, a, STR("allow"),
                         STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE"));
}

void error_page_make(const struct err *e, struct str accept, bool ngrok_header, struct arena *a,
                     struct error_page *out)
{
    const struct page_form *form = choose_form(accept);
    bool has_status = err_status(e->code) != 0;
    enum err_code code = has_status ? e->code : E_GATEWAY;
    struct page p = { .status = err_status(code), .number = err_number(code) };
    struct buf body;

    /* A message without status was never meant for a visitor: it may speak of files. */
    p.message = printable(str_from(has_status && e->msg[0] != '\0' ? e->msg : err_text(code)), a);
    buf_init(&body, PAGE_MAX_BYTES);
    form->write(&body, &p);
    *out = (struct error_page){ .status = p.status, .body = arena_str(a, buf_str(&body)) };
    buf_fini(&body);
    add_headers(out, &p, form->content_type, ngrok_header, a);
}
