/*
 * fn_credentials: base64 of strings and the header value of basic authentication (spec
 * traffic-policy 5.1 and 5.2).
 */
#include "base/utf8.h"
#include "policy/cel/fn_encoders.h"
#include "policy/cel/fn_policy.h"
#include "policy/cel/text.h"

static struct cel_value encode_base64(struct cel_run *run, const struct cel_value *args,
                                      size_t count)
{
    (void)count;
    return cel_base64_encode(run, cel_str(args[0]));
}

static struct cel_value decode_base64(struct cel_run *run, const struct cel_value *args,
                                      size_t count)
{
    struct cel_value bytes = cel_base64_decode(run, cel_str(args[0]));

    (void)count;
    if (cel_is_error(bytes))
        return bytes;
    if (!utf8_is_valid(cel_str(bytes)))
        return cel_error(run, "the base64 text stands for bytes that are not UTF-8");
    return cel_string(cel_str(bytes));
}

static struct cel_value encode_basic_auth(struct cel_run *run, const struct cel_value *args,
                                          size_t count)
{
    struct cel_text text;
    struct cel_value pair;

    (void)count;
    cel_text_init(&text, run);
    cel_text_add(&text, cel_str(args[0]));
    cel_text_add_char(&text, ':');
    cel_text_add(&text, cel_str(args[1]));
    pair = cel_text_done(&text);
    if (!cel_is_error(pair))
        pair = cel_base64_encode(run, cel_str(pair));
    if (cel_is_error(pair))
        return pair;
    cel_text_init(&text, run);
    cel_text_add(&text, STR("Basic "));
    cel_text_add(&text, cel_str(pair));
    return cel_text_done(&text);
}

static const struct cel_fn_row rows[] = {
    { "string.encodeBase64() -> string", encode_base64, CEL_FN_PURE },
    { "string.decodeBase64() -> string", decode_base64, CEL_FN_PURE },
    { "basic_auth.encode(string, string) -> string", encode_basic_auth, CEL_FN_PURE },
};

const struct cel_library cel_credentials_library = { rows, sizeof(rows) / sizeof(rows[0]) };
