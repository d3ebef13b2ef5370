"""An owner's word is recorded once, with the rights of an owner alone, whatever is lost and wherever it is cut off."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from bench import put, session
from killing import Killed, Killer, Loser
from rolling import Rolling
from story import OPTED_IN, corner
from test_service import BOOK, NAMES, WEEK, old_plane
from toymesh import QUICK, REV, kinds

from meshup.cluster.connect import over
from meshup.cluster.errors import NotFound
from meshup.engine.execute import apply
from meshup.engine.joining import say
from meshup.engine.planning import make_plan
from meshup.engine.rollback import find_service, service_plan
from meshup.engine.standing import status
from meshup.engine.taking_back import run_plan
from meshup.engine.unpinning import unpin
from meshup.journal.ledger import pins
from meshup.journal.optin import API_VERSION, KIND, from_body, optin_name, optins, record, to_body
from meshup.model.objects import dig, template
from meshup.model.problem import Refused, Unreachable, UsageError
from meshup.model.transport import Response
from meshup.model.verdict import Answer, Verdict
from meshup.views.owner import for_service
from meshup.views.plan import text
from meshup.views.standing import pins as listed

DAY = datetime(2026, 12, 1, tzinfo=UTC)


def world():
    made = Rolling(NAMES)
    put(made.plain, old_plane())
    return made


def onboarded():
    made = world()
    around = made.session()
    assert apply(around, make_plan(around, BOOK)).exit == 0
    return made


def process(made, wire=None, user="ana"):
    steps, gates = kinds()
    return session(over(wire or made.server, made.clock, in_flight=1), user=user, steps=steps, gates=gates)


def join(around, name="cart", **more):
    return say(around, f"shop/{name}", joins=True, book=BOOK, **more)


def leave(around, name="cart", **more):
    more.setdefault("reason", "not ready")
    return say(around, f"shop/{name}", joins=False, book=BOOK, **more)


def records(made):
    with contextlib.suppress(NotFound):
        return [from_body(each) for each in made.plain.list(API_VERSION, KIND)]
    return []


def test_a_word_says_who_what_when_and_from_when_on():
    made = world()
    said = join(process(made), wave="wave-2", not_before=DAY, reason="after the sale")
    (kept,) = records(made)
    assert (kept.id, kept.joins, kept.user, kept.wave, kept.not_before) == ("shop/cart", True, "ana", "wave-2", DAY)
    assert (kept.reason, kept.workload.kind) == ("after the sale", "Deployment")
    assert kept.workload_uid == dig(made.plain.get(kept.workload), "metadata", "uid")
    assert said.fresh
    assert said.word == kept
    assert said.next == "meshup plan --service shop/cart"


def test_it_is_one_write_and_nothing_moves():
    made = world()
    join(process(made))
    began = len(made.server.log)
    leave(process(made))
    assert [each.path for each in made.server.log[began:] if each.mutation] == [
        "/apis/meshup.dev/v1/namespaces/shop/optins"
    ]


def test_the_same_word_again_writes_nothing():
    made = world()
    first = join(process(made), wave="wave-2")
    began = len(made.server.log)
    again = join(process(made), wave="wave-2")
    assert (again.fresh, again.word) == (False, first.word)
    assert not [each for each in made.server.log[began:] if each.mutation]


def test_the_next_plan_counts_the_last_word():
    made = world()
    around = process(made)
    leave(around)
    assert "shop/cart" not in make_plan(around, BOOK).stages[2].waves[1].services
    join(around)
    assert "shop/cart" in make_plan(around, BOOK).stages[2].waves[1].services
    leave(around)
    assert "shop/cart" not in make_plan(around, BOOK).stages[2].waves[1].services
    assert [each.joins for each in sorted(records(made), key=lambda each: each.at)] == [False, True, False]


def test_a_word_in_view_of_another_is_later_whatever_the_clocks_say():
    made = world()
    ahead = process(made)
    leave(ahead)
    behind = process(made, user="bob")

    class Slow:
        def now(self):
            return datetime(2020, 1, 1, tzinfo=UTC)

        def elapsed(self):
            return made.clock.elapsed()

        def sleep(self, seconds):
            made.clock.sleep(seconds)

    join(replace(behind, clock=Slow()))
    assert optins(made.plain)["shop/cart"].joins
    first, second = sorted(records(made), key=lambda each: each.at)
    assert (first.joins, second.joins) == (False, True)


@pytest.mark.parametrize("how", ["opted out", "pinned"])
def test_an_owner_who_stays_out_holds_up_nobody_else(how):
    """A wave that nobody is in has nothing to judge, and a gate that sees nobody would stay unknown for ever."""
    made = world()
    around = made.session()
    if how == "pinned":
        assert apply(around, make_plan(around, BOOK), through="ingress").exit == 0
        assert apply(around, service_plan(around, "web", to="1.0", reason="r", until=WEEK, book=BOOK)).exit == 0
    else:
        leave(around, "web")
    gates = kinds()[1]
    gates["says"].script = {"onboard/wave-1": ["unknown"], "*": ["pass"]}
    around = made.session(gates=gates)
    outcome = apply(around, make_plan(around, BOOK))
    assert outcome.exit == 0, outcome.why
    assert dict(outcome.places)["onboard/wave-1"] == "done"
    assert made.templates()["ads"][REV] == "2-0"


def test_an_opt_out_is_heard_by_a_run_whose_plan_is_older():
    """Membership is frozen, so a late opt-in waits for the next plan; an opt-out always wins."""
    made = world()
    around = made.session()
    plan = make_plan(around, BOOK)
    assert apply(around, plan, through="onboard/wave-1").exit == 0
    leave(process(made), "cart")
    outcome = apply(around, plan)
    assert outcome.exit == 0, outcome.why
    assert made.templates()["ads"][REV] == "2-0"
    assert REV not in made.templates()["cart"]
    said = [each.text for each in around.watcher.named("Noted") if each.word == "skip"]
    assert any(
        "shop/cart left alone: ana opted it out on 2026-11-02: not ready (OptIn shop/cart-" in each for each in said
    )


class OnRevision:
    """A gate that holds until every service's template asks for the plan's revision, as real ones do by their pods."""

    kind, title, reads, params, needs, patience = "says", "all are there", "templates", {}, frozenset(), QUICK

    def observe(self, eyes, terms):
        there = {
            each.id: dig(template(eyes.cluster.get(each.workload)), "metadata", "labels", REV) for each in eyes.services
        }
        return {"elsewhere": [each for each, found in there.items() if found != eyes.revision]}

    def judge(self, readings, terms):
        elsewhere = readings[-1].data["elsewhere"]
        answer = Answer.UNKNOWN if elsewhere else Answer.PASS
        return Verdict(answer=answer, because=f"elsewhere: {', '.join(elsewhere) or 'none'}")


ALONG = replace(BOOK, stages=tuple(replace(each, gates=each.gates[-1:]) for each in BOOK.stages))


@pytest.mark.parametrize("there", [True, False])
def test_a_wave_does_not_wait_for_who_took_it_back_ended_the_pin_and_opted_out(there):
    """Where it is now nobody holds it, and no patience brings it to the plan's revision: it is left alone at once."""
    made = onboarded() if there else world()
    if there:
        # All but ads is right already, so the plan has no change of cart that could be let go of at its write.
        leaving = {"spec": {"template": {"metadata": {"labels": {REV: None}}}}}
        made.plain.merge_patch(find_service(BOOK, "ads").workload, leaving)
        made.clock.advance(30.0)
    around = made.session(gates={**kinds()[1], "says": OnRevision()})
    plan = make_plan(around, ALONG)
    assert [each.service for each in plan.changes() if each.service] == (
        ["shop/ads"] if there else ["shop/web", "shop/cart", "shop/ads"]
    )
    assert apply(around, plan, through="onboard/wave-1").exit == 0
    owner = process(made)
    assert apply(owner, service_plan(owner, "shop/cart", to="1.0", reason="r", until=WEEK, book=BOOK)).exit == 0
    unpin(owner, "shop/cart", reason="", book=BOOK)
    leave(owner)
    outcome = apply(around, plan)
    assert outcome.exit == 0, outcome.why
    assert made.templates()["cart"][REV] == "1-0"
    assert made.templates()["ads"][REV] == "2-0"
    said = [each.text for each in around.watcher.named("Noted") if each.word == "skip"]
    assert any("shop/cart left alone: ana opted it out on 2026-11-02: not ready" in each for each in said), said


