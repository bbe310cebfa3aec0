"""Internal endpoints, which only policies reach, and what forwards to them."""

import json

from lib.policy import Guarded, Seen, merge, on_request, rule, stdin_of, text_of
from lib.ways import UPSTREAMS, Stage


class Inside:
    """An app behind an internal http endpoint, with a policy if a document is given."""

    def __init__(self, scene, name, document=None, upstream=None, flags="", port=443, **kw):
        self.scene = scene
        self.host = name if name.endswith(".internal") else f"{name}.internal"
        self.app = upstream or scene.app(name=name)
        if document is not None:
            flags += " --traffic-policy-file -"
            kw["stdin"] = stdin_of(text_of(document))
        target = self.app if isinstance(self.app, int) else self.app.port
        self.tunnel = scene.ssh(f"{self.host}:{port}:127.0.0.1:{target}",
                                command=f"http {flags}".strip(), **kw)
        self.url = self.tunnel.urls(1)[0]

    def stop(self):
        """Ends the session; then no worker sends requests here."""
        mark_ = self.scene.gateway.mark()
        self.tunnel.stop()
        self.scene.gateway.wait_down(self.url, mark_)


def forward(url, **config):
    """A document part that forwards; the URL may be a bare name."""
    url = url if "://" in url else f"https://{url}.internal"
    return on_request(("forward-internal", {"url": url, **config}))


def entrance(scene, *parts, **kw):
    """A public endpoint whose own upstream nobody is to reach."""
    documents = {}
    for part in parts:
        for phase, rules in part.items():
            documents.setdefault(phase, []).extend(rules)
    return Guarded(scene, documents, **kw)


class InsideStage(Stage):
    """A Stage whose upstreams are behind two internal endpoints, of other sessions."""

    def host(self, up, port):
        gateway = self.gateway
        tunnel = self.tunnels.get(port)
        if tunnel is None or not tunnel.running or tunnel.served_by != gateway.pid:
            Inside(self.scene, f"deep{port}", upstream=port,
                   flags=UPSTREAMS[up].command.format(port=port))
            Inside(self.scene, f"first{port}", forward(f"deep{port}"))
            tunnel = entrance(self.scene, forward(f"first{port}")).tunnel
            tunnel.host = tunnel.urls(1)[0].split("/")[2].split(":")[0]
            tunnel.served_by = gateway.pid
            self.tunnels[port] = tunnel
        return tunnel.host


def add(phase, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return rule(phase, ("add-headers", {"headers": headers}))


def mark(name):
    """Adds a header in both phases, under one name for all, so that their order shows."""
    return merge(add("on_http_request", x_way=name), add("on_http_response", x_way=name))


def refused(response, status, number):
    assert (response.status, response.error_code) == (status, f"ERR_SALLYPORT_{number}"), response


def echo_of(response):
    assert response.status == 200, response
    return Seen(json.loads(response.text))
