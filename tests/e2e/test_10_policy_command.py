"""`sallyport policy check` and `sallyport policy eval`: what they print, where, and how they exit."""

import json
import subprocess

import pytest

from lib.gateway import BINARY

GOOD = """
on_http_request:
  - expressions: ["req.host == 'a'"]
    actions: [{type: deny}]
"""

BAD = """
on_http_request:
  - name: bots
    expressions:
      - "req.host == nope"
    actions:
      - type: dney
"""


def policy(*args, stdin=""):
    return subprocess.run([BINARY, "policy", *map(str, args)], input=stdin, capture_output=True,
                          text=True, timeout=60, check=False)


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path
    return write


# ---- check ----


def test_check_of_good_files_prints_nothing_on_stdout(write):
    paths = write("a.yml", GOOD), write("b.json", '{"on_http_request": [{"actions": [{"type": "deny"}]}]}')
    out = policy("check", *paths)
    assert (out.returncode, out.stdout) == (0, "")
    assert out.stderr == "2 files checked: 0 errors, 0 warnings\n"


def test_check_prints_every_problem_with_its_place(write):
    path = write("bad.yml", BAD)
    out = policy("check", path)
    assert out.returncode == 1
    assert out.stdout == (
        f"{path}:5:22: error[ERR_SALLYPORT_2200]: on_http_request[0].expressions[0]: "
        "unknown variable nope (rule 'bots')\n"
        f"{path}:7:15: error[ERR_SALLYPORT_2201]: on_http_request[0].actions[0].type: "
        "unknown action 'dney' (rule 'bots')\n"
        "    hint: did you mean 'deny'?\n")
    assert out.stderr == "1 file checked: 2 errors, 0 warnings\n"


def test_check_warnings_do_not_fail(write):
    out = policy("check", write("old.yml", GOOD.replace("on_http_request", "inbound")))
    assert out.returncode == 0
    assert "warning: 'inbound' is an old name of 'on_http_request'" in out.stdout


def test_check_reads_standard_input():
    assert policy("check", "-", stdin=GOOD).returncode == 0
    out = policy("check", "-", stdin=BAD)
    assert out.returncode == 1 and out.stdout.startswith("<stdin>:5:22: ")


def test_check_goes_on_behind_a_file_that_cannot_be_read(write, tmp_path):
    out = policy("check", tmp_path / "none.yml", tmp_path, write("bad.yml", BAD))
    assert out.returncode == 1
    assert f"{tmp_path}/none.yml: error: cannot open it: No such file" in out.stdout
    assert f"{tmp_path}: error: cannot read it: Is a directory" in out.stdout
    assert "unknown action 'dney'" in out.stdout
    assert out.stderr == "3 files checked: 4 errors, 0 warnings\n"


def test_check_takes_a_document_of_any_bytes(write, tmp_path):
    """What is no text, or far too large, is one ordinary problem."""
    large = write("large.yml", "#" * (1 << 20))
    assert "it has more than 262144 bytes" in policy("check", large).stdout
    (tmp_path / "bytes.yml").write_bytes(bytes(range(256)))
    assert "2236" in policy("check", tmp_path / "bytes.yml").stdout


# ---- eval ----


@pytest.mark.parametrize("expression, value", [
    ("1 + 2", 3),
    ("'a' + \"\\n\"", "a\n"),
    ("[1, 2.5, true, null, 'x'].map(x, x)", [1, 2.5, True, None, "x"]),
    ("{'b': 1, 'a': {'c': [duration('90s')]}}", {"a": {"c": ["90s"]}, "b": 1}),
    ("timestamp('2024-07-13T00:10:16Z').getHours('America/New_York')", 20),
    ("'x'.matches('^[a-z]$') && cidr('10.0.0.0/8').containsIP('10.1.2.3')", True),
])
def test_eval_prints_the_value_as_json(expression, value):
    out = policy("eval", expression)
    assert out.returncode == 0, out.stderr
    assert json.loads(out.stdout) == value and out.stdout.count("\n") == 1


def test_eval_knows_the_variables_of_the_file(write):
    path = write("vars.json", json.dumps({
        "req": {"method": "GET", "headers": {"x-a": ["1"]}}, "res.status_code": 200, "n": [1, 2]}))
    out = policy("eval", "[req.method, req.headers['x-a'][0], res.status_code + 1, n.size(), "
                         "has(req.nope)]", "--vars", path)
    assert (out.returncode, json.loads(out.stdout)) == (0, ["GET", "1", 201, 2, False])


def test_eval_points_at_what_is_wrong():
    out = policy("eval", "'é' == req.host")
    assert (out.returncode, out.stdout) == (1, "")
    assert out.stderr == "error: unknown variable req\n  'é' == req.host\n         ^\n"
    out = policy("eval", "true &&\n  nope")
    assert out.stderr.endswith("    nope\n    ^\n")


def test_eval_of_an_error_value_fails():
    out = policy("eval", "[1][3]")
    assert (out.returncode, out.stdout) == (1, "")
    assert out.stderr == "error: the index is outside of the list\n"


def test_eval_needs_a_file_of_variables(write, tmp_path):
    for path in (tmp_path / "none.json", write("list.json", "[1]"), write("no.json", "{")):
        out = policy("eval", "1", "--vars", path)
        assert out.returncode == 1 and str(path) in out.stderr


@pytest.mark.parametrize("args", [[], ["check"], ["eval"], ["eval", "1", "2"], ["nope"],
                                  ["eval", "1", "--vars"]])
def test_usage(args):
    out = policy(*args)
    assert out.returncode == 2 and "sallyport policy check FILE..." in out.stderr