class Asked:
    """A wire on which reviews of rights are answered by a rule: what is asked of -> whether it may be done."""

    def __init__(self, inner, may):
        self._inner, self._may = inner, may

    def send(self, request):
        if not request.path.endswith("/selfsubjectaccessreviews"):
            return self._inner.send(request)
        asked = json.loads(request.body)
        may = self._may(asked["spec"]["resourceAttributes"])
        return Response(status=201, body=json.dumps({**asked, "status": {"allowed": may}}).encode())


def no_policies(asked):
    """All may be done but for changing policies of the mesh."""
    return asked.get("group") != "security.istio.io"


def own_namespace(asked):
    """Nothing may be done beyond namespaces of one's own, as with the role owner alone."""
    return bool(asked.get("namespace"))


class Elsewhere:
    """A wire on which nothing of the namespace shop may be read or written, as for an owner of another one."""

    def __init__(self, inner):
        self._inner = inner

    def send(self, request):
        if request.path.endswith("/selfsubjectaccessreviews"):
            asked = json.loads(request.body)
            return Response(status=201, body=json.dumps({**asked, "status": {"allowed": False}}).encode())
        if (
            "/namespaces/shop/" in request.path
            or "/meshpins" in request.path
            or request.path == "/apis/apps/v1/deployments"
        ):
            status = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": f"{request.path} is forbidden"}
            return Response(status=403, body=json.dumps(status).encode())
        return self._inner.send(request)


