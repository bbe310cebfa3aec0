"""
Requests of the published Go client (spec api.md 4.6), for it cannot be had everywhere: header names in Go's spelling
and order, no content type without a body, members that are empty left out, pages by the uri they came with.
"""

import http.client
import json
from urllib.parse import quote_plus

from lib.api import Answer


class GoClient:
    def __init__(self, api):
        self.base = api.base
        self.token = api.token
        self.conn = http.client.HTTPConnection(api.base.removeprefix("http://"), timeout=30)

    def do(self, method, target, body=None):
        """`target` is a path with its query, or a whole uri, which must be one of the same gateway."""
        assert target.startswith("/") or target.startswith(self.base + "/"), target
        text = None if body is None else json.dumps(stripped(body), separators=(",", ":")).encode()
        fields = [("Host", self.base.removeprefix("http://")), ("User-Agent", "ngrok-api-go//go1.23")]
        if text is not None:
            fields.append(("Content-Length", len(text)))
        fields.append(("Authorization", f"Bearer {self.token}"))
        if text is not None:
            fields.append(("Content-Type", "application/json"))
        fields += [("Ngrok-Version", "2"), ("Accept-Encoding", "gzip")]
        self.conn.putrequest(method, target.removeprefix(self.base), skip_host=True,
                             skip_accept_encoding=True)
        for name, value in fields:
            self.conn.putheader(name, value)
        self.conn.endheaders(text)
        return Answer(self.conn.getresponse())

    def read(self, method, target, body=None):
        """A call that has to succeed, read as Go's decoder does: an error is known by the HTTP status."""
        answer = self.do(method, target, body)
        assert answer.status < 400, answer.body
        return answer.body

    def failure(self, *call):
        answer = self.do(*call)
        if answer.status < 400:
            return None
        # The status is taken from the body; all details must be strings, or it cannot be decoded.
        assert all(isinstance(v, str) for v in answer["details"].values())
        return {"status": answer["status_code"], "code": answer.code,
                "operation": answer["details"]["operation_id"]}

    def pages(self, target):
        """Goes on for as long as pages name a next one."""
        items = []
        while target:
            page = self.read("GET", target)
            items += next(v for v in page.values() if isinstance(v, list))
            target = page["next_page_uri"]
        return items

    def play(self, case):
        """As the clients in tests/e2e/clients do."""
        seen = {}
        where = {o.get("id") or o["type"]: o for o in (self.read("POST", case.path, body)
                                                       for body in case.creates)}
        seen["created"] = list(where.values())
        items = [f"{case.path}/{id_}" for id_ in case.there or where]
        seen["got"] = [self.read("GET", item) for item in items]
        seen["listed"] = (self.read("GET", case.path)["sources"] if case.of
                          else self.pages(f"{case.path}?limit={case.limit}"))
        if case.filters:
            text = quote_plus('obj.id == "' + seen["got"][0]["id"] + '"')
            found = self.pages(f"{case.path}?filter={text}&limit={case.limit}")
            seen["filtered"] = [o["id"] for o in found]
        if case.update is not None:
            seen["updated"] = self.read("PATCH", items[0], case.update)
        if case.refused:
            seen["refused"] = self.failure("POST", case.path, case.refused[0])
        seen["calls"] = [self.verb(items[0], name) for name, _ in case.calls]
        for item in items if case.creates else []:
            assert self.read("DELETE", item) is None
        seen["gone"] = self.failure("GET", items[0])
        return seen

    def verb(self, item, name):
        """Another verb of the client, by its name."""
        if name.startswith("delete_"):
            return self.failure("DELETE", f"{item}/{name.removeprefix('delete_')}")
        return self.failure("POST", f"{item}/{name}", {})

    def close(self):
        self.conn.close()


def stripped(value):
    """Without the members that Go leaves out."""
    if isinstance(value, dict):
        return {k: stripped(v) for k, v in value.items() if v not in ("", [], None, False)}
    return [stripped(v) for v in value] if isinstance(value, list) else value
