"""An owner without cluster rights writes a file; CI performs it once, as itself, on behalf of its author."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from at_home import at_home
from bench import session
from killing import Killed, Killer, Loser
from test_joining import records, world
from test_service import BOOK, WEEK, onboarded
from toymesh import kinds

from meshup.cli.main import main
from meshup.cli.simulating import programs
from meshup.cluster.connect import over
from meshup.engine.execute import apply
from meshup.engine.joining import say
from meshup.engine.planning import make_plan
from meshup.engine.rollback import service_plan
from meshup.engine.unpinning import unpin
from meshup.engine.vouching import vouched
from meshup.engine.wishing import on_behalf, take_back
from meshup.journal.ledger import pins
from meshup.journal.optin import optins
from meshup.model.problem import MeshupError, Refused, Unreachable, UsageError
from meshup.model.transport import Response
from meshup.runbook.wish import parse, text
from meshup.simulate.scenario import load as scene

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
CI = "system:serviceaccount:ci:deployer"


def wish(do="rollback", service="shop/cart", *, at=NOW, **said):
    if do == "rollback":
        said = {"to": "1.0", "reason": "timeouts", "until": "7d", **said}
    return parse(text(do, service, at=at, said=said, path="wish.yaml").encode(), "wish.yaml")


def process(made, wire=None, user=CI):
    steps, gates = kinds()
    return session(over(wire or made.server, made.clock, in_flight=1), user=user, steps=steps, gates=gates)


def perform(around, wanted):
    return take_back(on_behalf(around, wanted), wanted, until=WEEK, book=BOOK)


# The file.


def test_a_wish_is_read_as_it_was_written_and_a_version_stays_a_version():
    found = wish(to="1.30", reason='it said "no": # twice', by="ana@shop.example")
    assert (found.to, found.reason, found.by, found.until) == (
        "1.30",
        'it said "no": # twice',
        "ana@shop.example",
        "7d",
    )
    assert (found.do, found.namespace, found.name, found.at) == ("rollback", "shop", "cart", NOW)
    assert wish().digest == wish().digest
    assert wish().digest != wish(at=NOW + timedelta(seconds=1)).digest, "the same wish a second time is another"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("do: rollback", "do: deploy", "do must be one of rollback, opt-in, opt-out, unpin"),
        ("kind: Wish", "kind: MeshPin", "kind must be Wish"),
        ("meshup.dev/v1", "meshup.dev/v2", "apiVersion must be meshup.dev/v1"),
        ('"shop/cart"', '"cart"', "service must be NAMESPACE/NAME"),
        ('"shop/cart"', '"../kube-system/x"', "service must be NAMESPACE/NAME"),
        ('to: "1.0"', "to: 1.0", 'to must be text; quote it: "1.0"'),
        ("reason:", "wave: w\nreason:", "rollback takes no wave"),
        ('at: "2026-11-02T09:00:00Z"', 'at: "soon"', "at must be the time of writing"),
        ("kind: Wish", "kind: Wish\nkind: Wish", "stands twice"),
        ("do: rollback", "do: &a rollback", "anchor"),
    ],
)
def test_what_is_no_wish_is_refused_with_its_line(old, new, says):
    raw = text("rollback", "shop/cart", at=NOW, said={"to": "1.0", "reason": "r"}, path="w.yaml")
    assert old in raw
    with pytest.raises(UsageError) as refused:
        parse(raw.replace(old, new).encode(), "w.yaml")
    assert refused.value.code == "MU1015"
    assert any(says in each.what for each in refused.value.problems), refused.value.problems
    assert all(each.at is not None and each.at.file == "w.yaml" for each in refused.value.problems)


# Performed once.


def test_who_asked_is_ci_and_on_whose_behalf_is_its_author_declared():
    made, _ = onboarded()
    assert perform(process(made), wish(by="ana@shop.example")).exit == 0
    (pin,) = pins(made.plain)
    assert (pin.user, pin.on_behalf_of, pin.on_behalf_trust) == (CI, "ana@shop.example", "declared")
    assert (pin.phase, pin.to_release, pin.reason) == ("Active", "1.0", "timeouts")


def test_the_same_file_again_writes_nothing_whatever_came_after_it():
    made, around = onboarded()
    wanted = wish()
    assert perform(process(made), wanted).exit == 0
    for what in ("in force already", "over, ended by ana"):
        began = len(made.server.log)
        outcome = perform(process(made), wanted)
        assert (outcome.exit, what in outcome.kept) == (0, True), outcome.kept
        assert not [each for each in made.server.log[began:] if each.mutation]
        if what.startswith("in force"):
            unpin(around, "shop/cart", reason="mended", book=BOOK)
            assert apply(around, make_plan(around, BOOK)).exit == 0
    assert made.templates()["cart"]["toy.example/rev"] == "2-0"
    assert perform(process(made), wish(at=NOW + timedelta(days=1))).exit == 0, "a new file is a new wish"
    assert len(pins(made.plain)) == 2


def test_one_that_was_tried_and_failed_is_not_tried_again():
    made, _ = onboarded()
    made.stuck.add("cart")
    assert perform(process(made), wish()).exit == 9
    made.stuck.clear()
    assert perform(process(made), wish()).exit == 4
    with pytest.raises(Refused) as refused:
        perform(process(made), wish())
    assert refused.value.code == "MU3413"


def _writes():
    made, _ = onboarded()
    killer = Killer(made.server)
    assert perform(process(made, killer), wish()).exit == 0
    return len(killer.writes)


POINTS = [(at, when) for at in range(1, _writes() + 1) for when in ("before", "after")]


@pytest.mark.parametrize("how", [Killer, Loser])
@pytest.mark.parametrize(("at", "when"), POINTS)
def test_killed_or_lost_at_any_write_the_file_again_leaves_one_record(at, when, how):
    made, _ = onboarded()
    try:
        perform(process(made, how(made.server, at=at, when=when)), wish())
    except (Killed, MeshupError):
        pass
    assert perform(process(made), wish()).exit == 0
    (pin,) = pins(made.plain)
    assert (pin.phase, pin.observed) == ("Active", (("1.0", 1),))
    assert made.templates()["cart"]["toy.example/rev"] == "1-0"


def test_an_opt_in_from_a_file_does_not_come_back_after_an_opt_out():
    made = world()
    wanted = wish("opt-in", wave="wave-2")
    first = say(process(made), "shop/cart", joins=True, wave="wave-2", book=BOOK, wish=wanted.digest)
    assert first.fresh
    assert say(process(made, user="ana"), "shop/cart", joins=False, reason="no", book=BOOK).fresh
    again = say(process(made), "shop/cart", joins=True, wave="wave-2", book=BOOK, wish=wanted.digest)
    assert (again.fresh, again.word.name) == (False, first.word.name)
    assert not optins(made.plain)["shop/cart"].joins
    assert len(records(made)) == 2


def test_an_end_from_a_file_ends_no_pin_that_was_made_after_it():
    made, around = onboarded()
    assert apply(around, service_plan(around, "cart", to="1.0", reason="r", until=WEEK, book=BOOK)).exit == 0
    written = made.clock.now()
    assert unpin(process(made), "shop/cart", reason="", written=written).fresh
    made.clock.advance(60.0)
    assert apply(around, service_plan(around, "cart", to="1.0", reason="again", until=WEEK, book=BOOK)).exit == 0
    assert not unpin(process(made), "shop/cart", reason="", written=written).fresh
    assert [each.phase for each in pins(made.plain)] == ["Closed", "Active"]


# On whose behalf: a token is reviewed by the API server.


class Reviewing:
    """The server's answers to reviews, as a test says them."""

    def __init__(self, inner, status):
        self._inner, self._status, self.asked = inner, status, []

    def send(self, request):
        if request.path.endswith("/tokenreviews"):
            self.asked.append(json.loads(request.body))
            body = {**self.asked[-1], "status": self._status}
            return Response(status=201, body=json.dumps(body).encode())
        return self._inner.send(request)


