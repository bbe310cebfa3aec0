"""The actions that refuse visitors: restrict-ips, basic-auth, rate-limit and circuit-breaker."""

import base64
import crypt
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.policy import (Guarded, answer_with, event_of, merge, on_request, on_response, problems,
                        result_of, rule, stdin_of, text_of)
from lib.wait import wait_until

SETTINGS = {"ip_policies": (
    {"name": "here", "allow": ["127.0.0.0/8"]},
    {"name": "not-me", "allow": ["0.0.0.0/0"], "deny": ["127.0.0.1"]},
    {"name": "elsewhere", "allow": ["10.0.0.0/8"]},
)}


@pytest.fixture
def guarded(scene):
    return lambda document, **kw: Guarded(scene, document, **kw)


def failed(response, number, status):
    assert (response.status, response.error_code) == (status, f"ERR_SALLYPORT_{number}"), response
    return True


#: A window so long that no test sees it end.
RATE = {"name": "r", "algorithm": "sliding_window", "capacity": 1, "rate": "24h",
        "bucket_key": ["req.host"]}


@pytest.mark.parametrize("action, config, number", [
    ("restrict-ips", {}, 2234),
    ("restrict-ips", {"allow": ["300.0.0.0/8"]}, 2217),
    ("restrict-ips", {"allow": ["10.0.0.0/33"]}, 2217),
    ("restrict-ips", {"deny": ["::/129"], "allow": ["::/0"]}, 2217),
    ("restrict-ips", {"ip_policies": 33 * ["here"], "allow": ["::/0"]}, 2218),
    ("restrict-ips", {"allow": ["::/0"], "enforce": "maybe"}, 2203),
    ("basic-auth", {}, 2234),
    ("basic-auth", {"credentials": []}, 2234),
    ("basic-auth", {"credentials": ["nocolon-at-all"]}, 2203),
    ("basic-auth", {"credentials": ["user:" + 7 * "x"]}, 2237),
    ("basic-auth", {"credentials": ["user:" + 129 * "x"]}, 2221),
    ("basic-auth", {"credentials": ["user:" + 128 * "x"]}, None),
    ("basic-auth", {"credentials": [":password"]}, 359),
    ("basic-auth", {"credentials": ["us\ter:password"]}, 2257),
    ("basic-auth", {"credentials": ["user:pass\nword"]}, 2258),
    ("basic-auth", {"credentials": 11 * ["user:password"]}, 2218),
    ("basic-auth", {"credentials": ["user:password"], "realm": "x" * 129}, 2221),
    ("basic-auth", {"credentials": ["user:password"], "realm": "é"}, 2204),
    ("basic-auth", {"credentials": ["${req.host}password"]}, 2203),
    ("rate-limit", {**RATE, "name": None}, 2234),
    ("rate-limit", {**RATE, "name": "x" * 1024}, 2221),
    ("rate-limit", {**RATE, "algorithm": "token_bucket"}, 2222),
    ("rate-limit", {**RATE, "capacity": 0}, 2215),
    ("rate-limit", {**RATE, "capacity": 2_000_000_001}, 2215),
    ("rate-limit", {**RATE, "capacity": 2_000_000_000}, None),
    ("rate-limit", {**RATE, "rate": "1s"}, 2215),
    ("rate-limit", {**RATE, "rate": "65s"}, 2215),
    ("rate-limit", {**RATE, "rate": "25h"}, 2225),
    ("rate-limit", {**RATE, "bucket_key": []}, 2234),
    ("rate-limit", {**RATE, "bucket_key": 11 * ["req.host"]}, 2218),
    ("rate-limit", {**RATE, "bucket_key": ["${req.host}"]}, 2200),
    ("circuit-breaker", {"error_threshold": 1.1}, 2215),
    ("circuit-breaker", {"volume_threshold": 0}, 2215),
    ("circuit-breaker", {"window_duration": "999ms"}, 2215),
    ("circuit-breaker", {"tripped_duration": "121s"}, 2225),
    ("circuit-breaker", {"num_buckets": 11}, 2219),
    ("circuit-breaker", {"num_buckets": 10}, None),
])
def test_configuration(action, config, number):
    config = {k: v for k, v in config.items() if v is not None}
    assert problems(on_request((action, config))) == ([number] if number else [])


# ---- restrict-ips ----