@pytest.mark.parametrize(
    "act",
    [
        join,
        leave,
        lambda around: unpin(around, "shop/cart", reason=""),
        lambda around: service_plan(around, "shop/cart", to="none", reason="r", until=WEEK, book=BOOK),
    ],
    ids=["opt-in", "opt-out", "unpin", "rollback"],
)
def test_who_owns_another_namespace_is_told_that_it_is_not_theirs(act):
    made = onboarded()
    began = len(made.server.log)
    with pytest.raises(Unreachable) as refused:
        act(process(made, Elsewhere(made.server), user="bob"))
    assert (refused.value.code, refused.value.exit) == ("MU7101", 7)
    assert refused.value.what == "bob may not act for services of namespace shop"
    assert refused.value.fix.startswith("ask an owner of shop")
    assert not [each for each in made.server.log[began:] if each.mutation]


def test_the_next_command_is_one_that_an_owner_may_run():
    made = onboarded()
    owner = process(made, Asked(made.server, own_namespace))
    assert join(owner, "web").next == (
        "nothing: plans are the platform's; to take it back: meshup opt-out web -n shop --reason TEXT"
    )
    assert apply(owner, service_plan(owner, "shop/cart", to="none", reason="r", until=WEEK, book=BOOK)).exit == 0
    assert leave(owner).next == "nothing: plans are the platform's; to take it back: meshup opt-in cart -n shop"
    ended = unpin(owner, "shop/cart", reason="", book=BOOK)
    assert ended.next == "meshup pins -n shop"
    assert ended.notes == (
        "nothing moves now: it stays out of the mesh, and no plan takes it along: ana opted it out on 2026-11-02: not ready",
    )
    assert join(process(made)).next == "meshup plan --service shop/cart", "who reads the cluster looks at the plan"


def test_after_the_pins_of_one_namespace_comes_what_its_owner_may_do():
    made = onboarded()
    owner = process(made)
    assert apply(owner, service_plan(owner, "shop/cart", to="none", reason="r", until=WEEK, book=BOOK)).exit == 0
    now = made.clock.now()
    found = pins(made.plain)
    assert listed(found, now, width=120, namespace="shop").endswith("meshup unpin cart -n shop --reason TEXT")
    assert listed(found, now, width=120).endswith("Next      meshup report")
    unpin(owner, "shop/cart", reason="")
    assert listed(pins(made.plain), now, width=120, namespace="shop").endswith("none of these holds any more")