TOKEN = "eyJhbGciOi.secret-of-ana.sig"
GOOD = {"authenticated": True, "user": {"username": "ana@shop.example"}, "audiences": ["meshup"]}


def test_a_token_that_the_server_vouches_for_names_the_author_as_verified():
    made, _ = onboarded()
    wire = Reviewing(made.server, GOOD)
    around = vouched(process(made, wire), TOKEN, namespace="shop")
    assert [each["spec"]["audiences"] for each in wire.asked] == [["meshup"]]
    assert perform(around, wish(by="somebody-else")).exit == 0
    (pin,) = pins(made.plain)
    assert (pin.user, pin.on_behalf_of, pin.on_behalf_trust) == (CI, "ana@shop.example", "verified")
    said = say(replace(around), "shop/ads", joins=True, book=BOOK).word
    assert (said.user, said.on_behalf_of, said.on_behalf_trust) == (CI, "ana@shop.example", "verified")


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"authenticated": False, "error": "token has expired"},
        {**GOOD, "authenticated": "yes"},
        {**GOOD, "audiences": ["https://kubernetes.default.svc"]},
        {**GOOD, "audiences": []},
        {**GOOD, "user": {}},
    ],
)
def test_a_token_that_proves_nothing_is_refused_and_never_shown(status):
    made, _ = onboarded()
    with pytest.raises(Unreachable) as refused:
        vouched(process(made, Reviewing(made.server, status)), TOKEN, namespace="shop")
    found = refused.value
    assert found.code == "MU3412"
    assert TOKEN not in " ".join((found.what, found.why, found.fix, *found.details))
    assert pins(made.plain) == ()