@pytest.mark.parametrize("config, allowed, cidr", [
    ({"allow": ["127.0.0.1"]}, True, "127.0.0.1/32"),
    ({"allow": ["10.0.0.0/8", "127.1.2.3/8"]}, True, "127.0.0.0/8"),
    ({"allow": ["10.0.0.0/8", "::/0"]}, False, ""),
    ({"allow": ["0.0.0.0/0"], "deny": ["127.0.0.0/30"]}, False, "127.0.0.0/30"),
    ({"deny": ["10.0.0.0/8"]}, False, ""),
    ({"allow": ["::ffff:127.0.0.1"]}, True, "127.0.0.1/32"),
    ({"allow": ["${'127.0.0.' + '0/24'}"]}, True, "127.0.0.0/24"),
    ({"ip_policies": ["here"]}, True, "127.0.0.0/8"),
    ({"ip_policies": ["elsewhere"]}, False, ""),
    ({"ip_policies": ["here", "not-me"]}, False, "127.0.0.1/32"),
    ({"allow": ["127.0.0.1"], "ip_policies": ["elsewhere"]}, True, "127.0.0.1/32"),
])
def test_restrict_ips(guarded, config, allowed, cidr):
    """Enforced, and as a result only."""
    g = guarded(merge(
        on_request(("restrict-ips", config), expressions=["req.url.path == '/hello'"]),
        on_request(("restrict-ips", {**config, "enforce": False})), result_of("restrict_ips")))
    answer = g.request("/hello", headers=[("X-Forwarded-For", "10.1.1.1")])
    if allowed:
        assert answer.status == 200
    else:
        assert failed(answer, 3203, 403)
    assert event_of(g, "/hello")["ip_policy"]["decision"] == ("allow" if allowed else "block")
    assert json.loads(g.request("/x").text) == {
        "action": "allow" if allowed else "deny", "matched_cidr": cidr,
        "error": {"code": "", "message": ""}}


def test_restrict_ips_that_cannot_be_read(guarded):
    g = guarded(on_request(("restrict-ips", {"allow": ["${req.url.query}"]})))
    assert failed(g.request("/hello?nonsense"), 2253, 500)
    assert failed(g.request("/hello?10.0.0.0/8"), 3203, 403)
    assert g.request("/hello?127.0.0.1").status == 200


def test_restrict_ips_of_a_response(guarded):
    """The denial stands in the place of what the upstream answered."""
    g = guarded(on_response(("restrict-ips", {"allow": ["10.0.0.0/8"]}),
                            ("add-headers", {"headers": {"x-after": "1"}})))
    with g.conn() as conn:
        for target in ("/hello", "/bytes/300000"):
            answer = conn.get(target)
            assert failed(answer, 3203, 403)
            assert answer.header("x-after") is None and "hello from" not in answer.text
    assert len(g.app.seen) == 2


def test_restrict_ips_of_a_connection(guarded):
    g = guarded(merge(
        rule("on_tcp_connect", ("restrict-ips", {"ip_policies": ["elsewhere"], "enforce": False})),
        answer_with("actions.ngrok.restrict_ips.action")))
    assert g.request().text == "deny"


def test_restrict_ips_with_an_unknown_policy(scene):
    document = on_request(("restrict-ips", {"ip_policies": ["here", "nowhere"]}))
    ssh = scene.ssh(command="policy check", stdin=stdin_of(text_of(document)))
    assert ssh.wait_exit() == 1
    assert any("error[ERR_SALLYPORT_2216]" in line and "nowhere" in line for line in ssh.out)


# ---- basic-auth ----


def basic(text, scheme="Basic"):
    return [("Authorization", f"{scheme} {base64.b64encode(text.encode()).decode()}")]


def test_basic_auth(guarded):
    g = guarded(merge(on_request(("basic-auth", {
        "credentials": ["ann:pass:word", {"username": "bob", "password": "hunter22"}, "é:ü€ü€ü€ü€"],
        "realm": 'the "staff"'})),
        on_response(("add-headers", {"headers": {"x-after": "1"}}))))
    with g.conn() as conn:
        for given in ("ann:pass:word", "bob:hunter22", "é:ü€ü€ü€ü€"):
            answer = conn.get("/echo", basic(given))
            assert answer.status == 200, given
            assert basic(given)[0] in [tuple(h) for h in json.loads(answer.text)["headers"]]
        assert conn.get("/hello", basic("bob:hunter22", "bASIC")).status == 200
        for given in ([], basic("ann:pass"), basic("ann:pass:word "), basic("bob"), basic(""),
                      basic("ann:pass:word", "Bearer"), [("Authorization", "Basic ?")],
                      [("Authorization", "Basic")], basic("x:" + 5000 * "y")):
            answer = conn.get("/hello", given)
            assert failed(answer, 3401, 401)
            assert answer.header("www-authenticate") == \
                'Basic realm="the \\"staff\\"", charset="UTF-8"'
            assert answer.header("x-after") is None
    assert len(g.app.seen) == 4


