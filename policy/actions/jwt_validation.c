/*
 * jwt-validation: lets a request through if it carries tokens that are signed, in time and meant for
 * this endpoint (spec traffic-policy 6.11, D41).
 * Signatures are checked on the loop (policy/jwks.h has the cost); for one token at most
 * KEY_SOURCE_TRIES_MAX of them.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "policy/action.h"
#include "policy/jwt.h"
#include "policy/key_source.h"
#include "policy/result.h"
#include "policy/token_place.h"
#include "policy/target_url.h"

enum { ALLOW_MAX = 100, JKUS_MAX = 100, ALGORITHMS_MAX = 32 };

struct jwt_validation {
    struct token_places places;
    size_t issuer_count;
    struct template *issuers[ALLOW_MAX]; /* owned */
    bool has_audience;
    size_t audience_count;
    char *audiences[ALLOW_MAX]; /* owned */
    unsigned algs;              /* bits of enum jwt_alg */
    size_t jku_count;
    struct template *jkus[JKUS_MAX]; /* owned */
    bool has_jkus;                   /* the list was given, good or not */
};

/* ---- config: who may have signed, for whom ---------------------------------------------------- */

/* True if a text of the same bytes stands before it. */
static bool is_repeated(struct template *const *templates, size_t index)
{
    struct str text;
    struct str other;

    if (templates[index] == NULL || !template_is_literal(templates[index], &text))
        return false;
    for (size_t i = 0; i < index; i++) {
        if (templates[i] != NULL && template_is_literal(templates[i], &other) &&
            str_eq(text, other))
            return true;
    }
    return false;
}

/* Opens {allow_list: [{value: ...}]}; returns how many entries there are. */
static size_t open_allow_list(const struct field *f, struct field *list)
{
    static const char *const known[] = { "allow_list", NULL };
    struct fields mapping = field_fields(f);
    size_t count = 0;

    if (mapping.map == NULL)
        return 0;
    (void)fields_known(&mapping, known);
    *list = fields_need(&mapping, "allow_list");
    (void)field_list(list, 1, ALLOW_MAX, &count);
    return count;
}

static struct field allow_value(const struct field *list, size_t index)
{
    static const char *const known[] = { "value", NULL };
    struct field item = field_item(list, index);
    struct fields mapping = field_fields(&item);

    if (mapping.map == NULL)
        return (struct field){ .compiler = item.compiler, .at = item.at };
    (void)fields_known(&mapping, known);
    return fields_need(&mapping, "value");
}

/* RFC 3986 section 3.1: a scheme, and something behind it. */
static bool is_issuer_url(struct str text)
{
    size_t colon = str_find_char(text, ':');

    if (colon == 0 || colon + 1 >= text.n || !char_is_alpha(text.p[0]))
        return false;
    for (size_t i = 1; i < colon; i++) {
        char c = text.p[i];

        if (!char_is_alpha(c) && !char_is_digit(c) && c != '+' && c != '-' && c != '.')
            return false;
    }
    return true;
}

static void read_issuers(const struct fields *c, struct jwt_validation *v)
{
    struct field issuer = fields_need(c, "issuer");
    struct field list = { 0 };
    struct str literal;

    v->issuer_count = open_allow_list(&issuer, &list);
    for (size_t i = 0; i < v->issuer_count; i++) {
        struct field value = allow_value(&list, i);

        v->issuers[i] = field_template(&value);
        if (v->issuers[i] != NULL && template_is_literal(v->issuers[i], &literal) &&
            !is_issuer_url(literal))
            (void)field_problem(&value, E_POLICY_ISSUER_URL, "the issuer must be a URL");
        if (is_repeated(v->issuers, i))
            (void)field_problem(&value, E_POLICY_DUPLICATE, "this issuer is in the list already");
    }
}

static bool has_audience(const struct jwt_validation *v, size_t count, struct str text)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(str_from(v->audiences[i]), text))
            return true;
    }
    return false;
}

static void read_audiences(const struct fields *c, struct jwt_validation *v)
{
    struct field audience = fields_find(c, "audience");
    struct field list = { 0 };

    v->has_audience = field_is_given(&audience);
    v->audience_count = open_allow_list(&audience, &list);
    for (size_t i = 0; i < v->audience_count; i++) {
        struct field value = allow_value(&list, i);
        struct str text = STR_NONE;

        if (field_text(&value, &text) == 0 && field_is_given(&value) && text.n == 0)
            (void)field_problem(&value, E_POLICY_EMPTY, "it must not be empty");
        else if (text.n > 0 && has_audience(v, i, text))
            (void)field_problem(&value, E_POLICY_DUPLICATE, "this audience is in the list already");
        if (str_find(text, STR("${")) < text.n)
            field_warn(&value, "an audience is plain text: ${} in it is not evaluated");
        v->audiences[i] = str_dup(text);
    }
}

