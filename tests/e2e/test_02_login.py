"""Who may log in, with what, from where, and what a logged-in user cannot do."""

import datetime
import re
import socket
import stat
import subprocess

import pytest

from lib.content import content
from lib.gateway import Gateway
from lib.ports import free_port
from lib.process import Process
from lib.tunnel import SSH_ENV, host_of, ssh_options
from lib.wait import wait_until


@pytest.fixture
def own(scene):
    """A gateway of the test's own with these lines of authorized_keys."""

    def start(*lines, **kw):
        return scene.start_gateway(authorized=lines, **kw)

    return start


def refused(ssh, pattern=r"Permission denied|ERR_SALLYPORT"):
    assert ssh.wait_exit() == 255, ssh.describe()
    assert re.search(pattern, "\n".join(ssh.err)), ssh.describe()
    assert ssh.out == []


# ---- user names and methods ----


@pytest.mark.parametrize("user", ["v2", "v1", "bob", "root", "V2", "v", "v2x"])
def test_any_user_name_is_taken(scene, user):
    """Every name but another v<digits> is the newest syntax."""
    app = scene.app()
    name = scene.name()
    ssh = scene.ssh(f"{name}.example.test:443:127.0.0.1:{app.port}", user=user)
    assert host_of(ssh.url) == f"{name}.example.test"
    assert scene.get(f"{name}.example.test").status == 200


def test_other_user_name_gets_a_note(scene):
    """A name that selects no syntax is accepted with a note that names v2."""
    app = scene.app()
    ssh = scene.ssh(f"note.example.test:443:127.0.0.1:{app.port}", user="bob")
    assert ssh.url
    ssh.wait_err(r"\bv2\b")


@pytest.mark.parametrize("user", ["v9", "v3", "v0", "v22"])
def test_unknown_syntax_version_gets_a_note(scene, user):
    """v<digits> other than v1 and v2 is the newest syntax too; the note names both."""
    ssh = scene.ssh("v9.example.test:443:127.0.0.1:9", user=user)
    assert ssh.url
    ssh.wait_err(rf"\b{user}\b.*\bv2\b")


def test_version_one_takes_single_dashes(scene):
    """v1 is the old syntax: -auth user:password."""
    tunnel = scene.tunnel(scene.app(), flags="-auth user:password1", user="v1")
    assert scene.get(tunnel).status == 401


def test_only_public_keys_are_offered(scene):
    """Password and keyboard-interactive are not even offered."""
    ssh = scene.ssh("x.example.test:443:127.0.0.1:9", key=None,
                    options=("PreferredAuthentications=password,keyboard-interactive",
                             "PubkeyAuthentication=no"))
    refused(ssh, r"Permission denied \(publickey\)")


def test_unknown_key_is_refused_with_a_reason(scene):
    """A stranger's key: refused, and a banner says that the key is not registered."""
    refused(scene.ssh("x.example.test:443:127.0.0.1:9", key="stranger"),
            r"ERR_SALLYPORT_1102\b")


def test_no_key_is_refused_with_a_reason(scene):
    """Nothing offered at all: 'no public key received', or plain refusal."""
    ssh = scene.ssh("x.example.test:443:127.0.0.1:9", key=None,
                    options=("IdentityFile=none",))
    refused(ssh, r"Permission denied \(publickey\)|ERR_SALLYPORT_1100")


