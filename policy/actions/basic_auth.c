/*
 * basic-auth: asks the visitor for a user and password (spec traffic-policy 6.3, RFC 7617).
 * What a visitor presents is compared with every credential as a SHA-256 of "user:password", match
 * or not, so that the time tells neither which one was close nor how long it is. A password may be
 * given as a crypt(5) hash instead: that is verified off the loop, and an answer is remembered for
 * a while, as the SHA-256 of what was presented and of the hash.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "policy/action.h"
#include "policy/compiler.h"
#include "policy/local.h"
#include "policy/password.h"
#include "policy/result.h"

enum {
    CREDENTIALS_MAX = 10,
    USER_MAX_CHARS = 128,
    PASSWORD_MIN_CHARS = 8,
    /* On the command line everybody's first try is user:pass. */
    FLAG_PASSWORD_MIN_CHARS = 4,
    PASSWORD_MAX_CHARS = 128,
    REALM_MAX_BYTES = 128,
    /* No credential is longer, so what a visitor sends beyond this cannot match. */
    PAIR_MAX_BYTES = (USER_MAX_CHARS + PASSWORD_MAX_CHARS) * UTF8_MAX_BYTES + 1,
    HASH_BYTES = 32,
    /* Basic realm="", charset="UTF-8" around a realm of which every byte is escaped */
    CHALLENGE_BYTES = 2 * REALM_MAX_BYTES + 40,
    REMEMBER_MS = 5 * 60 * 1000,
};

struct credential {
    struct template *whole;           /* owned: "${...}" that gives user:password */
    struct template *user;            /* owned; NULL with `whole` and for a literal pair */
    struct template *password;        /* owned */
    unsigned char sha256[HASH_BYTES]; /* of a literal pair */
    bool is_literal;
};

struct basic_auth {
    EVP_MD *sha256; /* owned; fetched once, because a fetch per request would take a lock */
    size_t count;
    struct credential credentials[CREDENTIALS_MAX];
    size_t password_min;
    char challenge[CHALLENGE_BYTES]; /* value of www-authenticate */
    bool enforce;
};

/* ---- compile ------------------------------------------------------------------------------------ */

/* False only if libcrypto fails, and then nothing may match. */
static bool digest(const struct basic_auth *b, struct str text, unsigned char out[HASH_BYTES])
{
    return EVP_Digest(text.p, text.n, out, NULL, b->sha256, NULL) == 1;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F)
            return true;
    }
    return false;
}

static int check_user(struct str user, struct err *e)
{
    size_t chars = utf8_count(user);

    if (user.n == 0)
        return err_set(e, E_AUTH_USER_EMPTY, "the user before ':' is empty; give user:password");
    if (chars > USER_MAX_CHARS)
        return err_set(e, E_AUTH_USER_LENGTH, "the user has %zu characters, at most %d are allowed",
                       chars, USER_MAX_CHARS);
    if (has_control(user) || str_find_char(user, ':') != user.n)
        return err_set(e, E_POLICY_AUTH_USER,
                       "the user has a colon or a control character, which RFC 7617 forbids");
    return 0;
}

static int check_password(const struct basic_auth *b, struct str user, struct str password,
                          struct err *e)
{
    size_t chars = utf8_count(password);

    if (password_is_hash(password))
        return password_check_hash(password, e);
    if (chars < b->password_min || chars > PASSWORD_MAX_CHARS)
        return err_set(e, chars < b->password_min ? E_POLICY_TOO_SHORT : E_POLICY_TOO_LONG,
                       "the password of user '%.*s' has %zu characters, it must have %zu to %d",
                       STR_ARG(str_slice(user, 0, 64)), chars, b->password_min, PASSWORD_MAX_CHARS);
    if (has_control(password))
        return err_set(
            e, E_POLICY_AUTH_PASSWORD,
            "the password of user '%.*s' has a control character, which RFC 7617 forbids",
            STR_ARG(str_slice(user, 0, 64)));
    return 0;
}