def test_who_is_left_out_is_told_by_whose_word_and_what_is_theirs_to_do():
    made = onboarded()
    owner = process(made)
    leave(owner, "cart")
    assert apply(owner, service_plan(owner, "shop/ads", to="none", reason="r", until=WEEK, book=BOOK)).exit == 0
    untold = replace(BOOK, services=tuple(replace(each, opt_in=None) for each in BOOK.services))
    plan = make_plan(owner, untold)
    shown = {name: for_service(plan, f"shop/{name}") for name in NAMES}
    assert "left out: its owner opted it out" in shown["cart"]
    assert "note      shop/cart stays out: ana opted it out on 2026-11-02: not ready" in shown["cart"]
    assert shown["cart"].endswith("to join after all, its owner opts in: meshup opt-in cart -n shop")
    assert "left out: nobody opted it in" in shown["web"]
    assert "note      shop/ads is left out: ana pinned it to none until 2026-11-09" in shown["ads"]
    assert shown["ads"].endswith("to end its pin early: meshup unpin ads -n shop")
    assert "1 opted out" in text(plan)


def test_a_wave_that_requires_all_names_the_word_that_keeps_it_waiting():
    made = world()
    leave(process(made), "cart")
    waves = tuple(replace(each, require="all") for each in BOOK.waves)
    silent = tuple(replace(each, opt_in=None) if each.name == "ads" else each for each in BOOK.services)
    around = made.session()
    outcome = apply(around, make_plan(around, replace(BOOK, waves=waves, services=silent)))
    assert (outcome.exit, outcome.code) == (5, "MU3104")
    assert "shop/cart: ana opted it out on 2026-11-02: not ready" in outcome.why
    assert "not opted in: shop/ads; their owners: team-ads" in outcome.why


def test_a_way_back_takes_along_who_opted_out_meanwhile():
    made = onboarded()
    leave(process(made), "cart")
    around = made.session()
    assert apply(around, run_plan(around)).exit == 0
    assert {name: labels.get(REV) for name, labels in made.templates().items()} == dict.fromkeys(NAMES)


def test_status_shows_what_owners_said():
    made = onboarded()
    around = process(made)
    join(around, "cart", not_before=DAY)
    leave(around, "ads")
    found = status(around, book=BOOK).services
    assert all(each.is_right for each in found), "who opted out is where its owner left it"
    shown = {each.running.service: each.word for each in found}
    assert shown == {"web": "", "cart": "not before 2026-12-01", "ads": "opted out by ana"}


def test_one_that_stays_out_and_runs_in_the_mesh_is_told_how_to_leave():
    made = onboarded()
    said = leave(process(made))
    assert said.next == "meshup rollback shop/cart --to none --reason TEXT --until 7d"
    assert "stays there until its owner takes it out" in said.notes[0]


def test_a_service_that_refuses_plaintext_is_not_opted_out_before_that_is_lifted():
    shop = corner()
    opted = ('workload: "CronJob/reports", owner: ""', OPTED_IN)
    book = shop.book(opted, ("      - shop/cart\n", "      - shop/cart\n      - data/reports\n"))
    around = shop.session
    assert apply(around, shop.plan(book)).exit == 0
    with pytest.raises(Refused) as refused:
        say(around, "shop/cart", joins=False, reason="leaving", book=book)
    assert refused.value.code == "MU3422"
    assert "meshup rollback shop/cart --to none" in refused.value.fix
    assert not [
        each
        for each in shop.simulation.server.objects.list("customresourcedefinitions.apiextensions.k8s.io")
        if each["metadata"]["name"] == "optins.meshup.dev"
    ]
    assert say(around, "shop/cart", joins=True, book=book).fresh, "an opt-in is not kept back"
    # An owner's role does not change policies: the way out names who does, instead of a command that is refused next.
    owner = replace(around, cluster=over(Asked(shop.simulation.server, no_policies), around.clock, in_flight=1))
    with pytest.raises(Refused) as refused:
        say(owner, "shop/cart", joins=False, reason="leaving", book=book)
    assert "somebody with the role operator runs meshup rollback shop/cart --to none" in refused.value.fix
    with pytest.raises(Unreachable) as lacking:
        apply(owner, service_plan(owner, "shop/cart", to="none", reason="leaving", until=WEEK, book=book))
    assert lacking.value.details == ("patch security.istio.io/peerauthentications in shop",)
    assert "role operator" in lacking.value.fix
    # The way out that is named is one: it lifts the strict mode first, and then the word is taken.
    back = service_plan(around, "shop/cart", to="none", reason="leaving", until=WEEK, book=book)
    assert [each.name for each in back.stages] == ["lift", "rollback"]
    assert apply(around, back).exit == 0
    assert say(around, "shop/cart", joins=False, reason="leaving", book=book).fresh