def hashes():
    password = "correct horse"
    settings = {"bcrypt": "$2b$05$" + 21 * "a" + "u", "sha512": "$6$rounds=1000$saltsalt$",
                "sha256": "$5$saltsalt$", "yescrypt": "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$"}
    return {name: crypt.crypt(password, salt) for name, salt in settings.items()}


def test_basic_auth_with_hashes(guarded):
    """Hashes of crypt(5) are verified off the loop, several at once."""
    made = hashes()
    g = guarded(on_request(("basic-auth", {"credentials": [
        *(f"{name}:{value}" for name, value in made.items()), "plain:password"]})))

    def ask(pair):
        return g.request("/hello", basic(pair), seconds=60).status

    pairs = [f"{name}:correct horse" for name in made] + ["plain:password"]
    wrong = [f"{name}:{value}" for name, value in made.items()] + \
        [f"{name}:battery staple" for name in made]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, pairs + wrong)) == len(pairs) * [200] + len(wrong) * [401]
        assert list(pool.map(ask, pairs + wrong)) == len(pairs) * [200] + len(wrong) * [401]


def test_basic_auth_that_does_not_enforce(guarded):
    g = guarded(merge(on_request(("basic-auth", {"credentials": ["ann:password"],
                                                 "enforce": False})),
                      result_of("basic_auth.credentials")))
    with g.conn() as conn:
        for given, result in (
                ([], {"presented": False, "username": "", "authorized": False}),
                (basic("ann:password"), {"presented": True, "username": "ann",
                                         "authorized": True}),
                (basic("eve:password"), {"presented": True, "username": "eve",
                                         "authorized": False})):
            assert json.loads(conn.get("/", given).text) == result


def test_basic_auth_event(guarded):
    g = guarded(on_request(("basic-auth", {"credentials": ["ann:password"]})))
    assert g.request("/yes", basic("ann:password")).status == 404
    assert g.request("/no", basic("ann:wrong-one")).status == 401
    assert event_of(g, "/yes")["basic_auth"] == {"decision": "allow", "username": "ann"}
    assert event_of(g, "/no")["basic_auth"]["decision"] == "block"


def test_basic_auth_twice(guarded):
    """Every one must pass."""
    g = guarded(on_request(
        ("basic-auth", {"credentials": ["ann:password", "bob:password"]}),
        ("basic-auth", {"credentials": ["bob:password", "eve:password"], "realm": "second"})))
    assert [g.request("/hello", basic(f"{user}:password")).status
            for user in ("ann", "bob", "eve")] == [401, 200, 401]


def test_basic_auth_with_secrets(guarded, scene, tmp_path):
    """The password is in a vault; a change counts after a reload."""
    vault = tmp_path / "vaults/alice/team"
    vault.mkdir(parents=True)
    (vault / "password").write_text("first password\n")
    (vault / "pair").write_text("bob:whole credential")
    (vault / "short").write_text("short")
    scene.start_gateway({"vaults": str(tmp_path / "vaults")})
    g = guarded(on_request(("basic-auth", {"credentials": [
        "ann:${secrets.get('team', 'password')}", "${secrets.get('team', 'pair')}",
        "short:${secrets.get('team', 'short')}"]})))

    def status(pair):
        return g.request("/hello", basic(pair)).status

    assert [status(p) for p in ("ann:first password", "bob:whole credential", "short:short",
                                "ann:first password\n")] == [200, 200, 401, 401]
    (vault / "password").write_text("second password")
    scene.gateway.reload()
    wait_until(lambda: status("ann:second password") == 200, "the new password")
    wait_until(lambda: status("ann:first password") == 401, "the end of the old one")


def test_secret_of_another_account(guarded, scene, tmp_path):
    (tmp_path / "vaults/bob/team").mkdir(parents=True)
    (tmp_path / "vaults/bob/team/key").write_text("not for alice")
    scene.start_gateway({"vaults": str(tmp_path / "vaults")})
    with pytest.raises(AssertionError, match="ERR_SALLYPORT_2224.*there is no secret"):
        guarded(answer_with("secrets.get('team', 'key')"))
    g = guarded(answer_with("secrets.get('team', req.url.query)"))
    answer = g.request("/x?key")
    assert answer.status == 500 and "not for" not in answer.text


# ---- rate-limit ----


def limit(**changes):
    return on_request(("rate-limit", {**RATE, **changes}))