/* Digests "user:password". */
static bool digest_pair(const struct basic_auth *b, struct str user, struct str password,
                        unsigned char out[HASH_BYTES])
{
    char pair[PAIR_MAX_BYTES];
    size_t n = user.n + 1 + password.n;
    bool done;

    if (n > sizeof(pair))
        return false;
    memcpy(pair, user.p, user.n);
    pair[user.n] = ':';
    memcpy(pair + user.n + 1, password.p, password.n);
    done = digest(b, str_of(pair, n), out);
    mem_wipe(pair, n);
    return done;
}

/* A field that holds the part of another's text that begins at byte `from`. */
static struct template *part_template(const struct field *f, size_t from, size_t to)
{
    struct doc_node node = *f->node;
    struct field piece = *f;

    node.text = str_slice(f->node->text, from, to);
    node.at = compiler_place(f->node, from);
    piece.node = &node;
    return field_template(&piece);
}

static void finish_literal(const struct field *f, const struct basic_auth *b, struct credential *c,
                           struct str user, struct str password)
{
    struct err e;

    if (check_user(user, &e) == -1 || check_password(b, user, password, &e) == -1) {
        (void)field_problem(f, e.code, "%s", e.msg);
        return;
    }
    if (password_is_hash(password))
        return; /* user and password stay as they are, for verifying */
    c->is_literal = digest_pair(b, user, password, c->sha256);
    if (!c->is_literal)
        (void)field_problem(f, E_SYSTEM, "the SHA-256 digest failed");
    template_free(c->user);
    template_free(c->password);
    c->user = NULL;
    c->password = NULL;
}

static void read_pair(const struct field *f, const struct basic_auth *b, struct credential *c,
                      struct template *user, struct template *password)
{
    struct str user_text;
    struct str password_text;
    struct err e;

    c->user = user;
    c->password = password;
    if (user == NULL || password == NULL)
        return; /* it was reported */
    if (template_is_literal(user, &user_text) && template_is_literal(password, &password_text))
        finish_literal(f, b, c, user_text, password_text);
    else if ((template_is_literal(user, &user_text) && check_user(user_text, &e) == -1) ||
             (template_is_literal(password, &password_text) &&
              check_password(b, STR("${...}"), password_text, &e) == -1))
        (void)field_problem(f, e.code, "%s", e.msg);
}

/* "user:password"; with ${} the colon has to be literal, unless one ${} gives the whole. */
static void read_text(const struct field *f, const struct basic_auth *b, struct credential *c)
{
    struct str text = f->node->text;
    size_t colon = template_find_char(text, ':');

    if (colon < text.n) {
        read_pair(f, b, c, part_template(f, 0, colon), part_template(f, colon + 1, text.n));
        return;
    }
    c->whole = field_template(f);
    if (c->whole == NULL || template_is_single(c->whole))
        return;
    (void)field_problem_hint(f, E_POLICY_CONFIG, "write user:password",
                             "no ':' between user and password");
}

/* The mapping {username, password} that published examples use. */
static void read_mapping(const struct field *f, const struct basic_auth *b, struct credential *c)
{
    static const char *const known[] = { "username", "password", NULL };
    struct fields mapping = field_fields(f);
    struct field user = fields_need(&mapping, "username");
    struct field password = fields_need(&mapping, "password");

    (void)fields_known(&mapping, known);
    read_pair(f, b, c, field_template(&user), field_template(&password));
}

static void read_credentials(const struct fields *fields, struct basic_auth *b)
{
    struct field list = fields_need(fields, "credentials");

    (void)field_list(&list, 1, CREDENTIALS_MAX, &b->count);
    for (size_t i = 0; i < b->count; i++) {
        struct field f = field_item(&list, i);

        if (f.node != NULL && f.node->kind == DOC_MAP)
            read_mapping(&f, b, &b->credentials[i]);
        else if (f.node != NULL && f.node->kind == DOC_SCALAR)
            read_text(&f, b, &b->credentials[i]);
        else
            (void)field_problem(&f, E_POLICY_CONFIG, "it must be a string user:password");
    }
}

