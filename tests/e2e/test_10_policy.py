"""Traffic policies as a user gives them: by ssh, with what is wrong said, and each phase."""

import json
import subprocess

import pytest

from lib.gateway import BINARY, DOMAIN, ROOT
from lib.policy import Guarded, answer_with, merge, on_request, on_response, rule, stdin_of, text_of

DENY = """
    on_http_request:
      - name: nobody deletes
        expressions: ["req.method == 'DELETE'"]
        actions:
          - type: deny
            config: {status_code: 405}
    """


@pytest.fixture
def guarded(scene):
    return lambda document, **kw: Guarded(scene, document, **kw)


# ---- giving a policy ----


def test_document_from_standard_input(guarded):
    g = guarded(DENY)
    assert g.request("/hello").status == 200
    refused = g.request("/hello", method="DELETE")
    assert refused.status == 405 and refused.body == b""


def test_document_in_json(guarded):
    g = guarded({"on_http_request": [{"actions": [{"type": "deny"}]}]})
    assert g.request("/hello").status == 403


def test_document_on_the_command_line(scene):
    up = scene.app()
    tunnel = scene.tunnel(up, flags="--traffic-policy "
                          "'{\"on_http_request\":[{\"actions\":[{\"type\":\"deny\"}]}]}'")
    assert scene.get(tunnel).status == 403
    assert not up.seen


def test_flags_run_around_the_document(guarded):
    """Guards in front of the user's rules, header changes behind them."""
    g = guarded(on_request(("add-headers", {"headers": {"x-a": "document"}})),
                flags="--basic-auth user:password --request-header-remove x-a "
                      "--request-header-add 'x-a: flag'")
    assert g.request().status == 401
    seen = g.echo(headers=[("Authorization", "Basic dXNlcjpwYXNzd29yZA==")])
    assert seen.header("x-a") == "flag"


BAD = """
    on_http_request:
      - expressions:
          - "req.method = 'GET'"
          - "req.nonsense"
        actions:
          - type: denny
          - type: deny
            config: {status: 403}
    """


def test_bad_document_is_refused_whole(scene):
    """Every problem is shown, and nothing is public."""
    app = scene.app()
    host = f"{scene.name()}.{DOMAIN}"
    ssh = scene.ssh(f"{host}:443:127.0.0.1:{app.port}", command="http --traffic-policy-file -",
                    stdin=stdin_of(text_of(BAD)))
    assert ssh.wait_exit() == 1
    errors = [line for line in ssh.err if "error[ERR_SALLYPORT_" in line]
    assert len(errors) == 4, ssh.err
    for code in ("2200", "2201", "2203"):
        assert any(f"[ERR_SALLYPORT_{code}]" in line for line in errors), errors
    assert any(line.startswith("policy:4:") for line in errors), errors
    assert any("ERR_SALLYPORT_9026" in line for line in ssh.err), ssh.err
    assert ssh.out == []


def test_policy_check(scene):
    """Checks without opening anything."""
    good = scene.ssh(command="policy check", stdin=stdin_of(text_of(DENY)))
    assert good.wait_exit() == 0
    bad = scene.ssh(command="policy check", stdin=stdin_of(text_of(BAD)))
    assert bad.wait_exit() == 1
    assert sum("error[ERR_SALLYPORT_" in line for line in bad.out) == 4, bad.out


def test_document_that_is_too_large(scene):
    ssh = scene.ssh(command="policy check", stdin=stdin_of("# " + "x" * 300_000))
    assert ssh.wait_exit() == 1
    assert any("larger than" in line for line in ssh.err), ssh.err


def test_document_that_does_not_come(scene):
    """ssh -n sends nothing: an empty document is no policy."""
    ssh = scene.ssh(f"{scene.name()}.{DOMAIN}:443:127.0.0.1:1",
                    command="http --traffic-policy-file -")
    assert ssh.wait_exit() == 1
    assert any("ERR_SALLYPORT_9026" in line for line in ssh.err), ssh.err