def test_rate_limit(guarded):
    g = guarded(merge(limit(capacity=2), on_response(
        ("add-headers", {"headers": {"x-after": "1"}}))))
    with g.conn() as conn:
        assert [conn.get("/hello").status for _ in range(2)] == [200, 200]
        answer = conn.get("/hello")
    assert answer.status == 429 and answer.error_code is None
    assert 1 <= int(answer.header("retry-after")) <= 86400
    assert answer.header("x-after") is None
    assert len(g.app.seen) == 2


def test_rate_limit_by_key(guarded):
    """All values together are the key; parts do not run into each other."""
    g = guarded(limit(bucket_key=["getQueryParam('a').join(',')", "getQueryParam('b').join(',')"]))
    with g.conn() as conn:
        got = [conn.get("/hello?" + q).status for q in
               ("a=1&b=2", "a=1&b=2", "a=2&b=2", "a=12&b=", "a=&b=12", "a=1", "a=1&b=")]
    assert got == [200, 429, 200, 200, 200, 200, 429]


def test_rate_limit_results(guarded):
    g = guarded(merge(limit(enforce=False, bucket_key=["req.url.query"]), result_of("rate_limit")))
    with g.conn() as conn:
        for q, limited in (("x", False), ("x", True), ("y", False)):
            result = json.loads(conn.get("/?" + q).text)
            assert result["limited"] is limited
            assert q in result["bucket_key"]
            assert result["error"]["code"] == ""


def test_rate_limit_whose_key_fails(guarded):
    g = guarded(limit(bucket_key=["req.headers['none'][0]"]))
    answer = g.request("/hello")
    assert answer.status == 500 and not g.app.seen


def test_rate_limit_is_exact_over_workers(guarded):
    """Requests at once on many connections: as many pass as may."""
    g = guarded(limit(capacity=37))
    gate = threading.Barrier(10)

    def ask(_):
        with g.conn() as conn:
            gate.wait()
            return [conn.get("/hello").status for _ in range(12)]

    with ThreadPoolExecutor(10) as pool:
        got = sum(pool.map(ask, range(10)), [])
    assert got.count(200) == 37 and got.count(429) == len(got) - 37
    assert len(g.app.seen) == 37


def test_rate_limit_outlives_the_session(guarded, scene):
    """A user who opens the tunnel again has not got rid of the count; other numbers begin anew."""
    name = scene.name()
    for config, statuses in ((limit(capacity=2), [200, 200, 429]),
                             (limit(capacity=2), [429, 429, 429]),
                             (limit(capacity=1), [200, 429, 429])):
        g = guarded(config, name=name)
        assert [g.request("/hello").status for _ in range(3)] == statuses
        g.tunnel.stop()


# ---- circuit-breaker ----


def breaker(**changes):
    """One whose window and whose open time no test sees end."""
    return on_request(("circuit-breaker", {
        "error_threshold": 0.5, "volume_threshold": 4, "window_duration": "120s",
        "tripped_duration": "120s", **changes}))


def statuses(g, *targets):
    with g.conn() as conn:
        return [conn.get(target).status for target in targets]


def test_circuit_breaker(guarded):
    """Opens at half of four."""
    g = guarded(breaker())
    assert statuses(g, "/status/200", "/status/404", "/status/500", "/status/503") == \
        [200, 404, 500, 503]
    assert failed(g.request("/hello"), 3202, 503)
    assert failed(g.request("/blocked"), 3202, 503)
    assert event_of(g, "/status/404")["circuit_breaker"]["decision"] == "allow"
    assert event_of(g, "/blocked")["circuit_breaker"]["decision"] == "block"
    assert len(g.app.seen) == 4


def test_circuit_breaker_lets_one_try(guarded):
    """After its time one request passes, and the others wait for a second more; it closes when that
    one goes well."""
    g = guarded(breaker(tripped_duration="1s"))
    held = threading.Event()

    def hold(conn, request):
        g.app.skip(conn, request)
        held.wait(60)
        conn.respond(b"held")

    g.app.route("/held", hold)
    assert statuses(g, "/status/500", "/status/500", "/status/500", "/status/500") == 4 * [500]
    with ThreadPoolExecutor(1) as pool:
        answer = begin = None

        def trial_runs():
            nonlocal answer, begin
            if answer is None or answer.done():
                begin = time.monotonic()
                answer = pool.submit(g.request, "/held", seconds=60)
            return any(r.target == "/held" for r in g.app.seen)

        wait_until(trial_runs, "the trial request")
        other = g.request("/hello")
        # A trial that is not over by then is replaced by another one.
        assert time.monotonic() - begin > 1 or failed(other, 3202, 503)
        held.set()
        assert answer.result().status == 200
    assert statuses(g, "/hello", "/status/500", "/hello") == [200, 500, 200]
    gateway = g.scene.gateway
    gateway.wait_log(lambda e: e.get("circuit_breaker", {}).get("decision") == "allow_while_open"
                     and e["http"]["request"]["url"]["host"].startswith(g.host), what="the trial")