static void read_realm(const struct fields *c, struct basic_auth *b)
{
    struct field f = fields_find(c, "realm");
    struct str realm = STR("ngrok");
    struct buf quoted;

    if (field_text(&f, &realm) == -1)
        return;
    if (realm.n > REALM_MAX_BYTES) {
        (void)field_problem(&f, E_POLICY_TOO_LONG, "%zu characters, at most %d are allowed",
                            realm.n, REALM_MAX_BYTES);
        return;
    }
    buf_init(&quoted, CHALLENGE_BYTES);
    for (size_t i = 0; i < realm.n; i++) {
        char ch = realm.p[i];

        if ((unsigned char)ch < 0x20 || (unsigned char)ch >= 0x7F) {
            (void)field_problem(&f, E_POLICY_FIELD, "character %zu is not printable ASCII", i + 1);
            break;
        }
        if (ch == '"' || ch == '\\')
            buf_add_char(&quoted, '\\');
        buf_add_char(&quoted, ch);
    }
    (void)snprintf(b->challenge, sizeof(b->challenge), "Basic realm=\"%.*s\", charset=\"UTF-8\"",
                   STR_ARG(buf_str(&quoted)));
    buf_fini(&quoted);
}

void *basic_auth_compile(const struct fields *c)
{
    static const char *const known[] = { "credentials", "realm", "enforce", NULL };
    struct basic_auth *b = mem_zalloc(sizeof(*b));
    struct field enforce = fields_find(c, "enforce");
    struct field credentials = fields_find(c, "credentials");

    b->enforce = true;
    b->password_min =
        field_is_shorthand(&credentials) ? FLAG_PASSWORD_MIN_CHARS : PASSWORD_MIN_CHARS;
    b->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (b->sha256 == NULL)
        (void)field_problem(&credentials, E_SYSTEM, "the SHA-256 digest is not available");
    (void)fields_known(c, known);
    (void)field_bool(&enforce, &b->enforce);
    read_realm(c, b);
    read_credentials(c, b);
    return b;
}

/* ---- run ---------------------------------------------------------------------------------------- */

/* What the visitor presented. */
struct presented {
    bool given; /* an Authorization field with Basic */
    bool well_formed;
    struct str user;
    struct str password;
    unsigned char sha256[HASH_BYTES]; /* of the pair */
};

/* A hash to verify on a thread of the pool. */
struct verify_job {
    struct policy_job job; /* first */
    char *password;        /* owned */
    size_t password_bytes;
    size_t count;
    char *hashes[CREDENTIALS_MAX];                   /* owned */
    unsigned char keys[CREDENTIALS_MAX][HASH_BYTES]; /* to remember the answers by */
    bool answers[CREDENTIALS_MAX];
};

/* An answer that is remembered. */
struct remembered {
    bool matches;
    uint64_t at_ms;
};

/* Reads the one Authorization field of the request. Two of them could mean one thing here and
 * another to the upstream, so they count as none. */
static void read_presented(const struct basic_auth *b, struct action_run *run, struct presented *p)
{
    struct str field = run->host->header_find(run->ctx, POLICY_REQUEST, STR("authorization"), 0);
    struct str pair;
    char *bytes;
    size_t n;
    size_t colon;

    *p = (struct presented){ 0 };
    if (field.p == NULL ||
        run->host->header_find(run->ctx, POLICY_REQUEST, STR("authorization"), 1).p != NULL)
        return;
    field = str_trim_ows(field);
    if (!str_starts_nocase(field, STR("Basic ")))
        return;
    p->given = true;
    bytes = arena_alloc(run->arena, PAIR_MAX_BYTES);
    if (base64_decode(str_trim_ows(str_skip(field, 6)), bytes, PAIR_MAX_BYTES, &n) == -1)
        return;
    pair = str_of(bytes, n);
    colon = str_find_char(pair, ':');
    p->user = str_slice(pair, 0, colon);
    p->password = str_skip(pair, colon + 1);
    p->well_formed = colon < n && digest(b, pair, p->sha256);
}

