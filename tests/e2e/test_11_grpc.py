"""A gRPC client and server (python3-grpcio) through the gateway: HTTP/2 on both sides, unread by it."""

import threading
from concurrent import futures

import grpc
import pytest

from lib.content import content
from lib.wait import TIME_SCALE, wait_until

MIB = 1024 * 1024
SERVICE = "test.Bytes"
DETAILS = b"\x08\x05\x12\x09not found\xff"
#: What either side may send in one message; gRPC's own default is 4 MiB.
OPTIONS = [("grpc.max_receive_message_length", 32 * MIB), ("grpc.max_send_message_length", 32 * MIB)]


class Service(grpc.GenericRpcHandler):
    """Messages are bytes, so nothing needs to be generated."""

    def __init__(self):
        self.cancelled = threading.Event()
        self.begun = threading.Event()
        self.time_left = None

    def service(self, details):
        kind, _, name = details.method.rpartition("/")
        assert kind == f"/{SERVICE}"
        make = {"Echo": grpc.unary_unary_rpc_method_handler,
                "Metadata": grpc.unary_unary_rpc_method_handler,
                "Fail": grpc.unary_unary_rpc_method_handler,
                "Hang": grpc.unary_unary_rpc_method_handler,
                "Join": grpc.stream_unary_rpc_method_handler,
                "Split": grpc.unary_stream_rpc_method_handler,
                "FailLate": grpc.unary_stream_rpc_method_handler,
                "Forever": grpc.unary_stream_rpc_method_handler,
                "Talk": grpc.stream_stream_rpc_method_handler}.get(name)
        return make and make(getattr(self, name))

    def Echo(self, request, context):
        return request

    def Metadata(self, request, context):
        fields = dict(context.invocation_metadata())
        context.send_initial_metadata([("x-first", fields["x-text"])])
        context.set_trailing_metadata([("x-last-bin", fields["x-data-bin"])])
        return fields["user-agent"].encode()

    def Fail(self, request, context):
        context.set_trailing_metadata([("grpc-status-details-bin", DETAILS)])
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: ä/%")

    def Hang(self, request, context):
        self.time_left = context.time_remaining()
        context.add_callback(self.cancelled.set)
        self.begun.set()
        self.cancelled.wait(60 * TIME_SCALE)

    def Join(self, requests, context):
        return b"".join(requests)

    def Split(self, request, context):
        for i in range(0, len(request), 10):
            yield request[i:i + 10]

    def FailLate(self, request, context):
        yield b"one"
        yield b"two"
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")

    def Forever(self, request, context):
        context.add_callback(self.cancelled.set)
        while not self.cancelled.is_set():
            yield content(1000)

    def Talk(self, requests, context):
        for request in requests:
            yield b"heard " + request


class Peer:
    """A gRPC server on loopback."""

    def __init__(self, certificate=None):
        self.service = Service()
        self.server = grpc.server(futures.ThreadPoolExecutor(16), [self.service], options=OPTIONS)
        if certificate:
            pair = certificate.key.read_bytes(), certificate.file.read_bytes()
            self.port = self.server.add_secure_port("127.0.0.1:0",
                                                    grpc.ssl_server_credentials([pair]))
        else:
            self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def close(self):
        self.service.cancelled.set()
        self.server.stop(0).wait(10)


class Client:
    """Method names as attributes; each is a callable of its kind."""

    def __init__(self, gateway, host):
        authority = gateway.state / "ca.crt"
        self.channel = grpc.secure_channel(
            f"127.0.0.1:{gateway.https_port}", grpc.ssl_channel_credentials(authority.read_bytes()),
            [*OPTIONS, ("grpc.ssl_target_name_override", host),
             ("grpc.default_authority", f"{host}:{gateway.https_port}"),
             ("grpc.enable_http_proxy", 0)])

    def __getattr__(self, name):
        kind = {"Join": self.channel.stream_unary, "Talk": self.channel.stream_stream,
                "Split": self.channel.unary_stream, "FailLate": self.channel.unary_stream,
                "Forever": self.channel.unary_stream}.get(name, self.channel.unary_unary)
        return kind(f"/{SERVICE}/{name}")

    def close(self):
        self.channel.close()


@pytest.fixture(params=["h2c", "https-h2"])
def peer(request, stage):
    peer = Peer(stage.certificate if request.param == "https-h2" else None)
    peer.up = request.param
    yield peer
    peer.close()
    stage.wait_rest()


@pytest.fixture
def client(peer, stage):
    client = Client(stage.gateway, stage.host(peer.up, peer.port))
    yield client
    client.close()


SECONDS = 60 * TIME_SCALE


