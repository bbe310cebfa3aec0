/* The variables of the connection and of the endpoint (spec traffic-policy 4.1 to 4.3, 4.5, 4.6). */
#include "gateway/config.h"
#include "gateway/gateway_int.h"
#include "gateway/policy_data.h"
#include "gateway/policy_vars_int.h"
#include "policy/geo.h"
#include "policy/ip_lists.h"
#include "policy/objects.h"
#include "tunnel/endpoint.h"

/* Which of the two addresses a variable is about. */
enum side { SIDE_CLIENT, SIDE_SERVER };

static const struct addr *addr_of(const struct policy_visit *v, enum side side)
{
    return side == SIDE_CLIENT ? v->client : &v->origin->server;
}

static const struct geo_record *geo_of(const struct policy_visit *v, enum side side)
{
    struct geo_record **record = side == SIDE_CLIENT ? &v->facts->client : &v->facts->server;

    if (*record == NULL) {
        *record = arena_zalloc(v->arena, sizeof(**record));
        geo_lookup(policy_data_geo(v->data), v->arena, addr_of(v, side), *record);
    }
    return *record;
}

static const struct ip_categories *categories_of(const struct policy_visit *v, enum side side)
{
    return ip_lists_lookup(policy_data_lists(v->data), addr_of(v, side));
}

static struct cel_value ip_text(const struct policy_visit *v, enum side side)
{
    char text[ADDR_IP_TEXT_BYTES];

    return cel_string(arena_str(v->arena, str_from(addr_format_ip(addr_of(v, side), text))));
}

/* ---- places ----------------------------------------------------------------------------------- */

static struct cel_value short_geo_var(const struct policy_visit *v, enum policy_var var)
{
    const struct geo_place *p = &geo_of(v, SIDE_CLIENT)->location;

    switch (var) { /* the variables of this function only */
    case VAR_CONN_GEO_CITY:
        return cel_string(p->city);
    case VAR_CONN_GEO_COUNTRY:
        return cel_string(p->country);
    case VAR_CONN_GEO_COUNTRY_CODE:
        return cel_string(p->country_code);
    case VAR_CONN_GEO_LATITUDE:
        return cel_string(p->latitude);
    case VAR_CONN_GEO_LONGITUDE:
        return cel_string(p->longitude);
    case VAR_CONN_GEO_RADIUS:
        return cel_string(p->radius);
    case VAR_CONN_GEO_SUBDIVISION:
        return cel_string(p->subdivision);
    default:
        return policy_vars_zero(var);
    }
}

/* The same names exist for both addresses; `var` is given as that of the client. */
static struct cel_value location_var(const struct geo_place *p, enum policy_var var)
{
    switch (var) { /* the variables of this function only */
    case VAR_CONN_CLIENT_IP_GEO_LOCATION_CITY:
        return cel_string(p->city);
    case VAR_CONN_CLIENT_IP_GEO_LOCATION_CONTINENT:
        return cel_string(p->continent);
    case VAR_CONN_CLIENT_IP_GEO_LOCATION_COUNTRY:
        return cel_string(p->country);
    case VAR_CONN_CLIENT_IP_GEO_LOCATION_COUNTRY_CODE:
        return cel_string(p->country_code);
    case VAR_CONN_CLIENT_IP_GEO_LOCATION_IS_EU:
        return cel_bool(p->is_eu);
    case VAR_CONN_CLIENT_IP_GEO_LOCATION_LATITUDE:
        return cel_string(p->latitude);
    case VAR_CONN_CLIENT_IP_GEO_LOCATION_LONGITUDE:
        return cel_string(p->longitude);
    case VAR_CONN_CLIENT_IP_GEO_LOCATION_METRO_CODE:
        return cel_string(p->metro_code);
    case VAR_CONN_CLIENT_IP_GEO_LOCATION_POSTAL_CODE:
        return cel_string(p->postal_code);
    case VAR_CONN_CLIENT_IP_GEO_LOCATION_RADIUS:
        return cel_string(p->radius);
    case VAR_CONN_CLIENT_IP_GEO_LOCATION_SUBDIVISION:
        return cel_string(p->subdivision);
    case VAR_CONN_CLIENT_IP_GEO_LOCATION_TIMEZONE:
        return cel_string(p->timezone);
    default:
        return policy_vars_zero(var);
    }
}

static struct cel_value registered_var(const struct geo_place *p, enum policy_var var)
{
    switch (var) { /* the variables of this function only */
    case VAR_CONN_CLIENT_IP_GEO_REGISTERED_LOCATION_CITY:
        return cel_string(p->city);
    case VAR_CONN_CLIENT_IP_GEO_REGISTERED_LOCATION_CONTINENT:
        return cel_string(p->continent);
    case VAR_CONN_CLIENT_IP_GEO_REGISTERED_LOCATION_COUNTRY:
        return cel_string(p->country);
    case VAR_CONN_CLIENT_IP_GEO_REGISTERED_LOCATION_COUNTRY_CODE:
        return cel_string(p->country_code);
    case VAR_CONN_CLIENT_IP_GEO_REGISTERED_LOCATION_IS_EU:
        return cel_bool(p->is_eu);
    case VAR_CONN_CLIENT_IP_GEO_REGISTERED_LOCATION_METRO_CODE:
        return cel_string(p->metro_code);
    case VAR_CONN_CLIENT_IP_GEO_REGISTERED_LOCATION_SUBDIVISION:
        return cel_string(p->subdivision);
    case VAR_CONN_CLIENT_IP_GEO_REGISTERED_LOCATION_TIMEZONE:
        return cel_string(p->timezone);
    default:
        return location_var(p, var);
    }
}