/* The user and password of a credential at this request; false if it can match nobody. */
static int evaluate(const struct basic_auth *b, const struct credential *c, struct action_run *run,
                    struct str *user, struct str *password, bool *usable, struct err *e)
{
    struct str pair;
    size_t colon;

    if (c->whole != NULL) {
        if (template_text(c->whole, run, &pair, e) == -1)
            return -1;
        colon = str_find_char(pair, ':');
        *user = str_slice(pair, 0, colon);
        *password = str_skip(pair, colon + 1);
    } else if (template_text(c->user, run, user, e) == -1 ||
               template_text(c->password, run, password, e) == -1) {
        return -1;
    }
    *usable = check_user(*user, NULL) == 0 && check_password(b, *user, *password, NULL) == 0;
    return 0;
}

/* The key an answer is remembered by. */
static bool remember_key(const struct basic_auth *b, const struct presented *p, struct str hash,
                         unsigned char out[HASH_BYTES])
{
    char text[HASH_BYTES + PASSWORD_HASH_MAX_BYTES];

    memcpy(text, p->sha256, HASH_BYTES);
    memcpy(text + HASH_BYTES, hash.p, hash.n);
    return digest(b, str_of(text, HASH_BYTES + hash.n), out);
}

static struct str cache_key(const unsigned char key[HASH_BYTES], char text[HASH_BYTES + 9])
{
    memcpy(text, "password", 9);
    memcpy(text + 9, key, HASH_BYTES);
    return str_of(text, HASH_BYTES + 9);
}

static const struct remembered *recall(struct action_run *run, const unsigned char key[HASH_BYTES])
{
    char text[HASH_BYTES + 9];
    const struct remembered *r = policy_local_find(run->local, cache_key(key, text));

    return r != NULL && clock_mono_ms() - r->at_ms < REMEMBER_MS ? r : NULL;
}

static void remember(struct action_run *run, const unsigned char key[HASH_BYTES], bool matches)
{
    struct remembered *r = mem_zalloc(sizeof(*r));
    char text[HASH_BYTES + 9];

    *r = (struct remembered){ .matches = matches, .at_ms = clock_mono_ms() };
    policy_local_put(run->local, cache_key(key, text), r, mem_free);
}

static void run_verify(struct policy_job *job)
{
    struct verify_job *v = (struct verify_job *)job;

    for (size_t i = 0; i < v->count; i++)
        v->answers[i] =
            password_verify(str_of(v->password, v->password_bytes), str_from(v->hashes[i]));
}

static void free_verify(struct policy_job *job)
{
    struct verify_job *v = (struct verify_job *)job;

    for (size_t i = 0; i < v->count; i++)
        mem_free(v->hashes[i]);
    mem_wipe(v->password, v->password_bytes);
    mem_free(v->password);
    mem_free(v);
}

/* Adds a hash that nobody remembers to the job. */
static struct verify_job *add_hash(struct verify_job *job, const struct presented *p,
                                   struct str hash, const unsigned char key[HASH_BYTES])
{
    if (job == NULL) {
        job = mem_zalloc(sizeof(*job));
        job->job = (struct policy_job){ .run = run_verify, .free = free_verify };
        job->password = str_dup(p->password);
        job->password_bytes = p->password.n;
    }
    memcpy(job->keys[job->count], key, HASH_BYTES);
    job->hashes[job->count++] = str_dup(hash);
    return job;
}

/* What is known of the credentials so far. */
struct decision {
    unsigned matches;
    struct verify_job *job; /* to be done before it is final; NULL: nothing */
};

