"""Deciding on a cluster: one write with who and why, nothing twice, nothing over somebody else, no promotion on hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ledgered import NAMES, NEW, OLD, RELEASES, went_back, world
from rolling import Rolling
from toymesh import book

from meshup.engine.releases import decide, listed
from meshup.model.objects import Ref
from meshup.model.problem import GateHeld, Refused, UsageError
from meshup.model.release import Release
from meshup.model.transport import TransportFailure

BOOK = book({"wave-1": list(NAMES)})


def stored(made: Rolling, version: str) -> dict:
    """What the server has on record."""
    return made.plain.get(Ref(api_version="meshup.dev/v1", kind="MeshRelease", name=version))["spec"]


def test_a_decision_is_recorded_with_user_time_and_reason() -> None:
    made = world()
    around = made.session(user="pia")
    decide(around, "add", NEW, book=BOOK)
    ends = datetime(2027, 4, 30, tzinfo=UTC)
    found = decide(around, "promote", NEW, book=BOOK, reason="qualified", ends=ends, issues=("slow start",))
    assert (found.before, found.wrote) == ("candidate", True)
    spec = stored(made, NEW)
    assert (spec["state"], spec["endOfSupport"], spec["knownIssues"]) == (
        "supported",
        "2027-04-30T00:00:00Z",
        ["slow start"],
    )
    last = spec["decisions"][-1]
    assert (last["state"], last["by"], last["reason"]) == ("supported", "pia", "qualified")
    assert abs(datetime.fromisoformat(last["at"]) - made.clock.now()) < timedelta(minutes=1)


def test_the_same_decision_again_writes_nothing() -> None:
    made = world()
    around = made.session()
    for move in ("add", "promote", "deprecate", "block"):
        assert decide(around, move, NEW, book=BOOK, reason="because").wrote
        before = made.server.mutations
        again = decide(around, move, NEW, book=BOOK, reason="because, said otherwise")
        assert (again.wrote, made.server.mutations) == (False, before), move


@pytest.mark.parametrize(
    ("moves", "move", "code"),
    [
        ((), "promote", "MU3502"),
        ((), "block", "MU3502"),
        (("add",), "deprecate", "MU3501"),
        (("add", "block"), "promote", "MU3501"),
        (("add", "block"), "deprecate", "MU3501"),
    ],
)
def test_a_move_that_does_not_lead_on_is_refused_and_nothing_is_written(moves, move, code) -> None:
    made = world()
    around = made.session()
    for each in moves:
        decide(around, each, NEW, book=BOOK, reason="because")
    before = made.server.mutations
    with pytest.raises(Refused) as refused:
        decide(around, move, NEW, book=BOOK, reason="because")
    assert (refused.value.code, made.server.mutations) == (code, before)


def test_a_blocked_release_is_a_candidate_again_only_for_a_reason() -> None:
    around = world().session()
    decide(around, "add", NEW, book=BOOK)
    decide(around, "block", NEW, book=BOOK, reason="loses connections")
    with pytest.raises(Refused) as refused:
        decide(around, "add", NEW, book=BOOK)
    assert "loses connections" in refused.value.why
    assert decide(around, "add", NEW, book=BOOK, reason="mended upstream").release.state == "candidate"


def test_a_release_whose_support_has_ended_is_not_promoted() -> None:
    made = world()
    around = made.session()
    decide(around, "add", NEW, book=BOOK, ends=made.clock.now() - timedelta(days=1))
    with pytest.raises(Refused, match="its support ended"):
        decide(around, "promote", NEW, book=BOOK, reason="because")
    later = made.clock.now() + timedelta(days=100)
    assert decide(around, "promote", NEW, book=BOOK, reason="because", ends=later).release.state == "supported"


def test_a_release_that_too_many_left_is_not_promoted_and_each_of_them_is_named() -> None:
    made = world()
    around = made.session()
    decide(around, "add", NEW, book=BOOK)
    went_back(made, "web", "cart", "pay")
    went_back(made, "ads", user="owner-web")
    before = made.server.mutations
    assert decide(around, "promote", NEW, book=BOOK, reason="three users are not too many").wrote
    decide(around, "deprecate", NEW, book=BOOK, reason="because")
    went_back(made, "mail")
    before = made.server.mutations
    with pytest.raises(GateHeld) as held:
        decide(around, "promote", NEW, book=BOOK, reason="four are")
    assert (held.value.code, int(held.value.exit), made.server.mutations) == ("MU3503", 3, before)
    said = "\n".join(held.value.details)
    for name in ("web", "cart", "pay", "mail"):
        assert f"owner-{name} took shop/{name} to {OLD}" in said
        assert f"timeouts of {name}" in said


def test_what_somebody_else_decided_meanwhile_is_not_overwritten() -> None:
    made = world()
    around = made.session(user="pia")
    decide(around, "add", NEW, book=BOOK)

    def block_first(request, logged):
        if request.method == "PATCH" and request.path.startswith(RELEASES):
            made.server.before.remove(block_first)
            decide(made.session(user="bob"), "block", NEW, book=BOOK, reason="loses connections")

    made.server.before.append(block_first)
    with pytest.raises(Refused) as refused:
        decide(around, "promote", NEW, book=BOOK, reason="qualified")
    assert (refused.value.code, "bob" in refused.value.why) == ("MU3505", True)
    assert stored(made, NEW)["state"] == "blocked"


@pytest.mark.parametrize("move", ["add", "promote"])
def test_a_lost_answer_is_looked_up_and_nothing_is_decided_twice(move: str) -> None:
    made = world()
    around = made.session()
    if move == "promote":
        decide(around, "add", NEW, book=BOOK)

    def lose(request, logged, response):
        if logged.mutation and request.path.startswith(RELEASES):
            made.server.after.remove(lose)
            raise TransportFailure("reset", "lost", maybe_done=True)
        return response

    made.server.after.append(lose)
    assert decide(around, move, NEW, book=BOOK, reason="because").wrote
    assert len(stored(made, NEW)["decisions"]) == (1 if move == "add" else 2)


def test_more_issues_than_a_record_takes_are_refused_and_nothing_is_written() -> None:
    made = world()
    around = made.session()
    decide(around, "add", NEW, book=BOOK, issues=[f"issue {number}" for number in range(64)])
    before = made.server.mutations
    with pytest.raises(UsageError, match="65 known issues"):
        decide(around, "promote", NEW, book=BOOK, reason="because", issues=["one more"])
    assert made.server.mutations == before


def test_the_mesh_of_a_new_release_is_never_guessed() -> None:
    around = world().session()
    two = replace(around, drivers={**around.drivers, "other": around.drivers["toy"]})
    with pytest.raises(UsageError, match="which mesh"):
        decide(two, "add", NEW)
    assert decide(around, "add", NEW).release.mesh == "toy"


def test_a_record_that_another_version_would_share_is_left_alone() -> None:
    made = world()
    around = made.session()
    decide(around, "add", "2.0-a", book=BOOK)
    with pytest.raises(Refused) as refused:
        decide(around, "block", "2.0+a", book=BOOK, reason="because")
    assert refused.value.code == "MU3506"


def test_the_list_tells_who_runs_what_and_what_is_on_hold() -> None:
    made = world()
    around = made.session()
    decide(around, "add", NEW, book=BOOK)
    went_back(made, *NAMES)
    found = listed(around, book=BOOK)
    new, old = found.releases
    assert (new.version, new.record.state, new.revisions, new.is_held) == (NEW, "candidate", ("2-0",), True)
    assert {each.service for each in new.runs} == {f"shop/{name}" for name in NAMES}
    assert {each.reason for each in new.away} == {f"timeouts of {name}" for name in NAMES}
    assert (old.version, old.record, old.revisions, old.runs) == (OLD, None, ("1-0",), ())


def test_without_a_runbook_the_record_is_listed_and_the_rest_is_said_to_be_unknown() -> None:
    around = world().session()
    decide(around, "add", NEW, book=BOOK)
    found = listed(around)
    assert [(each.version, each.runs) for each in found.releases] == [(NEW, ())]
    assert found.unread


def test_a_record_that_cannot_be_read_is_named_and_hides_no_other() -> None:
    made = world()
    around = made.session()
    decide(around, "add", NEW, book=BOOK)
    key = ("meshup.dev", "meshreleases")
    good = made.server.store.get(key, "", NEW)
    odd = {
        **good,
        "metadata": {**good["metadata"], "name": "odd", "uid": "odd"},
        "spec": {**good["spec"], "state": "new"},
    }
    made.server.store.put(key, odd)
    found = listed(around, book=BOOK)
    assert found.odd == ("odd",)
    assert Release(mesh="toy", version=NEW, state="candidate").version in {each.version for each in found.releases}


ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "meshup-owner-releases"},
    "rules": [
        {"apiGroups": ["meshup.dev"], "resources": ["meshreleases"], "resourceNames": ["none"], "verbs": ["pin"]}
    ],
}


def may_pin(made: Rolling) -> list[str]:
    """The releases that owners may pin."""
    role = made.plain.get(Ref(api_version=ROLE["apiVersion"], kind="ClusterRole", name="meshup-owner-releases"))
    return role["rules"][0]["resourceNames"]


def test_owners_may_pin_what_is_supported_and_nothing_else() -> None:
    made = world()
    made.plain.create(ROLE, manager="kubectl")
    around = made.session()
    seen = []
    for move in ("add", "promote", "deprecate", "promote", "block"):
        found = decide(around, move, NEW, book=BOOK, reason="because")
        seen.append((found.owners, may_pin(made)))
    assert seen == [
        (False, ["none"]),
        (True, [NEW, "none"]),
        (True, ["none"]),
        (True, [NEW, "none"]),
        (True, ["none"]),
    ]


def test_a_decision_that_was_cut_off_before_the_owners_right_is_completed_by_the_same_command() -> None:
    made = world()
    around = made.session()
    decide(around, "add", NEW, book=BOOK)
    decide(around, "promote", NEW, book=BOOK, reason="because")
    made.plain.create(ROLE, manager="kubectl")
    again = decide(around, "promote", NEW, book=BOOK, reason="because")
    assert (again.wrote, again.owners, may_pin(made)) == (True, True, [NEW, "none"])
    before = made.server.mutations
    assert not decide(around, "promote", NEW, book=BOOK, reason="because").wrote
    assert made.server.mutations == before


@pytest.mark.parametrize("lost", [True, False], ids=["lost answer", "changed meanwhile"])
def test_the_owners_right_is_changed_once_whatever_happens_around_it(lost: bool) -> None:
    made = world()
    made.plain.create(ROLE, manager="kubectl")
    around = made.session()
    decide(around, "add", NEW, book=BOOK)

    def around_the_write(request, logged, response):
        if logged.mutation and "meshup-owner-releases" in request.path:
            made.server.after.remove(around_the_write)
            raise TransportFailure("reset", "lost", maybe_done=True)
        return response

    def change_first(request, logged):
        if logged.mutation and "meshup-owner-releases" in request.path:
            made.server.before.remove(change_first)
            rules = [{**ROLE["rules"][0], "resourceNames": ["none", "0.9"]}]
            on = Ref(api_version=ROLE["apiVersion"], kind="ClusterRole", name="meshup-owner-releases")
            made.plain.merge_patch(on, {"rules": rules}, manager="kubectl")

    (made.server.after if lost else made.server.before).append(around_the_write if lost else change_first)
    decide(around, "promote", NEW, book=BOOK, reason="because")
    assert may_pin(made) == ([NEW, "none"] if lost else ["0.9", NEW, "none"])
