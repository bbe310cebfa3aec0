"""
Property test: random sequences of calls by two accounts over all resources, against a model (lib/api_model.py), with
the gateway ended or killed now and then. Each answer, and now and then each list, must be as the model says.
"""

import collections
import http.client
import os
import random
import signal
import threading
import time
from urllib.parse import quote

import pytest

from lib import pki
from lib.api import Api, new_token
from lib.api_model import (ADDRESSES_MAX, BASE, OBJECTS_MAX, TEXTS, TYPES, ApiKey, Endpoint,
                           EventSubscription, Model)
from lib.collector import Collector
from lib.ports import FIXED, TCP_PORTS

#: Another one tries other sequences.
SEED = int(os.environ.get("SALLYPORT_SEED", "0"))

SHOWN_CHARACTERS = 400
KILL_WITHIN_SECONDS = 0.01
STEPS_TO_RESTART = 300
STEPS_TO_CHECK = 50
ACCOUNTS = ("alice", "bob")
PORTS = (FIXED[0], FIXED[0] + ADDRESSES_MAX - 1)
SETTINGS = {
    "api": {"url": BASE, "private_event_destinations": True},
    "tcp": {"host": "tcp.example.test", **TCP_PORTS, "fixed_ports": "%d-%d" % PORTS},
    "limits": {"api_requests_per_minute": 0, "api_objects_max": OBJECTS_MAX,
               "api_event_objects_max": OBJECTS_MAX},
}


def error_code(code):
    return f"ERR_NGROK_{code}" if isinstance(code, int) else code