def test_circuit_breaker_trial_that_fails(guarded):
    """It opens the breaker anew."""
    g = guarded(breaker(error_threshold=1.0, volume_threshold=1, tripped_duration="1s"))
    assert g.request("/status/500").status == 500

    def fails():
        begin = time.monotonic()
        got = statuses(g, "/status/502", "/status/502")
        assert got != [502, 502] or time.monotonic() - begin > 1
        return got == [502, 503]

    wait_until(fails, "a trial, and one that is refused behind it")
    wait_until(lambda: g.request("/hello").status == 200, "the second trial")


def test_circuit_breaker_without_upstream(guarded):
    """No answer is an error too; what the gateway answers by itself is none."""
    g = guarded(merge(on_request(("custom-response", {"status_code": 500}),
                                 expressions=["req.url.path == '/own'"]),
                      breaker(volume_threshold=2)))
    g.app.stop_listening()
    assert statuses(g, "/own", "/own", "/own") == [500, 500, 500]
    assert failed(g.request("/a"), 8012, 502)
    assert failed(g.request("/b"), 8012, 502)
    assert failed(g.request("/c"), 3202, 503)


def test_circuit_breaker_counts_in_time(guarded):
    """Requests leave the window, and count until then."""
    g = guarded(breaker(error_threshold=1.0, volume_threshold=2))
    assert statuses(g, "/status/200", "/status/500", "/status/500", "/hello") == \
        [200, 500, 500, 200]
    g = guarded(breaker(error_threshold=1.0, volume_threshold=2, window_duration="1s"))
    assert g.request("/status/200").status == 200
    wait_until(lambda: g.request("/status/500").status == 503, "only errors in the window")


def test_circuit_breaker_that_does_not_enforce(guarded):
    g = guarded(breaker(error_threshold=0.0, volume_threshold=1, enforce=False))
    assert statuses(g, "/status/500", "/status/500", "/hello") == [500, 500, 200]


def test_circuit_breaker_with_threshold_zero(guarded):
    """A ratio of 0 satisfies a threshold of 0."""
    g = guarded(breaker(error_threshold=0, volume_threshold=1))
    assert statuses(g, "/status/200", "/status/200") == [200, 503]


# ---- user-agent-filter ----

AGENTS = [
    # flags, User-Agent, may pass
    ("--ua-filter-deny=curl,wget", "curl/8.1", False),
    ("--ua-filter-deny=curl --ua-filter-deny wget", "Wget; wget/1", False),
    ("--ua-filter-deny curl", "Mozilla/5.0", True),
    ("--ua-filter-deny curl", None, False),
    (r"--ua-filter-allow=(foo/(\d)+.(\d)+),(bar/(\d)+.(\d)+)", "bar/1.2", True),
    (r"--ua-filter-allow=(foo/(\d)+.(\d)+),(bar/(\d)+.(\d)+)", "baz/1.2", False),
    ("--ua-filter-allow ^$", None, True),
    ("--ua-filter-allow curl/8 --ua-filter-deny curl", "curl/8.1", True),
    ("--ua-filter-allow curl/8 --ua-filter-deny curl", "curl/7.1", False),
]


@pytest.mark.parametrize("flags, agent, may", AGENTS, ids=[f"{f}|{a}" for f, a, _ in AGENTS])
def test_flags_filter_user_agents(scene, flags, agent, may):
    """Refused with 403 and E3211 before the upstream is asked."""
    app = scene.app()
    tunnel = scene.tunnel(app, flags=flags)
    headers = [("User-Agent", agent)] if agent else []
    response = scene.get(tunnel, headers=headers)
    if may:
        assert response.status == 200
    else:
        assert failed(response, 3211, 403) and app.seen == []


def test_action_filters_user_agents(guarded):
    """The same in a document; the first field counts."""
    g = guarded(on_request(("user-agent-filter", {"deny": ["bad"]})))
    assert g.request(headers=[("User-Agent", "good"), ("User-Agent", "bad")]).status == 200
    assert failed(g.request(headers=[("User-Agent", "bad"), ("User-Agent", "good")]), 3211, 403)


def test_bad_user_agent_pattern_is_refused(scene):
    """E2090, and nothing is opened."""
    ssh = scene.ssh("443:127.0.0.1:9", command="http --ua-filter-deny (")
    assert ssh.wait_exit() == 1
    assert "ERR_SALLYPORT_2090" in "\n".join(ssh.err), ssh.describe()