@pytest.mark.parametrize("key", ["alice", "ecdsa", "rsa"])
@pytest.mark.parametrize("host_key", ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512"])
def test_key_types(scene, key, host_key):
    """Ed25519, ECDSA and RSA work on both sides."""
    ssh = scene.ssh(command="version", key=key,
                    options=(f"HostKeyAlgorithms={host_key}", "UserKnownHostsFile=/dev/null"))
    assert ssh.wait_exit() == 0, ssh.describe()


WEAK = ["KexAlgorithms=diffie-hellman-group14-sha1", "KexAlgorithms=diffie-hellman-group1-sha1",
        "Ciphers=aes128-cbc", "Ciphers=3des-cbc", "MACs=hmac-sha1,hmac-md5",
        "HostKeyAlgorithms=ssh-rsa"]


@pytest.mark.parametrize("option", WEAK)
def test_weak_algorithms_are_not_negotiated(scene, option):
    """Only strong algorithms are offered."""
    options = [option, "UserKnownHostsFile=/dev/null"]
    if option.startswith("MACs"):
        options.append("Ciphers=aes128-ctr")
    ssh = scene.ssh(command="version", options=options)
    refused(ssh, r"no matching|Unable to negotiate|Connection (closed|reset)")


def test_sha1_signatures_are_refused(scene):
    """An RSA key with ssh-rsa (SHA-1) signatures does not log in."""
    ssh = scene.ssh(command="version", key="rsa",
                    options=("PubkeyAcceptedAlgorithms=ssh-rsa", "ConnectTimeout=5"))
    assert ssh.wait_exit(40) == 255
    assert ssh.out == []


CIPHERS = ["chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com",
           "aes128-ctr", "aes256-ctr"]


@pytest.mark.parametrize("cipher", CIPHERS)
def test_strong_ciphers_carry_a_transfer(scene, cipher):
    """1 MiB through each cipher."""
    tunnel = scene.tunnel(scene.app(), options=(f"Ciphers={cipher}",))
    assert scene.get(tunnel, "/bytes/1048576").body == content(1048576)


def test_compression_request_does_no_harm(scene):
    """ssh -C works, whatever is negotiated."""
    tunnel = scene.tunnel(scene.app(), args=("-C",))
    assert scene.get(tunnel).status == 200


def test_host_keys_are_private_and_stay(scene):
    """Host keys are made at first start with mode 0600, the state directory 0700, and are kept."""
    gateway = scene.start_gateway(makes_keys=True)
    assert stat.S_IMODE(gateway.state.stat().st_mode) == 0o700
    secret = [p for p in gateway.state.rglob("*") if p.is_file()
              and b"PRIVATE KEY" in p.read_bytes()]
    assert len(secret) >= 4, "three host keys and the CA key"
    assert {stat.S_IMODE(p.stat().st_mode) for p in secret} == {0o600}
    before = {p: p.read_bytes() for p in secret}
    assert scene.ssh(command="version").wait_exit() == 0
    gateway.wait_idle()
    assert gateway.terminate() == 0
    gateway.log.clear()
    gateway.start()
    assert {p: p.read_bytes() for p in secret} == before


def test_certificate_is_passed_over_for_the_plain_key(scene, tmp_path):
    """A client that offers a user certificate first still logs in by its plain key."""
    key = scene.keys.alice
    ca = scene.keys.get("ca")
    copy = tmp_path / "id"
    copy.write_bytes(key.path.read_bytes())
    copy.chmod(0o600)
    (tmp_path / "id.pub").write_text(key.public + "\n")
    subprocess.run(["ssh-keygen", "-q", "-s", ca.path, "-I", "alice", "-n", "v2",
                    tmp_path / "id.pub"], check=True)
    ssh = scene.ssh(command="version", key=None,
                    options=(f"IdentityFile={copy}", f"CertificateFile={tmp_path}/id-cert.pub"))
    assert ssh.wait_exit() == 0, ssh.describe()


def test_some_wrong_keys_before_the_right_one(scene):
    """An agent full of other keys is no problem below max_auth_tries."""
    wrong = [scene.keys.get(f"wrong{i}") for i in range(5)]
    ssh = scene.ssh(command="version", key=None,
                    options=[f"IdentityFile={k.path}" for k in [*wrong, scene.keys.alice]])
    assert ssh.wait_exit() == 0, ssh.describe()


# ---- what a session cannot do ----


def test_no_subsystem(scene):
    """sftp is refused."""
    sftp = scene.keep(Process(["sftp", "-F", "none", "-P", scene.gateway.ssh_port,
                               *ssh_options(scene.gateway), "-i", scene.keys.alice.path,
                               "v2@127.0.0.1"], SSH_ENV), "stop")
    assert sftp.wait_exit() != 0


def test_no_agent_and_no_x11_forwarding(scene):
    """-A and -X are not honoured and do not break the tunnel."""
    tunnel = scene.tunnel(scene.app(), args=("-A", "-X"))
    assert scene.get(tunnel).status == 200


def test_no_local_forwarding(scene):
    """-L: connections through the gateway are refused, nothing is reached."""
    up = scene.scripted()
    port = free_port()
    tunnel = scene.tunnel(scene.app(), args=("-L", f"127.0.0.1:{port}:127.0.0.1:{up.port}"))
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.settimeout(10)
        s.sendall(b"hello")
        try:
            assert s.recv(100) == b""
        except ConnectionResetError:
            pass
    tunnel.wait_err(r"administratively prohibited|open failed|unknown channel type")
    assert up.connections == []
    assert scene.get(tunnel).status == 200


def test_no_stdio_forwarding(scene):
    """-W: refused."""
    up = scene.scripted()
    ssh = scene.ssh(command=None, args=("-W", f"127.0.0.1:{up.port}"))
    assert ssh.wait_exit() == 255
    assert up.connections == []


def test_no_tun_device(scene):
    """-w: refused."""
    ssh = scene.ssh(command="http", args=("-w", "any:any"))
    assert ssh.wait_exit() != 0


def test_environment_is_not_a_way_in(scene):
    """SetEnv is ignored."""
    tunnel = scene.tunnel(scene.app(), options=("SetEnv=LD_PRELOAD=/x PATH=/y",))
    assert scene.get(tunnel).status == 200


# ---- options of authorized_keys ----


def utc(seconds):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return when.strftime("%Y%m%d%H%M%SZ")


def test_expired_key_is_refused(scene, own):
    """expiry-time in the past: refused with E300; in the future: taken."""
    own(scene.keys.alice.line(f'expiry-time="{utc(-3600)}"'),
        scene.keys.bob.line(f'expiry-time="{utc(3600)}"'))
    refused(scene.ssh(command="version"), r"ERR_SALLYPORT_300\b")
    assert scene.ssh(command="version", key="bob").wait_exit() == 0


def test_from_limits_the_address(scene, own):
    """from="CIDR,...": other addresses are refused with E116."""
    own(scene.keys.alice.line('from="10.0.0.0/8,2001:db8::/32"'),
        scene.keys.bob.line('from="10.0.0.0/8,127.0.0.0/8"'))
    refused(scene.ssh(command="version"), r"ERR_SALLYPORT_116\b")
    assert scene.ssh(command="version", key="bob").wait_exit() == 0


BIND = [
    # bind rules, REMOTE, allowed
    (["ok.example.test"], "ok.example.test:443", True),
    (["ok.example.test"], "ok.example.test:80", True),
    (["ok.example.test"], "other.example.test:443", False),
    (["ok.example.test"], "443", False),
    (["ok.example.test", "more.example.test"], "more.example.test:443", True),
    (["*.team.example.test"], "a.team.example.test:443", True),
    (["*.team.example.test"], "a.b.team.example.test:443", True),
    (["*.team.example.test"], "*.team.example.test:443", True),
    (["*.team.example.test"], "team.example.test:443", False),
    (["*.example.test"], "443", True),
    (["*.gateway1.internal"], "a.gateway1.internal:443", True),
    (["*.gateway1.internal"], "gateway1.internal:443", False),
    (["ok.example.test:443"], "ok.example.test:443", False),
    (["k=v"], "443", False),
    (["k=*", "ok.example.test"], "ok.example.test:443", True),
    (["*"], "443", True),
    ([], "443", True),
]


@pytest.mark.parametrize("rules,remote,allowed", BIND,
                         ids=[f"{'+'.join(b[0]) or 'none'}|{b[1]}" for b in BIND])
def test_bind_limits_the_names(scene, own, rules, remote, allowed):
    """bind="RULE": what may be bound (spec 5.9); another name is refused with E316."""
    app = scene.app()
    own(scene.keys.alice.line(",".join(f'bind="{r}"' for r in rules)))
    ssh = scene.ssh(f"{remote}:127.0.0.1:{app.port}")
    if allowed:
        assert ssh.url
        return
    assert ssh.wait_exit() not in (0, None)
    assert re.search(r"ERR_SALLYPORT_316\b", "\n".join(ssh.err)), ssh.describe()


def test_key_without_account_is_the_default_account(scene, own):
    """Two keys without account share the account "default": no E320 between them, but E334."""
    app = scene.app()
    own(scene.keys.alice.line(), scene.keys.bob.line())
    scene.tunnel(app, name="shared")
    ssh = scene.ssh(f"shared.example.test:443:127.0.0.1:{app.port}", key="bob")
    assert ssh.wait_exit() != 0
    assert re.search(r"ERR_SALLYPORT_334\b", "\n".join(ssh.err)), ssh.describe()


BAD_LINES = [
    'command="/bin/sh" {key}', 'nonsense {key}', 'account= {key}', 'from="10.0.0.0/99" {key}',
    'expiry-time="yesterday" {key}', 'bind="a b" {key}', 'bind="tcp://a.example.test:1" {key}',
    'bind="*.example.test:80" {key}', 'connect="example.test" {key}', "ssh-ed25519 AAAAnonsense x",
    "ssh-dss AAAAB3NzaC1kc3MAAACB x", "{key}\n{key}",
]


@pytest.mark.parametrize("line", BAD_LINES, ids=[b[:20] for b in BAD_LINES])
def test_bad_line_stops_the_start_with_its_place(scene, tmp_path, line):
    """A bad authorized_keys: the start fails and the log names file and line."""
    (tmp_path / "g").mkdir()
    gateway = Gateway(tmp_path / "g", scene.keys, authorized=[
        "# a comment", "", line.format(key=scene.keys.alice.public)])
    with pytest.raises(AssertionError, match=r"authorized_keys:[34]"):
        gateway.start()
    assert gateway.process.wait_exit() == 1


# ---- changes while running ----


def test_new_key_works_after_the_file_changed(scene, own):
    """The file is watched: a key that was added logs in without a reload."""
    gateway = own(scene.keys.alice.line())
    refused(scene.ssh(command="version", key="bob"), r"ERR_SALLYPORT_1102\b")
    gateway.authorize(scene.keys.alice.line(), scene.keys.bob.line())
    wait_until(lambda: scene.ssh(command="version", key="bob").wait_exit() == 0,
               "login of the new key")


def test_new_key_works_after_hangup(scene, own):
    """SIGHUP loads the keys at once."""
    gateway = own(scene.keys.alice.line())
    gateway.authorize(scene.keys.alice.line(), scene.keys.bob.line())
    gateway.reload()
    wait_until(lambda: scene.ssh(command="version", key="bob").wait_exit() == 0,
               "login of the new key")


def test_revoked_key_ends_its_sessions(scene, own):
    """A key that disappears: its session ends with a reason, the others go on."""
    app = scene.app()
    gateway = own(scene.keys.alice.line(), scene.keys.bob.line('account="bob"'))
    gone = scene.tunnel(app, name="gone")
    stays = scene.tunnel(app, name="stays", key="bob")
    gateway.authorize(scene.keys.bob.line('account="bob"'))
    assert gone.wait_exit(10) not in (0, None), gone.describe()
    assert re.search(r"ERR_SALLYPORT_300\b|revoked", "\n".join(gone.err)), gone.describe()
    wait_until(lambda: scene.get("gone.example.test").error_code == "ERR_SALLYPORT_3200",
               "the name is offline")
    assert scene.get(stays).status == 200
    refused(scene.ssh(command="version"), r"ERR_SALLYPORT_1102\b")


def test_bad_change_keeps_the_old_keys(scene, own):
    """A broken file keeps the old set and is reported with its line."""
    gateway = own(scene.keys.alice.line())
    tunnel = scene.tunnel(scene.app())
    mark = gateway.mark()
    gateway.authorize(scene.keys.bob.line(), "nonsense here")
    gateway.wait_log(lambda e: "authorized_keys:2" in str(e), mark, "the problem's place")
    assert scene.get(tunnel).status == 200
    assert scene.ssh(command="version").wait_exit() == 0