def test_who_may_not_vouch_verifies_nobody():
    made, _ = onboarded()

    class Refusing:
        def send(self, request):
            if request.path.endswith("/selfsubjectaccessreviews"):
                asked = json.loads(request.body)
                may = asked["spec"]["resourceAttributes"]["verb"] != "vouch"
                return Response(status=201, body=json.dumps({**asked, "status": {"allowed": may}}).encode())
            return made.server.send(request)

    with pytest.raises(Unreachable) as refused:
        vouched(process(made, Refusing()), TOKEN, namespace="shop")
    assert (refused.value.code, refused.value.details) == ("MU7101", ("vouch meshup.dev/meshpins in shop",))


# The command line.


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A person's folder with a kubeconfig of the simulator, everything onboarded."""
    for name in ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "MESHUP_ON_BEHALF_OF", "MESHUP_ON_BEHALF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MESHUP_ON_BEHALF_OF", "ana@shop.example")
    with at_home(scene("shop", programs=programs()).server, tmp_path, monkeypatch):
        yield tmp_path


def test_each_wish_is_written_without_a_cluster_and_performed_once(shop, capsys):
    def call(*arguments, code=0):
        assert main(list(arguments)) == code, capsys.readouterr()
        return capsys.readouterr().out

    back = ["rollback", "cart", "-n", "shop", "--to", "1.29.4", "--reason", "timeouts", "--write", "back.yaml"]
    config = (shop / "kubeconfig").read_text()
    (shop / "kubeconfig").write_text("no cluster is needed")
    assert "Nothing was contacted" in call(*back)
    call("opt-in", "search", "-n", "shop", "--wave", "wave-2", "--write", "in.yaml")
    call("opt-out", "shop/search", "--reason", "no", "--write", "out.yaml")
    call("unpin", "shop/cart", "--reason", "mended", "--write", "unpin.yaml")
    call(*back, code=2)
    (shop / "kubeconfig").write_text(config)

    call("init")
    call("apply", "--through", "onboard", "--yes")
    assert "1 change written" in call("rollback", "--from", "back.yaml")
    assert "of this wish is in force already" in call("rollback", "--from", "back.yaml")
    (pin,) = json.loads(call("pins", "-o", "json"))["pins"]
    assert (pin["user"], pin["on_behalf_of"], pin["on_behalf_trust"]) == (
        "kubernetes-admin",
        "ana@shop.example",
        "declared",
    )
    assert "for ana@shop.example (declared)" in call("pins")
    assert "written" in call("opt-in", "--from", "in.yaml")
    assert "written" in call("opt-out", "--from", "out.yaml")
    assert "nothing was written" in call("opt-in", "--from", "in.yaml")
    assert "shop/cart" in call("unpin", "--from", "unpin.yaml")
    call("rollback", "--from", "in.yaml", code=2)
    call("rollback", "--from", "back.yaml", "--to", "none", code=2)
    call("unpin", "--from", "no-such.yaml", code=2)
