/* The texts of --help, made from the tables. */
#include "tunnel/api/command_int.h"

static void add_groups(struct buf *out)
{
    const struct api_resource *r;

    buf_add_str(out,
                STR("api GROUP VERB [ID] [--FIELD VALUE]...: what the management API can do\n\n"
                    "Groups:\n\n"));
    for (size_t i = 0; (r = api_resource_group_at(i)) != NULL; i++)
        buf_add_fmt(out, "  %-28s %s\n", r->command, r->text != NULL ? r->text : "");
    buf_add_str(
        out,
        STR("  self                         who you are\n\n"
            "'api GROUP --help' lists the verbs of a group, 'api GROUP VERB --help' the options.\n"
            "A value may have several words; it ends where a word begins with '--'. Values that\n"
            "are long or secret come over standard input, as '-':\n\n"
            "  ssh v2@GATEWAY api endpoints create --url https://x.example.com \\\n"
            "      --traffic-policy - < policy.yml\n"
            "  ssh v2@GATEWAY api vaults list --all --output jsonl\n\n"
            "Shorter words: ls (what is online), kill ID (ends a session), whoami.\n"
            "Exit status: 0 done, 1 refused, 2 not understood, 3 this key may not.\n"));
}

/* What stands before the options of a verb. */
static const char *word_of(const struct api_resource *r, const struct api_command_verb *v)
{
    bool has_word = r->nesting != NULL ? v->can == API_CAN_LIST : v->has_id;

    return has_word ? "ID" : "";
}

static void add_verbs(const struct api_resource *r, struct buf *out)
{
    buf_add_fmt(out, "api %s: %s\n\nVerbs:\n\n", r->command, r->text != NULL ? r->text : "");
    for (size_t i = 0; i < API_COMMAND_VERBS; i++) {
        const struct api_command_verb *v = &api_command_verbs[i];

        if ((v->can & r->verbs) != 0)
            buf_add_fmt(out, "  %-6s %-4s %s\n", v->name, word_of(r, v), v->text);
    }
    for (size_t i = 0; i < r->action_count; i++) {
        const struct api_action *a = &r->actions[i];

        if (a->command != NULL)
            buf_add_fmt(out, "  %s ID  %s\n", a->command, a->text != NULL ? a->text : "");
    }
}

static void add_option(const char *name, const char *text, bool is_input, void *arg)
{
    struct buf *out = arg;

    buf_add_fmt(out, "  --%-24s  %s%s\n", name, text != NULL ? text : "",
                is_input ? "; -: standard input" : "");
}

void api_command_help(const struct api_command *c, struct buf *out)
{
    if (c->resource == NULL) {
        add_groups(out);
        return;
    }
    if (c->verb == NULL && c->action == NULL) {
        add_verbs(c->resource, out);
        return;
    }
    api_command_add_name(c, out);
    buf_add_fmt(out, "%s [OPTIONS]\n\nOptions:\n\n", api_command_has_word(c) ? " ID" : "");
    api_command_each_option(c, add_option, out);
}