/* ---- config: signatures and keys --------------------------------------------------------------- */

/* Names of algorithms that no public key can check. */
static bool is_hopeless(struct str name)
{
    return str_eq_nocase(name, STR("none")) || str_starts(name, STR("HS"));
}

static void read_algorithm(const struct field *f, struct jwt_validation *v)
{
    struct str name = STR_NONE;
    unsigned alg = 0;

    if (field_text(f, &name) == -1)
        return;
    if (is_hopeless(name)) {
        (void)field_problem_hint(
            f, E_POLICY_CHOICE, "use the one that your provider signs with, often RS256",
            "'%.*s' cannot be checked with a public key", STR_ARG(str_slice(name, 0, 16)));
        return;
    }
    if (field_choice(f, jwt_alg_names, &alg) == -1)
        return;
    if ((v->algs & 1U << alg) != 0)
        (void)field_problem(f, E_POLICY_DUPLICATE, "this algorithm is in the list already");
    v->algs |= 1U << alg;
}

static void read_algorithms(const struct fields *jws, struct jwt_validation *v)
{
    struct field list = fields_need(jws, "allowed_algorithms");
    size_t count = 0;

    (void)field_list(&list, 1, ALGORITHMS_MAX, &count);
    for (size_t i = 0; i < count; i++) {
        struct field item = field_item(&list, i);

        read_algorithm(&item, v);
    }
}

static void read_jku(const struct field *f, struct jwt_validation *v)
{
    struct template **jku = &v->jkus[v->jku_count++];
    struct str literal;

    *jku = field_template(f);
    if (*jku != NULL && template_is_literal(*jku, &literal) && !target_url_is_http(literal))
        (void)field_problem_hint(f, E_POLICY_URL, "for example https://login.example.org/keys.json",
                                 "it must be the URL of a JSON Web Key Set");
    if (is_repeated(v->jkus, v->jku_count - 1))
        (void)field_problem(f, E_POLICY_DUPLICATE, "this URL is in the list already");
}

static void read_sources(const struct fields *sources, struct jwt_validation *v)
{
    static const char *const known[] = { "additional_jkus", NULL };
    struct field list = fields_find(sources, "additional_jkus");
    size_t count = 0;

    (void)fields_known(sources, known);
    v->has_jkus = v->has_jkus || field_is_given(&list);
    (void)field_list(&list, 1, JKUS_MAX - v->jku_count, &count);
    for (size_t i = 0; i < count; i++) {
        struct field item = field_item(&list, i);

        read_jku(&item, v);
    }
}

static void read_identification(const struct fields *identification, struct jwt_validation *v)
{
    static const char *const known[] = { "token_claims", NULL };
    static const char *const claims[] = { "kid", NULL };
    struct field list = fields_find(identification, "token_claims");
    unsigned only;
    size_t count = 0;

    (void)v;
    (void)fields_known(identification, known);
    (void)field_list(&list, 1, sizeof(claims) / sizeof(claims[0]) - 1, &count);
    for (size_t i = 0; i < count; i++) {
        struct field item = field_item(&list, i);

        (void)field_choice(&item, claims, &only);
    }
}

/* A mapping, or a list of them: documents have both (D41). */
static void each_mapping(const struct field *f, struct jwt_validation *v,
                         void (*read)(const struct fields *mapping, struct jwt_validation *v))
{
    bool is_list = field_is_given(f) && f->node->kind == DOC_LIST;
    size_t count = is_list ? f->node->count : field_is_given(f);

    for (size_t i = 0; i < count; i++) {
        struct field item = is_list ? field_item(f, i) : *f;
        struct fields mapping = field_fields(&item);

        if (mapping.map != NULL)
            read(&mapping, v);
    }
}

static void read_keys(const struct fields *keys, struct jwt_validation *v)
{
    static const char *const known[] = { "identification", "sources", NULL };
    struct field identification = fields_find(keys, "identification");
    struct field sources = fields_find(keys, "sources");

    (void)fields_known(keys, known);
    each_mapping(&identification, v, read_identification);
    each_mapping(&sources, v, read_sources);
}