def test_who_is_pinned_is_told_what_holds_the_service():
    made = onboarded()
    around = process(made)
    assert apply(around, service_plan(around, "shop/cart", to="none", reason="r", until=WEEK, book=BOOK)).exit == 0
    notes = join(around).notes
    assert any("holds it on none" in each and "meshup unpin shop/cart" in each for each in notes)
    assert not any(each.startswith("nothing moves now: the next plan") for each in notes)


def test_a_service_is_found_without_any_runbook():
    made = world()
    around = process(made)
    said = say(around, "ads", joins=True, namespace="shop")
    assert said.word.id == "shop/ads"
    with pytest.raises(UsageError) as wrong:
        say(around, "asd", joins=True, namespace="shop")
    assert wrong.value.code == "MU3401"


@pytest.mark.parametrize(("name", "wave", "code"), [("shop/nobody", "", "MU3401"), ("shop/cart", "wave-7", "MU3421")])
def test_bad_input_is_one_clear_error_and_no_record(name, wave, code):
    made = world()
    with pytest.raises(UsageError) as wrong:
        say(process(made), name, joins=True, wave=wave, book=BOOK)
    assert wrong.value.code == code
    assert records(made) == []


def test_of_two_opposite_words_at_once_the_one_that_does_not_count_is_told():
    made = world()
    join(process(made))

    class Between:
        """Lets somebody else say the opposite between the look and the write."""

        def __init__(self, inner):
            self._inner, self.others = inner, 0

        def send(self, request):
            if request.method == "POST" and request.path.endswith("/optins") and not self.others:
                self.others += 1
                answer = self._inner.send(request)
                leave(process(made, user="bob"), reason="no")
                return answer
            return self._inner.send(request)

    ana = process(made, Between(made.server))
    with pytest.raises(Refused) as refused:
        join(ana, wave="wave-2")
    assert refused.value.code == "MU2317"
    assert "bob" in refused.value.what
    assert not optins(made.plain)["shop/cart"].joins
    assert len(records(made)) == 3


def test_another_word_under_the_same_name_is_refused():
    made = world()
    around = process(made)
    kept = join(around).word
    with pytest.raises(Refused) as refused:
        record(around.cluster, replace(kept, joins=False), pause=made.clock.sleep)
    assert refused.value.code == "MU2317"


def test_a_word_is_read_back_as_it_was_written_and_named_by_what_it_follows():
    made = world()
    word = join(process(made), wave="wave-2", not_before=DAY).word
    assert from_body(to_body(word)) == replace(word, made=None, uid="")
    names = {optin_name(cluster_uid="c", record=word, after=after) for after in ("", "1", "2")}
    assert len(names) == 3
    assert optin_name(cluster_uid="c", record=replace(word, user="bob"), after="") not in names


WORDS = {
    "opt-in": lambda around: join(around, wave="wave-2", not_before=DAY),
    "opt-out": leave,
}


def writes_of(act):
    made = world()
    killer = Killer(made.server)
    act(process(made, killer))
    return len(killer.writes)


POINTS = [
    (name, at, when)
    for name, act in WORDS.items()
    for at in range(1, writes_of(act) + 1)
    for when in ("before", "after")
]


@pytest.mark.parametrize(("name", "at", "when"), POINTS)
def test_killed_at_any_write_the_same_command_again_leaves_one_record(name, at, when):
    made = world()
    with pytest.raises(Killed):
        WORDS[name](process(made, Killer(made.server, at=at, when=when)))
    WORDS[name](process(made))
    assert len(records(made)) == 1
    again = WORDS[name](process(made))
    assert not again.fresh
    assert len(records(made)) == 1


@pytest.mark.parametrize(("name", "at", "when"), POINTS)
def test_whatever_answer_is_lost_there_is_one_record(name, at, when):
    made = world()
    said = WORDS[name](process(made, Loser(made.server, at=at, when=when)))
    assert said.fresh
    assert [each.name for each in records(made)] == [said.word.name]