def failure(call):
    """The status that a call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


# ---- the four kinds ----


def test_unary(client):
    """Requests in turn, an empty message among them."""
    for message in (b"hello", b"", content(1000)):
        assert client.Echo(message, timeout=SECONDS) == message


def test_unary_at_once(client):
    """Fifty calls on one connection."""
    calls = [client.Echo.future(b"%d" % i, timeout=SECONDS) for i in range(50)]
    assert [call.result() for call in calls] == [b"%d" % i for i in range(50)]


def test_client_streaming(client):
    """Many messages up, one answer."""
    parts = [content(i * 7, i) for i in range(100)]
    assert client.Join(iter(parts), timeout=SECONDS) == b"".join(parts)


def test_server_streaming(client):
    """One message up, many answers."""
    data = content(5000)
    assert list(client.Split(data, timeout=SECONDS)) == [data[i:i + 10] for i in range(0, 5000, 10)]


def test_bidirectional(client):
    """Each answer arrives before the next question is asked."""
    asked = Questions()
    answers = client.Talk(iter(asked), timeout=SECONDS)
    for i in range(50):
        asked.ask(b"%d" % i)
        assert next(answers) == b"heard %d" % i
    asked.end()
    assert list(answers) == []
    assert answers.code() == grpc.StatusCode.OK


class Questions:
    """An iterator that waits to be given what comes next."""

    def __init__(self):
        self.given = []
        self.changed = threading.Condition()

    def _give(self, item):
        with self.changed:
            self.given.append(item)
            self.changed.notify()

    def ask(self, item):
        self._give(item)

    def end(self):
        self._give(None)

    def __iter__(self):
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.given)
                item = self.given.pop(0)
            if item is None:
                return
            yield item


@pytest.mark.parametrize("size", [4 * MIB - 100, 16 * MIB])
def test_large_messages(client, size):
    """One message as large as gRPC's default limit, one of 16 MiB; there and back."""
    data = content(size)
    assert client.Echo(data, timeout=SECONDS) == data


# ---- metadata and status ----


def test_metadata_both_ways(client):
    """Text and binary fields up, in the head of the answer, and in its trailers."""
    answer, call = client.Metadata.with_call(b"", timeout=SECONDS, metadata=[
        ("x-text", "some text"), ("x-data-bin", b"\0\xff\x80 bytes")])
    assert answer.startswith(b"grpc-python")
    assert dict(call.initial_metadata())["x-first"] == "some text"
    assert dict(call.trailing_metadata())["x-last-bin"] == b"\0\xff\x80 bytes"


def test_error_with_details(client):
    """Code, message and binary details of an error."""
    error = failure(lambda: client.Fail(b"", timeout=SECONDS))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert error.details() == "no such thing: ä/%"
    assert dict(error.trailing_metadata())["grpc-status-details-bin"] == DETAILS


def test_error_behind_messages(client):
    """What was streamed arrives, then the status in the trailers."""
    answers = client.FailLate(b"", timeout=SECONDS)
    assert [next(answers), next(answers)] == [b"one", b"two"]
    error = failure(lambda: next(answers))
    assert (error.code(), error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")


def test_unknown_method(client):
    """The server's own refusal."""
    assert failure(lambda: client.Nothing(b"", timeout=SECONDS)).code() == \
        grpc.StatusCode.UNIMPLEMENTED


# ---- deadlines and cancellation ----


def test_deadline(client, peer):
    """It reaches the server as such, and ends the call on both sides."""
    client.Echo(b"connected", timeout=SECONDS)
    error = failure(lambda: client.Hang(b"", timeout=3 * TIME_SCALE))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert peer.service.begun.wait(SECONDS)
    assert 0 < peer.service.time_left < 3.5 * TIME_SCALE
    assert peer.service.cancelled.wait(SECONDS)


def test_cancel_reaches_the_server(client, peer):
    """A call that is given up while the server works on it."""
    call = client.Hang.future(b"", timeout=SECONDS)
    assert peer.service.begun.wait(SECONDS)
    call.cancel()
    assert peer.service.cancelled.wait(SECONDS)
    assert client.Echo(b"goes on", timeout=SECONDS) == b"goes on"


def test_cancel_in_a_stream(client, peer):
    """The same with answers that never end."""
    answers = client.Forever(b"", timeout=SECONDS)
    assert [next(answers) for _ in range(10)] == [content(1000)] * 10
    answers.cancel()
    assert peer.service.cancelled.wait(SECONDS)
    assert client.Echo(b"goes on", timeout=SECONDS) == b"goes on"


# ---- ends ----


def test_server_goes(client, peer):
    """A server that stops in the middle: the call fails, and the client learns why."""
    answers = client.Forever(b"", timeout=SECONDS)
    next(answers)
    peer.server.stop(0)
    error = failure(lambda: list(answers))
    assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL,
                            grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN)


def test_client_goes(client, peer, stage):
    """A client that closes its connection: the server's call is cancelled, nothing is left."""
    next(client.Forever(b"", timeout=SECONDS))
    client.close()
    assert peer.service.cancelled.wait(SECONDS)
    wait_until(lambda: stage.gateway.metrics()["sallyport_exchanges"] == 0, "exchanges end")