class Player:
    """Draws calls, makes them, and tells the model what happened."""

    def __init__(self, gateway, model, seed):
        self.gateway = gateway
        self.model = model
        self.dice = random.Random(seed)
        self.steps = 0
        self.calls = []  # the last ones, for who reads a failure
        self.answers = collections.Counter()  # of each status and code
        self.unanswered = 0  # creates that happened though no answer came
        self.tokens = {a: new_token(gateway, "--account", a) for a in ACCOUNTS}
        self.connect()
        for account in ACCOUNTS:
            for shown in self.apis[account].call("GET", "/api_keys")["keys"]:
                model.add(self.kind(ApiKey), account, {}, shown)
        self.tools = set(model.objects)  # what stays, since these calls need it

    def connect(self):
        self.apis = {account: Api(self.gateway, token) for account, token in self.tokens.items()}

    def close(self):
        for api in self.apis.values():
            api.close()

    def end(self):
        """A gateway is idle without endpoints only."""
        for ep in self.model.of(Endpoint):
            self.apis[ep.account].call("DELETE", ep.path)
        self.close()

    def kind(self, which):
        return next(k for k in self.model.kinds if isinstance(k, which))

    # ---- calls ----

    def call(self, account, method, path, body=None):
        answer = self.apis[account].call(method, path, body)
        self.calls = [*self.calls[-9:], (account, method, path, body, answer.status, answer.body)]
        return answer

    def expect(self, account, method, path, body, status, code=None):
        """Makes the call; it must be answered with this status and code."""
        answer = self.call(account, method, path, body)
        assert (answer.status, answer.code) == (status, error_code(code)), self.describe()
        self.answers[status, code] += 1
        assert status < 400 or answer["status_code"] == status and answer["msg"], self.describe()
        return answer

    def expect_object(self, answer, shown):
        assert answer.body == shown, (f"differs in {difference(answer.body, shown)}\n"
                                      + self.describe())

    def describe(self):
        return f"step {self.steps}, the last calls:\n" + "\n".join(
            str(call)[:SHOWN_CHARACTERS] for call in self.calls)

    # ---- steps ----

    def step(self):
        account = self.dice.choice(ACCOUNTS)
        self.dice.choices([self.create, self.update, self.delete, self.get, self.read_pages,
                           self.change_sources], [8, 4, 3, 2, 2, 1])[0](account)
        self.steps += 1

    def texts(self):
        names = self.dice.sample(["description", "metadata"], self.dice.randrange(1, 3))
        return {name: self.dice.choice(TEXTS) for name in names}

    def draw_create(self, account):
        """A kind and the fields of a new object."""
        drawn = None
        while drawn is None:
            kind = self.dice.choice(self.model.kinds)
            drawn = kind.draw(self.dice, self.model, account)
        return kind, drawn | self.texts()

    def create(self, account):
        kind, fields = self.draw_create(account)
        code = self.model.refuse_create(kind, account, fields)
        answer = self.expect(account, "POST", kind.path, fields, 400 if code else 201, code)
        if not code:
            shown = answer.body | ({"token": None} if "token" in answer.body else {})
            self.model.add(kind, account, fields, shown)
            self.expect_object(answer, answer.body | kind.shows(fields)
                               | kind.computed(self.model, self.model.objects[-1]))

    def draw_object(self, account):
        """Most often one of the account; or one that exists or existed, of whomever."""
        own = [o for o in self.model.objects if o.account == account]
        return self.dice.choice(own if self.dice.random() < 0.75 else
                                self.model.objects + self.model.gone[-20:])

    def missing(self, account, o):
        """Is there no such object for the account?"""
        return o not in self.model.objects or o.account != account

    def update(self, account):
        o = self.draw_object(account)
        if self.missing(account, o):
            self.expect(account, "PATCH", o.path, self.texts(), 404, o.kind.unknown)
            return
        change = self.texts() | o.kind.draw_change(self.dice, self.model, o)
        code = self.model.refuse_update(o, change)
        answer = self.expect(account, "PATCH", o.path, change, 400 if code else 200, code)
        if code:
            return
        o.fields |= change
        o.shown |= o.kind.shows(change)
        if "updated_at" in o.shown:
            assert answer["updated_at"] >= o.shown["updated_at"]
            o.shown["updated_at"] = answer["updated_at"]
        self.expect_object(answer, self.model.expect(o))

    def delete(self, account):
        o = self.draw_object(account)
        if o in self.tools:
            return
        if self.missing(account, o):
            self.expect(account, "DELETE", o.path, None, 404, o.kind.unknown)
            return
        code = self.model.refuse_delete(o)
        self.expect(account, "DELETE", o.path, None, 400 if code else 204, code)
        if not code:
            self.model.remove(o)

    def get(self, account):
        o = self.draw_object(account)
        if self.missing(account, o):
            self.expect(account, "GET", o.path, None, 404, o.kind.unknown)
        else:
            self.expect_object(self.expect(account, "GET", o.path, None, 200),
                               self.model.expect(o))

    def read_pages(self, account):
        """Some list, by pages of some size, with a filter or without."""
        kind = self.dice.choice(self.model.kinds)
        text = self.dice.choice([None, None, "x"])
        limit = self.dice.randrange(1, OBJECTS_MAX + 2)
        self.check_list(account, kind, limit, text)

    def change_sources(self, account):
        """Sources are objects of their own in the path of a subscription."""
        subscriptions = self.model.of(EventSubscription, account)
        if not subscriptions:
            return
        o = self.dice.choice(subscriptions)
        source = {"type": self.dice.choice(TYPES)}
        is_there = source in o.fields["sources"]
        if self.dice.random() < 0.5:
            self.expect(account, "POST", o.path + "/sources", source, 400 if is_there else 201,
                        5127 if is_there else None)
            if not is_there:
                o.fields["sources"] = [*o.fields["sources"], source]
        else:
            self.expect(account, "DELETE", f"{o.path}/sources/{source['type']}", None,
                        204 if is_there else 404, None if is_there else 5125)
            o.fields["sources"] = [s for s in o.fields["sources"] if s != source]
        listed = self.call(account, "GET", o.path + "/sources")["sources"]
        assert listed == o.kind.computed(self.model, o)["sources"], self.describe()

    # ---- lists ----

    def check_list(self, account, kind, limit=100, text=None):
        want = [self.model.expect(o) for o in reversed(self.model.of(type(kind), account))
                if text is None or o.shown["description"] == text]
        seen = []
        query = "" if text is None else "&filter=" + quote(f"obj.description == '{text}'")
        target = f"{kind.path}?limit={limit}{query}"
        while target:
            page = self.expect(account, "GET", target, None, 200)
            seen += page[kind.key]
            assert page["uri"] == BASE + kind.path
            assert len(page[kind.key]) == min(limit, len(want)) or not page["next_page_uri"]
            target = page["next_page_uri"] and page["next_page_uri"].removeprefix(BASE)
            assert (target is None) == (len(seen) >= len(want)), self.describe()
        assert [o["id"] for o in seen] == [o["id"] for o in want], self.describe()
        assert seen == want, self.describe()

    def check_all(self):
        for account in ACCOUNTS:
            for kind in self.model.kinds:
                self.check_list(account, kind)

    # ---- restarts ----

    def restart(self):
        """What was answered is there again, however the gateway ended."""
        if self.dice.random() < 0.5:
            self.close()
            assert self.gateway.terminate() == 0
            self.start()
        else:
            self.kill()
        self.check_all()

    def start(self):
        self.gateway.log.clear()
        self.gateway.noise.clear()
        self.gateway.start()
        self.connect()

    def kill(self):
        """In the middle of a create, which has then happened as a whole or not at all."""
        account = self.dice.choice(ACCOUNTS)
        kind, fields = self.draw_create(account)
        code = self.model.refuse_create(kind, account, fields)
        sent = threading.Thread(target=self.try_create, args=(account, kind, fields))
        sent.start()
        time.sleep(self.dice.random() * KILL_WITHIN_SECONDS)  # any moment will do
        os.kill(self.gateway.pid, signal.SIGKILL)
        sent.join()
        self.close()
        self.gateway.process.wait_exit()
        self.start()
        known = {o.id for o in self.model.objects}
        listed = self.call(account, "GET", kind.path)[kind.key]
        found = [shown for shown in listed if shown["id"] not in known]
        assert len(found) <= (0 if code else 1), self.describe()
        for shown in found:
            self.model.add(kind, account, fields, shown)
            assert shown | kind.shows(fields) == shown, self.describe()
            self.unanswered += 1

    def try_create(self, account, kind, fields):
        try:
            self.apis[account].call("POST", kind.path, fields)
        except (OSError, http.client.HTTPException, ValueError):
            pass  # it was killed