/* ---- addresses -------------------------------------------------------------------------------- */

/* Variables of both addresses stand in the table in the same order. */
enum { SIDE_DISTANCE = VAR_CONN_SERVER_IP_CATEGORIES - VAR_CONN_CLIENT_IP_CATEGORIES };
static_assert(VAR_CONN_SERVER_IP_GEO_REGISTERED_LOCATION_TIMEZONE -
                      VAR_CONN_CLIENT_IP_GEO_REGISTERED_LOCATION_TIMEZONE ==
                  SIDE_DISTANCE,
              "vars.def has both addresses in one order");

static struct cel_value side_var(const struct policy_visit *v, enum side side, enum policy_var var)
{
    switch (var) { /* the variables of this function only */
    case VAR_CONN_CLIENT_IP_CATEGORIES:
        return cel_list_of(&categories_of(v, side)->names);
    case VAR_CONN_CLIENT_IP_IS_ON_BLOCKLIST:
        return cel_bool(categories_of(v, side)->is_on_blocklist);
    case VAR_CONN_CLIENT_IP_IS_TOR_NODE:
        return cel_bool(categories_of(v, side)->is_tor_node);
    case VAR_CONN_CLIENT_IP_AS_NUMBER:
        return cel_int(geo_of(v, side)->as_number);
    case VAR_CONN_CLIENT_IP_AS_ORGANIZATION:
        return cel_string(geo_of(v, side)->as_organization);
    default:
        return var <= VAR_CONN_CLIENT_IP_GEO_LOCATION_TIMEZONE
                   ? location_var(&geo_of(v, side)->location, var)
                   : registered_var(&geo_of(v, side)->registered, var);
    }
}

/* ---- the endpoint ----------------------------------------------------------------------------- */

static struct cel_value endpoint_var(const struct policy_visit *v, enum policy_var var)
{
    const struct endpoint *ep = v->endpoint;
    char text[URL_TEXT_BYTES];

    switch (var) { /* the variables of this function only */
    case VAR_ENDPOINT_ADDR:
        return cel_string(arena_fmt(v->arena, "%s:%u", ep->url.host, (unsigned)ep->url.port));
    case VAR_ENDPOINT_HOST:
        return cel_string(str_from(ep->url.host));
    case VAR_ENDPOINT_ID:
        return cel_string(str_from(ep->id));
    case VAR_ENDPOINT_PORT:
        return cel_int(ep->url.port);
    case VAR_ENDPOINT_PROTOCOL:
        return cel_string(str_from(scheme_name(ep->url.scheme)));
    case VAR_ENDPOINT_URL:
        return cel_string(
            arena_str(v->arena, str_from(url_format(&ep->url, scheme_default_port(SCHEME_HTTP),
                                                    scheme_default_port(SCHEME_HTTPS), text))));
    default:
        return policy_vars_zero(var);
    }
}

struct cel_value policy_vars_conn(const struct policy_visit *v, enum policy_var var)
{
    if (var >= VAR_CONN_CLIENT_IP_CATEGORIES &&
        var <= VAR_CONN_CLIENT_IP_GEO_REGISTERED_LOCATION_TIMEZONE)
        return side_var(v, SIDE_CLIENT, var);
    if (var >= VAR_CONN_SERVER_IP_CATEGORIES &&
        var <= VAR_CONN_SERVER_IP_GEO_REGISTERED_LOCATION_TIMEZONE)
        return side_var(v, SIDE_SERVER, (enum policy_var)(var - SIDE_DISTANCE));
    if (var >= VAR_CONN_GEO_CITY && var <= VAR_CONN_GEO_SUBDIVISION)
        return short_geo_var(v, var);
    switch (var) { /* the variables of this function only */
    case VAR_CONN_BYTES_IN:
        return cel_int((int64_t)v->origin->bytes_in);
    case VAR_CONN_BYTES_OUT:
        return cel_int((int64_t)v->origin->bytes_out);
    case VAR_CONN_CLIENT_IP:
        return ip_text(v, SIDE_CLIENT);
    case VAR_CONN_CLIENT_PORT:
        return cel_int(v->client->port);
    case VAR_CONN_SERVER_IP:
        return ip_text(v, SIDE_SERVER);
    case VAR_CONN_SERVER_PORT:
        return cel_int(v->origin->server.port);
    case VAR_CONN_SERVER_REGION:
        /* A copy: a reload may take the config away while the policy waits. */
        return cel_string(arena_str(v->arena, str_from(v->gateway->config->server_region)));
    case VAR_CONN_TS_START:
        return policy_vars_time(v->origin->conn_start_wall_ms);
    case VAR_CONN_K8S_POD_METADATA_ERROR_CODE:
        return cel_string(STR("ERR_NGROK_28001")); /* the identity is not known (D22) */
    default:
        return endpoint_var(v, var);
    }
}