def test_file_name_is_explained(scene):
    ssh = scene.ssh(f"{scene.name()}.{DOMAIN}:443:127.0.0.1:1",
                    command="http --traffic-policy-file policy.yml")
    assert ssh.wait_exit() == 1
    assert any("--traffic-policy-file - <" in line for line in ssh.err), ssh.err


def test_program_checks_files(tmp_path):
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(text_of(DENY))
    bad.write_text(text_of(BAD))
    assert subprocess.run([BINARY, "policy", "check", good], check=False).returncode == 0
    done = subprocess.run([BINARY, "policy", "check", good, bad], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1
    assert f"{bad}:4:" in done.stdout + done.stderr


@pytest.mark.parametrize("expression, value", [
    ("1 + 2", 3), ("'a' + 'b'", "ab"), ("[1, 2].map(x, x * 2)", [2, 4]), ("{'a': 1}.a", 1)])
def test_program_evaluates(expression, value):
    done = subprocess.run([BINARY, "policy", "eval", expression], capture_output=True, text=True,
                          check=True)
    assert json.loads(done.stdout) == value


def test_program_evaluates_with_variables(tmp_path):
    file = tmp_path / "vars.json"
    file.write_text(json.dumps({"req": {"method": "GET"}}))
    done = subprocess.run([BINARY, "policy", "eval", "req.method == 'GET'", "--vars", file],
                          capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is True


@pytest.mark.parametrize("example", sorted((ROOT / "etc/policies").glob("*.yml")),
                         ids=lambda path: path.name)
def test_example_policies_load(example):
    done = subprocess.run([BINARY, "policy", "check", example], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0 and "warning:" not in done.stdout + done.stderr, done


# ---- phases ----


def test_phases_in_order(guarded):
    """What a request rule changed, a response rule sees; results live on."""
    g = guarded(merge(
        on_request(("add-headers", {"headers": {"x-new": "1"}})),
        on_response(("add-headers", {"headers": {
            "x-seen": "${req.headers['x-new'][0]}",
            "x-added": "${actions.ngrok.add_headers.headers_added['x-new']}",
            "x-status": "${res.status_code}"}}))))
    answer = g.request("/hello")
    assert answer.header("x-seen") == "1"
    assert answer.header("x-added") == "1"
    assert answer.header("x-status") == "200"


def test_a_terminating_action_ends_the_phase(guarded):
    g = guarded(merge(
        on_request(("custom-response", {"status_code": 201, "body": "first"}),
                   expressions=["req.url.path == '/a'"]),
        on_request(("custom-response", {"body": "second"}))))
    assert g.request("/a").text == "first"
    assert g.request("/b").text == "second"
    assert not g.app.seen


def test_custom_response_passes_the_response_phase(guarded):
    g = guarded(merge(answer_with("'x'"),
                      on_response(("add-headers", {"headers": {"x-after": "yes"}}))))
    assert g.request().header("x-after") == "yes"


def test_a_refusal_does_not_pass_the_response_phase(guarded):
    g = guarded(merge(on_request("deny"),
                      on_response(("add-headers", {"headers": {"x-after": "yes"}}))))
    assert g.request().header("x-after") is None


def test_expression_that_fails_is_an_error(guarded):
    g = guarded(on_request("deny", expressions=["int(req.headers['x-n'][0]) > 1"]))
    answer = g.request("/hello")
    assert answer.status == 500 and answer.error_code == "ERR_SALLYPORT_2254"
    assert g.request("/hello", headers=[("x-n", "1")]).status == 200
    assert g.request("/hello", headers=[("x-n", "2")]).status == 403
    answer = g.request("/hello", headers=[("x-n", "secret-value")])
    assert answer.status == 500 and "secret-value" not in answer.text


def test_expression_that_fails_on_a_response(guarded):
    g = guarded(on_response(("add-headers", {"headers": {"x": "1"}}),
                            expressions=["int(res.headers['content-type'][0]) > 1"]))
    answer = g.request("/hello")
    assert answer.status == 500 and answer.error_code == "ERR_SALLYPORT_2254"
    assert "hello" not in answer.text


def test_interpolation_that_fails(guarded):
    g = guarded(on_request(("add-headers", {"headers": {"x": "${req.headers['none'][0]}"}})))
    answer = g.request("/hello")
    assert answer.status == 500 and answer.error_code == "ERR_SALLYPORT_2253"
    assert not g.app.seen


def test_tcp_connect(guarded):
    g = guarded(rule("on_tcp_connect", ("restrict-ips", {"allow": ["10.0.0.0/8"]})))
    with g.conn() as conn:
        conn.send(conn.request_bytes("GET", "/hello"))
        assert conn.read_all() == b""
    assert not g.app.seen


def test_tcp_connect_that_allows(guarded):
    g = guarded(merge(rule("on_tcp_connect", ("restrict-ips", {"allow": ["127.0.0.0/8"]})),
                      answer_with("actions.ngrok.restrict_ips.action")))
    assert g.request().text == "allow"


@pytest.mark.parametrize("phase, action, config", [
    ("on_tcp_connect", "add-headers", {"headers": {"a": "b"}}),
    ("on_tcp_connect", "basic-auth", {"credentials": ["user:password"]}),
    ("on_tcp_connect", "custom-response", {}),
    ("on_http_request", "compress-response", {}),
    ("on_http_request", "response-body-find-replace", {"replacements": [{"from": "a"}]}),
    ("on_http_request", "sse-find-replace", {"replacements": [{"from": "a"}]}),
    ("on_http_response", "basic-auth", {"credentials": ["user:password"]}),
    ("on_http_response", "circuit-breaker", {}),
    ("on_http_response", "close-connection", None),
    ("on_http_response", "deny", None),
    ("on_http_response", "forward-internal", {"url": "https://a.internal"}),
    ("on_http_response", "jwt-validation", {}),
    ("on_http_response", "rate-limit", {}),
    ("on_http_response", "redirect", {"to": "/"}),
    ("on_http_response", "request-body-find-replace", {"replacements": [{"from": "a"}]}),
    ("on_http_response", "sse-find-replace", {"replacements": [{"from": "a"}]}),
    ("on_http_response", "url-rewrite", {"to": "/"}),
    ("on_http_response", "verify-webhook", {"provider": "github", "secret": "x"}),
    ("on_tcp_connect", "circuit-breaker", {}),
    ("on_tcp_connect", "compress-response", {}),
    ("on_tcp_connect", "http-request", {"url": "https://example.com"}),
    ("on_tcp_connect", "jwt-validation", {}),
    ("on_tcp_connect", "redirect", {"to": "/"}),
    ("on_tcp_connect", "remove-headers", {"headers": ["a"]}),
    ("on_tcp_connect", "url-rewrite", {"to": "/"}),
    ("on_tcp_connect", "verify-webhook", {"provider": "github", "secret": "x"}),
    ("on_event_stream_message", "deny", None),
    ("on_event_stream_message", "add-headers", {"headers": {"a": "b"}}),
    ("on_event_stream_message", "log", {"metadata": {"a": "b"}}),
])
def test_action_in_a_phase_it_has_not(tmp_path, phase, action, config):
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({phase: [{"actions": [
        {"type": action, **({} if config is None else {"config": config})}]}]}))
    done = subprocess.run([BINARY, "policy", "check", file], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1
    assert "error[ERR_SALLYPORT_2202]" in done.stdout + done.stderr
    assert phase in done.stdout + done.stderr


@pytest.mark.parametrize("action", ["oauth", "openid-connect", "oidc", "saml", "ai-gateway",
                                    "owasp-crs-request", "owasp-crs-response"])
def test_action_that_is_not_here_yet(tmp_path, action):
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(on_request(action)))
    done = subprocess.run([BINARY, "policy", "check", file], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1
    assert "error[ERR_SALLYPORT_2201]" in done.stdout + done.stderr