static void read_jws(const struct fields *c, struct jwt_validation *v)
{
    static const char *const known[] = { "allowed_algorithms", "keys", NULL };
    struct field jws = fields_need(c, "jws");
    struct fields mapping = field_fields(&jws);
    struct field keys;

    if (mapping.map == NULL)
        return; /* it was reported */
    (void)fields_known(&mapping, known);
    read_algorithms(&mapping, v);
    keys = fields_need(&mapping, "keys");
    each_mapping(&keys, v, read_keys);
    if (field_is_given(&keys) && !v->has_jkus)
        (void)field_problem(&keys, E_POLICY_MISSING,
                            "it needs at least one URL in sources.additional_jkus");
}

void *jwt_validation_compile(const struct fields *c)
{
    static const char *const known[] = { "issuer", "audience", "http", "jws", NULL };
    struct jwt_validation *v = mem_zalloc(sizeof(*v));

    (void)fields_known(c, known);
    read_issuers(c, v);
    read_audiences(c, v);
    token_places_read(c, &v->places);
    read_jws(c, v);
    return v;
}

/* ---- run: what is asked for -------------------------------------------------------------------- */

/* One validation, in the arena of the exchange. */
struct validation {
    struct str *issuers;
    struct str *jkus;
    struct token_found found[TOKENS_MAX];
    bool is_found;
    struct jwt tokens[TOKENS_MAX];
    size_t read;    /* tokens that are in `tokens` */
    size_t current; /* the one that is being checked; those before it are good */
    struct key_search search;
};

static int evaluate_all(struct template *const *templates, size_t count, struct action_run *run,
                        struct str **out, struct err *e)
{
    *out = arena_alloc(run->arena, count * sizeof(**out));
    for (size_t i = 0; i < count; i++) {
        if (template_text(templates[i], run, &(*out)[i], e) == -1)
            return -1;
    }
    return 0;
}

static int evaluate(const struct jwt_validation *v, struct action_run *run, struct validation *s,
                    struct err *e)
{
    if (evaluate_all(v->issuers, v->issuer_count, run, &s->issuers, e) == -1 ||
        token_places_evaluate(&v->places, run, s->found, e) == -1 ||
        evaluate_all(v->jkus, v->jku_count, run, &s->jkus, e) == -1)
        return -1;
    for (size_t i = 0; i < v->jku_count; i++) {
        if (!target_url_is_http(s->jkus[i]))
            return err_set(e, E_POLICY_FIELD_EVALUATION,
                           "jws.keys.sources.additional_jkus[%zu]: it is no URL", i);
    }
    return 0;
}

/* ---- run: checks ------------------------------------------------------------------------------- */

static int check_issuer(const struct jwt_validation *v, const struct validation *s,
                        const struct jwt *t, struct err *e)
{
    for (size_t i = 0; i < v->issuer_count; i++) {
        if (t->iss.p != NULL && str_eq(t->iss, s->issuers[i]))
            return 0;
    }
    return err_set(e, E_TOKEN_FORBIDDEN, "the issuer of the token is not accepted");
}

static int check_audience(const struct jwt_validation *v, const struct jwt *t, struct err *e)
{
    for (size_t i = 0; i < t->aud_count; i++) {
        if (has_audience(v, v->audience_count, t->aud[i]))
            return 0;
    }
    return v->has_audience ? err_set(e, E_TOKEN_FORBIDDEN, "the token is for another audience") : 0;
}

static int check_type(enum token_type type, const struct jwt *t, struct err *e)
{
    if ((type == TOKEN_AT_JWT && !jwt_is_type(t, STR("at+jwt"))) ||
        (type == TOKEN_IT_JWT && !jwt_is_type(t, STR("it+jwt"))))
        return err_set(e, E_CREDENTIALS, "the token is of another type");
    return 0;
}

static int check_claims(const struct jwt_validation *v, const struct validation *s, struct err *e)
{
    const struct jwt *t = &s->tokens[s->current];

    if (check_type(v->places.places[s->current].type, t, e) == -1 ||
        jwt_check_time(t, clock_wall_ms() / 1000, e) == -1 || check_issuer(v, s, t, e) == -1)
        return -1;
    return check_audience(v, t, e);
}

static int read_token(const struct jwt_validation *v, struct action_run *run, struct validation *s,
                      struct err *e)
{
    struct jwt *t = &s->tokens[s->current];

    if (jwt_parse(run->arena, s->found[s->current].text, t, e) == -1)
        return -1;
    s->read++;
    if ((v->algs & 1U << t->alg) == 0)
        return err_set(e, E_CREDENTIALS, "tokens that are signed this way are not accepted");
    s->search = (struct key_search){ 0 };
    return 0;
}