static void weigh_hash(const struct basic_auth *b, struct action_run *run,
                       const struct presented *p, struct str hash, struct decision *d)
{
    unsigned char key[HASH_BYTES];
    const struct remembered *known;

    if (!remember_key(b, p, hash, key))
        return;
    known = recall(run, key);
    if (known != NULL)
        d->matches |= known->matches;
    else
        d->job = add_hash(d->job, p, hash, key);
}

static void drop_job(struct verify_job *job)
{
    if (job != NULL)
        job->job.free(&job->job);
}

/* With -1 there is no job. */
static int weigh(const struct basic_auth *b, struct action_run *run, const struct presented *p,
                 struct decision *d, struct err *e)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct credential *c = &b->credentials[i];
        unsigned char sha256[HASH_BYTES];
        struct str user;
        struct str password;
        bool usable;

        if (c->is_literal) {
            d->matches |= mem_equal_secret(c->sha256, p->sha256, HASH_BYTES);
            continue;
        }
        if (evaluate(b, c, run, &user, &password, &usable, e) == -1) {
            drop_job(d->job);
            d->job = NULL;
            return -1;
        }
        if (!usable)
            continue;
        if (password_is_hash(password)) {
            if (user.n == p->user.n && mem_equal_secret(user.p, p->user.p, user.n))
                weigh_hash(b, run, p, password, d);
        } else if (digest_pair(b, user, password, sha256)) {
            d->matches |= mem_equal_secret(sha256, p->sha256, HASH_BYTES);
        }
    }
    return 0;
}

static void set_result(struct action_run *run, const struct presented *p, bool authorized)
{
    const struct result_field credentials[] = {
        { "presented", cel_bool(p->given) },
        { "username", cel_string(utf8_is_valid(p->user) ? p->user : STR_NONE) },
        { "authorized", cel_bool(authorized) },
    };
    const struct result_field result = { "credentials", result_map(run, credentials, 3) };

    result_set(run, &result, 1);
}

static enum policy_verdict decide(const struct basic_auth *b, struct action_run *run,
                                  const struct presented *p, bool authorized)
{
    run->outcome->basic_auth_decision = authorized ? STR("allow") : STR("block");
    run->outcome->basic_auth_username = p->user;
    if (action_wants_result(run))
        set_result(run, p, authorized);
    if (authorized || !b->enforce)
        return POLICY_CONTINUE;
    action_respond_header(run, STR("www-authenticate"),
                          arena_str(run->arena, str_from(b->challenge)));
    return action_fail(run, E_CREDENTIALS, "this endpoint asks for a user and a password");
}

/* Takes the answers of a job that is done. */
static bool take_answers(struct action_run *run, struct verify_job *job)
{
    bool matches = false;

    for (size_t i = 0; i < job->count; i++) {
        remember(run, job->keys[i], job->answers[i]);
        matches = matches || job->answers[i];
    }
    drop_job(job);
    return matches;
}

enum policy_verdict basic_auth_run(const void *compiled, struct action_run *run)
{
    const struct basic_auth *b = compiled;
    struct decision d = { 0 };
    struct presented p;
    struct err e;

    read_presented(b, run, &p);
    if (run->state != NULL)
        d.job = run->state;
    else if (p.well_formed && weigh(b, run, &p, &d, &e) == -1)
        return action_fail_err(run, &e);
    if (d.matches == 0 && d.job != NULL) {
        run->state = d.job;
        if (run->host->job(run->ctx, &d.job->job) == POLICY_PENDING)
            return POLICY_SUSPEND;
        run->state = NULL;
        d.matches = take_answers(run, d.job);
    } else {
        drop_job(d.job);
    }
    return decide(b, run, &p, d.matches != 0);
}

void basic_auth_free(void *compiled)
{
    struct basic_auth *b = compiled;

    if (b == NULL)
        return;
    for (size_t i = 0; i < b->count; i++) {
        template_free(b->credentials[i].whole);
        template_free(b->credentials[i].user);
        template_free(b->credentials[i].password);
    }
    EVP_MD_free(b->sha256);
    mem_wipe(b->credentials, sizeof(b->credentials));
    mem_free(b);
}
