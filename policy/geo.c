#include "policy/geo.h"

#include <math.h>
#include <string.h>

#include <maxminddb.h>

#include "base/mem.h"
#include "base/ref.h"
#include "policy/cel/text.h"
#include "policy/message_text.h"

struct geo {
    struct ref ref;
    MMDB_s files[GEO_FILES_MAX];
    size_t count; /* of files that are open */
};

/* ---- what is looked for ---- */

enum { PATH_MAX_KEYS = 4 };

enum field_kind { FIELD_TEXT, FIELD_BOOL, FIELD_NUMBER };

static const struct field {
    size_t offset; /* in struct geo_record */
    enum field_kind kind;
    const char *path[PATH_MAX_KEYS + 1]; /* ends with NULL */
} fields[] = {
/* clang-format off */
#define FIELD(member, kind, ...) \
    { offsetof(struct geo_record, member), kind, { __VA_ARGS__, NULL } }
    FIELD(location.city, FIELD_TEXT, "city", "names", "en"),
    FIELD(location.continent, FIELD_TEXT, "continent", "names", "en"),
    FIELD(location.country, FIELD_TEXT, "country", "names", "en"),
    FIELD(location.country_code, FIELD_TEXT, "country", "iso_code"),
    FIELD(location.is_eu, FIELD_BOOL, "country", "is_in_european_union"),
    FIELD(location.latitude, FIELD_TEXT, "location", "latitude"),
    FIELD(location.longitude, FIELD_TEXT, "location", "longitude"),
    FIELD(location.metro_code, FIELD_TEXT, "location", "metro_code"),
    FIELD(location.postal_code, FIELD_TEXT, "postal", "code"),
    FIELD(location.radius, FIELD_TEXT, "location", "accuracy_radius"),
    FIELD(location.subdivision, FIELD_TEXT, "subdivisions", "0", "names", "en"),
    FIELD(location.timezone, FIELD_TEXT, "location", "time_zone"),
    FIELD(registered.country, FIELD_TEXT, "registered_country", "names", "en"),
    FIELD(registered.country_code, FIELD_TEXT, "registered_country", "iso_code"),
    FIELD(registered.is_eu, FIELD_BOOL, "registered_country", "is_in_european_union"),
    FIELD(as_number, FIELD_NUMBER, "autonomous_system_number"),
    FIELD(as_organization, FIELD_TEXT, "autonomous_system_organization"),
#undef FIELD
    /* clang-format on */
};

/* ---- files ---- */

struct geo *geo_open(const char *const *paths, size_t count, struct err *e)
{
    struct geo *g = mem_zalloc(sizeof(*g));

    ref_init(&g->ref);
    if (count > GEO_FILES_MAX) {
        (void)err_set(e, E_LIMIT, "there may be at most %d geo databases", GEO_FILES_MAX);
        goto fail;
    }
    for (size_t i = 0; i < count; i++) {
        int status = MMDB_open(paths[i], MMDB_MODE_MMAP, &g->files[i]);

        if (status != MMDB_SUCCESS) {
            (void)err_set(e, E_CONFIG, "%s is no geo database: %s", paths[i],
                          MMDB_strerror(status));
            goto fail;
        }
        g->count++;
    }
    return g;
fail:
    geo_unref(g);
    return NULL;
}

struct geo *geo_ref(struct geo *g)
{
    ref_inc(&g->ref);
    return g;
}

void geo_unref(struct geo *g)
{
    if (g == NULL || !ref_dec(&g->ref))
        return;
    for (size_t i = 0; i < g->count; i++)
        MMDB_close(&g->files[i]);
    mem_free(g);
}

/* ---- lookup ---- */

static struct str string_text(struct arena *a, struct str s)
{
    struct str clean = message_text_clean(a, s);

    return clean.p == s.p ? arena_str(a, s) : clean;
}

static struct str double_text(struct arena *a, double d)
{
    char text[CEL_DOUBLE_BYTES];

    return isfinite(d) ? arena_str(a, cel_double_text(d, CEL_DOUBLE_FIXED, text)) : STR_NONE;
}

/* A value as text; empty when it is of no type that a field has. */
static struct str data_text(struct arena *a, const MMDB_entry_data_s *data)
{
    switch (data->type) {
    case MMDB_DATA_TYPE_UTF8_STRING:
        return string_text(a, str_of(data->utf8_string, data->data_size));
    case MMDB_DATA_TYPE_DOUBLE:
        return double_text(a, data->double_value);
    case MMDB_DATA_TYPE_FLOAT:
        return double_text(a, (double)data->float_value);
    case MMDB_DATA_TYPE_UINT16:
        return arena_fmt(a, "%u", (unsigned)data->uint16);
    case MMDB_DATA_TYPE_UINT32:
        return arena_fmt(a, "%u", (unsigned)data->uint32);
    default: /* not an enum: other types are none of ours */
        return STR_NONE;
    }
}

/* Fills the field if it is still empty. */
static void fill_field(struct arena *a, const struct field *f, const MMDB_entry_data_s *data,
                       struct geo_record *out)
{
    void *at = (char *)out + f->offset;

    switch (f->kind) {
    case FIELD_TEXT:
        if (((struct str *)at)->n == 0)
            *(struct str *)at = data_text(a, data);
        break;
    case FIELD_BOOL:
        if (data->type == MMDB_DATA_TYPE_BOOLEAN && data->boolean)
            *(bool *)at = true;
        break;
    case FIELD_NUMBER:
        if (*(uint32_t *)at == 0 && data->type == MMDB_DATA_TYPE_UINT32)
            *(uint32_t *)at = data->uint32;
        break;
    }
}

/* A file that is damaged, or has no addresses of the family, knows nothing. */
static void lookup_in_file(const MMDB_s *file, struct arena *a, const struct sockaddr_storage *addr,
                           struct geo_record *out)
{
    int error = MMDB_SUCCESS;
    MMDB_lookup_result_s result = MMDB_lookup_sockaddr(file, (const struct sockaddr *)addr, &error);

    if (error != MMDB_SUCCESS || !result.found_entry)
        return;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        MMDB_entry_data_s data;

        if (MMDB_aget_value(&result.entry, &data, fields[i].path) == MMDB_SUCCESS && data.has_data)
            fill_field(a, &fields[i], &data, out);
    }
}

void geo_lookup(const struct geo *g, struct arena *a, const struct addr *addr,
                struct geo_record *out)
{
    struct sockaddr_storage ss;

    *out = (struct geo_record){ .as_number = 0 };
    if (g == NULL || addr->family == 0)
        return;
    (void)addr_to_sockaddr(addr, &ss);
    for (size_t i = 0; i < g->count; i++)
        lookup_in_file(&g->files[i], a, &ss, out);
}