def difference(is_, want):
    names = set(is_) | set(want)
    return {name: (is_.get(name), want.get(name)) for name in sorted(names)
            if is_.get(name) != want.get(name)}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("seconds", [8, pytest.param(150, marks=pytest.mark.soak)])
def test_calls_at_random(scene, tmp_path, seconds, seed):
    """All answers, lists and codes are as the model says, before and after restarts."""
    print(f"SALLYPORT_SEED={SEED}, {seed}")
    gateway = scene.start_gateway(SETTINGS)
    ca = pki.Authority(tmp_path)
    model = Model(public_keys=[scene.keys.get(f"model-{i}").public for i in range(5)],
                  pairs=[ca.issue(f"m{i}.customer.com") for i in range(2)],
                  url=scene.keep_to_the_end(Collector()).url)
    player = scene.keep(Player(gateway, model, SEED * 1000 + seed), "end")
    end = time.monotonic() + seconds
    while time.monotonic() < end or player.steps < 2 * STEPS_TO_RESTART:
        player.step()
        if player.steps % STEPS_TO_CHECK == 0:
            player.check_all()
        if player.steps % STEPS_TO_RESTART == 0:
            player.restart()
    print(f"{player.steps} steps, {len(model.gone)} objects deleted, {len(model.objects)} left; "
          f"{player.unanswered} made unanswered; {player.answers}")