static enum policy_ready check_token(const struct jwt_validation *v, struct action_run *run,
                                     struct validation *s, struct err *e)
{
    enum policy_ready ready;

    if (s->read == s->current && read_token(v, run, s, e) == -1)
        return POLICY_FAILED;
    ready = key_source_verify(run, s->jkus, v->jku_count, &s->tokens[s->current], &s->search, e);
    if (ready == POLICY_READY && check_claims(v, s, e) == -1)
        return POLICY_FAILED;
    return ready;
}

/* Goes on where it stopped. */
static enum policy_ready check_all(const struct jwt_validation *v, struct action_run *run,
                                   struct validation *s, struct err *e)
{
    enum policy_ready ready = POLICY_READY;

    if (!s->is_found) {
        ready = token_places_find(&v->places, run, s->found, e);
        s->is_found = ready == POLICY_READY;
    }
    while (ready == POLICY_READY && s->current < v->places.count) {
        ready = check_token(v, run, s, e);
        if (ready == POLICY_READY)
            s->current++;
        else if (ready == POLICY_FAILED)
            (void)err_prefix(e, "http.tokens[%zu]", s->current);
    }
    return ready;
}

/* ---- run: results ------------------------------------------------------------------------------ */

static struct cel_value token_result(const struct jwt_validation *v, struct action_run *run,
                                     const struct validation *s, size_t i)
{
    struct cel_run *values = action_values(run);
    bool in_header = v->places.places[i].method == TOKEN_IN_HEADER;
    const struct result_field token[] = {
        { "header", cel_from_json(values, s->tokens[i].header) },
        { "payload", cel_from_json(values, s->tokens[i].payload) },
        { "signature", cel_string(s->tokens[i].signature_text) },
        { "location", cel_string(in_header ? STR("header") : STR("body")) },
        { "location_property", cel_string(s->found[i].name) },
        { "verified", cel_bool(i < s->current) },
    };

    return result_map(run, token, 6);
}

/* -1 when the tokens say more than the run may keep. */
static int set_result(const struct jwt_validation *v, struct action_run *run,
                      const struct validation *s, const struct err *why, struct err *e)
{
    struct result_field result[] = { { .name = "tokens" },
                                     { "error", action_error_value(run, why) } };
    struct cel_value tokens[TOKENS_MAX];
    struct cel_value map;

    for (size_t i = 0; i < s->read; i++) {
        tokens[i] = token_result(v, run, s, i);
        if (cel_is_error(tokens[i]))
            return err_set(e, E_POLICY_MEMORY, "the claims of the tokens need too much memory");
    }
    result[0].value = cel_list_new(action_values(run), tokens, s->read);
    map = result_map(run, result, 2);
    if (cel_is_error(map))
        return err_set(e, E_POLICY_MEMORY, "the claims of the tokens need too much memory");
    action_set_result(run, map);
    return 0;
}

static enum policy_verdict fail(const struct jwt_validation *v, struct action_run *run,
                                const struct validation *s, struct err *e)
{
    (void)err_prefix(e, "jwt-validation");
    if (action_wants_result(run))
        (void)set_result(v, run, s, e, NULL); /* the token is refused already */
    return action_fail_err(run, e);
}

enum policy_verdict jwt_validation_run(const void *compiled, struct action_run *run)
{
    const struct jwt_validation *v = compiled;
    struct validation *s = run->state;
    struct err e = { .code = E_OK };

    if (s == NULL) {
        s = arena_zalloc(run->arena, sizeof(*s));
        run->state = s;
        if (evaluate(v, run, s, &e) == -1)
            return fail(v, run, s, &e);
    }
    switch (check_all(v, run, s, &e)) {
    case POLICY_PENDING:
        return POLICY_SUSPEND;
    case POLICY_FAILED:
        return fail(v, run, s, &e);
    case POLICY_READY:
        break;
    }
    if (action_wants_result(run) && set_result(v, run, s, NULL, &e) == -1)
        return action_fail_err(run, &e);
    return POLICY_CONTINUE;
}

void jwt_validation_free(void *compiled)
{
    struct jwt_validation *v = compiled;

    if (v == NULL)
        return;
    for (size_t i = 0; i < v->issuer_count; i++)
        template_free(v->issuers[i]);
    for (size_t i = 0; i < v->audience_count; i++)
        mem_free(v->audiences[i]);
    for (size_t i = 0; i < v->jku_count; i++)
        template_free(v->jkus[i]);
    token_places_fini(&v->places);
    mem_free(v);
}
