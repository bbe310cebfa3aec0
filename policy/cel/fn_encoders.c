#include "policy/cel/fn_encoders.h"

#include "base/base64.h"
#include "policy/cel/fn.h"

struct cel_value cel_base64_encode(struct cel_run *run, struct str bytes)
{
    size_t n = base64_text_bytes(bytes.n);
    char *text = cel_text_alloc(run, n);

    if (text == NULL)
        return cel_spent(run);
    base64_encode(bytes, text);
    return cel_string(str_of(text, n));
}

struct cel_value cel_base64_decode(struct cel_run *run, struct str text)
{
    size_t room = base64_max_bytes(text.n + 3);
    char *bytes = cel_text_alloc(run, room);
    size_t n;

    if (bytes == NULL)
        return cel_spent(run);
    if (base64_decode_bare(text, bytes, room, &n) == -1)
        return cel_error(run, "the text is not base64");
    return cel_bytes(str_of(bytes, n));
}

static struct cel_value encode(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return cel_base64_encode(run, cel_str(args[0]));
}

static struct cel_value decode(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return cel_base64_decode(run, cel_str(args[0]));
}

static const struct cel_fn_row rows[] = {
    { "base64.encode(bytes) -> string", encode, CEL_FN_PURE },
    { "base64.decode(string) -> bytes", decode, CEL_FN_PURE },
};

const struct cel_library cel_encoders_library = { rows, sizeof(rows) / sizeof(rows[0]) };
