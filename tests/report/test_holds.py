"""A release is on hold when too many people or services went back from it; what is not trusted alike is counted apart."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from meshup.model.counts import Counts, distinct
from meshup.model.held import is_back
from meshup.model.holds import HoldAt, judge, resting, verdicts, went_back
from meshup.model.ledger import Pin, Running
from meshup.model.objects import Ref

NOW = datetime(2026, 11, 25, tzinfo=UTC)
NEW, OLD = "1.30.3", "1.29.4"


def pin(service: str, user: str, **more) -> Pin:
    """A rollback that began a day ago and goes on for six more."""
    known = {
        "name": f"{service}-1",
        "namespace": "shop",
        "service": service,
        "workload": Ref(api_version="apps/v1", kind="Deployment", namespace="shop", name=service),
        "workload_uid": service,
        "from_release": NEW,
        "from_revision": "1-30-3",
        "to_release": OLD,
        "to_revision": "1-29-4",
        "user": user,
        "user_uid": "",
        "reason": "timeouts",
        "since": NOW - timedelta(days=1),
        "until": NOW + timedelta(days=6),
        "phase": "Active",
        "trust": "enforced",
    }
    return Pin(**known | more)


def runs(count: int, release: str = NEW) -> list[Running]:
    """So many services that run a release."""
    return [Running(service=f"s{n}", namespace="shop", owner="", releases=((release, 2),)) for n in range(count)]


def test_more_users_than_allowed_hold_a_release_and_as_many_as_allowed_do_not() -> None:
    pins = [pin(f"a{n}", f"user{n}") for n in range(4)]
    assert verdicts(pins[:3], runs(60), now=NOW, at=HoldAt(users=3))[NEW].answer == "pass"
    held = verdicts(pins, runs(60), now=NOW, at=HoldAt(users=3))[NEW]
    assert (held.answer, held.trust, held.users) == ("hold", "enforced", Counts(4, 0, 0))
    assert "4 users" in held.because


def test_a_share_holds_only_where_enough_services_reached_the_release() -> None:
    pins = [pin("a0", "ana"), pin("a1", "ana", name="a1-1")]
    assert verdicts(pins, runs(7), now=NOW, at=HoldAt(least=10))[NEW].answer == "pass"
    held = verdicts(pins, runs(8), now=NOW, at=HoldAt(least=10))[NEW]
    assert (held.answer, held.reached) == ("hold", 10)
    assert "2 of 10 services (20 %)" in held.because
    assert verdicts(pins, runs(18), now=NOW, at=HoldAt(least=10))[NEW].answer == "pass", "10 % is not more than 10 %"


def test_a_hold_says_how_far_down_the_records_had_to_be_trusted() -> None:
    pins = [pin(f"a{n}", f"user{n}", trust="enforced" if n < 2 else "declared") for n in range(4)]
    held = verdicts(pins, runs(90), now=NOW, at=HoldAt())[NEW]
    assert (held.answer, held.trust, held.users) == ("hold", "declared", Counts(2, 2, 0))
    gone = {NEW: [f"shop/x{n}" for n in range(20)]}
    held = verdicts([], runs(20), now=NOW, at=HoldAt(), untracked=gone)[NEW]
    assert (held.answer, held.trust, held.services) == ("hold", "inferred", Counts(0, 0, 20))


def test_somebody_a_service_account_speaks_for_counts_as_that_person_and_is_declared_unless_verified() -> None:
    pins = [pin(f"a{n}", "system:serviceaccount:ci:runner", on_behalf_of=f"user{n}") for n in range(4)]
    held = verdicts(pins, runs(90), now=NOW, at=HoldAt())[NEW]
    assert (held.answer, held.users) == ("hold", Counts(0, 4, 0))


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        ({"phase": "Failed"}, "pass"),
        ({"to_release": "1.31.0"}, "pass"),
        ({"from_release": OLD}, "pass"),
        ({"phase": "Closed"}, "hold"),
        ({"phase": "Closed", "since": NOW - timedelta(days=40)}, "pass"),
        ({"since": NOW - timedelta(days=40)}, "hold"),
        ({"to_release": ""}, "hold"),
    ],
    ids=["failed", "ahead", "in place", "ended lately", "ended long ago", "in effect for long", "out of the mesh"],
)
def test_what_counts_as_a_rollback(more: dict, answer: str) -> None:
    pins = [pin(f"a{n}", f"user{n}", **more) for n in range(4)]
    assert verdicts(pins, runs(90), now=NOW, at=HoldAt())[NEW].answer == answer


def test_a_pin_that_prolongs_another_still_counts_against_the_release_that_was_left() -> None:
    first = [pin(f"a{n}", f"user{n}", phase="Closed", since=NOW - timedelta(days=60)) for n in range(4)]
    again = [pin(f"a{n}", f"user{n}", name=f"a{n}-2", from_release=OLD) for n in range(4)]
    assert verdicts(first, runs(90), now=NOW, at=HoldAt())[NEW].answer == "pass"
    assert verdicts([*first, *again], runs(90), now=NOW, at=HoldAt())[NEW].answer == "hold"


CRITICAL = HoldAt(users=9, percent=100.0, alone=("shop/cart", "shop/pay"))


def test_one_critical_service_that_is_back_holds_a_release_whatever_the_numbers_and_is_named_with_its_reason() -> None:
    pins = [pin("cart", "alice", reason="timeouts to ledger"), pin("web", "ben")]
    held = verdicts(pins, runs(90), now=NOW, at=CRITICAL)[NEW]
    assert (held.answer, held.trust) == ("hold", "enforced")
    assert held.because == "critical service shop/cart went back: timeouts to ledger (alice)"
    assert verdicts(pins[1:], runs(90), now=NOW, at=CRITICAL)[NEW].answer == "pass"
    assert verdicts(pins, runs(90), now=NOW, at=replace(CRITICAL, alone=()))[NEW].answer == "pass"
    two = [*pins, pin("pay", "cleo", since=NOW - timedelta(days=2))]
    because = verdicts(two, runs(90), now=NOW, at=CRITICAL)[NEW].because
    assert because == "critical service shop/pay went back: timeouts (cleo) and 1 more critical service"


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        ({}, "hold"),
        ({"phase": "Requested"}, "hold"),
        ({"since": NOW - timedelta(days=90), "until": NOW - timedelta(days=80)}, "hold"),
        ({"to_release": ""}, "hold"),
        ({"phase": "Closed"}, "pass"),
        ({"phase": "Failed"}, "pass"),
        ({"to_release": "1.31.0"}, "pass"),
        ({"from_release": OLD}, "pass"),
        ({"namespace": "other"}, "pass"),
    ],
    ids=["active", "asked for", "overdue", "no mesh", "ended", "failed", "ahead", "in place", "a namesake"],
)
def test_a_critical_service_holds_for_as_long_as_its_record_has_it_back(more: dict, answer: str) -> None:
    assert verdicts([pin("cart", "alice", **more)], runs(90), now=NOW, at=CRITICAL).get(NEW, NOTHING).answer == answer


NOTHING = judge(NEW, users=Counts(), services=Counts(), reached=50, at=HoldAt())


@pytest.mark.parametrize(
    ("state", "answer"), [("", "hold"), ("candidate", "hold"), ("supported", "pass"), ("deprecated", "pass")]
)
def test_a_critical_service_holds_what_is_being_qualified_and_no_release_that_is_supported(state, answer) -> None:
    found = verdicts([pin("cart", "alice")], runs(90), now=NOW, at=CRITICAL, states={NEW: state})
    assert found[NEW].answer == answer


def test_a_hold_by_a_critical_service_is_said_at_the_trust_of_its_record_and_a_stronger_hold_first() -> None:
    (declared,) = [pin("cart", "alice", trust="declared")]
    assert verdicts([declared], runs(90), now=NOW, at=CRITICAL)[NEW].trust == "declared"
    others = [pin(f"a{n}", f"user{n}") for n in range(4)]
    held = verdicts([declared, *others], runs(90), now=NOW, at=replace(CRITICAL, users=3))[NEW]
    assert (held.trust, held.because) == ("enforced", "4 users went back from it, more than 3")


def test_a_pin_that_prolongs_a_critical_services_rollback_holds_the_release_that_was_left_first() -> None:
    first = pin("cart", "alice", phase="Closed", since=NOW - timedelta(days=60))
    again = pin("cart", "alice", name="cart-2", from_release=OLD)
    assert verdicts([first], runs(90), now=NOW, at=CRITICAL)[NEW].answer == "pass"
    assert verdicts([first, again], runs(90), now=NOW, at=CRITICAL)[NEW].answer == "hold"


def test_what_nobody_runs_or_was_not_read_is_unknown_but_a_hold_stays_a_hold() -> None:
    at = HoldAt()
    assert judge(NEW, users=Counts(), services=Counts(), reached=0, at=at).answer == "unknown"
    assert judge(NEW, users=Counts(1), services=Counts(1), reached=50, at=at, unread=1).answer == "unknown"
    assert judge(NEW, users=Counts(4), services=Counts(4), reached=50, at=at, unread=1).answer == "hold"
    assert judge(NEW, users=Counts(), services=Counts(), reached=50, at=at, blocked="CVE").answer == "hold"


def test_a_name_counts_once_at_its_strongest() -> None:
    found = [("declared", "ana"), ("enforced", "ana"), ("inferred", "ben"), ("declared", "cleo")]
    assert distinct(found) == Counts(1, 1, 1)
    assert Counts(1, 2, 4).down_to("declared") == 3


@pytest.mark.parametrize(
    ("origin", "to", "back"),
    [
        ("1.30.3", "1.29.4", True),
        ("1.30.3", "1.30.10", False),
        ("1.30.3", "", True),
        ("", "1.29.4", False),
        ("1.31.0-dev", "1.30.0-relabel", True),
        ("1.31.0", "1.31.0-beta.1", True),
        ("1.31.0-beta.1", "1.31.0", False),
        ("1.30.3", "1.30.3", False),
    ],
)
def test_older_is_told_by_the_numbers(origin: str, to: str, back: bool) -> None:
    assert is_back(origin, to) is back


def history(seed: int) -> list[Pin]:
    """Pins of three services over ten weeks: back, forward, prolonged, failed, some still in effect."""
    chance, made = random.Random(seed), []
    for number in range(chance.randrange(1, 14)):
        left, to = chance.choice((NEW, OLD, "1.31.0", "")), chance.choice((NEW, OLD, "1.31.0", ""))
        since = NOW - timedelta(days=chance.randrange(70))
        made.append(
            pin(
                f"s{chance.randrange(3)}",
                f"user{chance.randrange(4)}",
                name=f"p{number}",
                from_release=to if chance.random() < 0.4 else left,
                to_release=to,
                since=since,
                until=since + timedelta(days=7),
                phase=chance.choice(("Closed", "Closed", "Active", "Failed")),
            )
        )
    return made


def test_what_counts_is_the_same_without_the_records_that_no_verdict_rests_on() -> None:
    gone = 0
    for seed in range(2000):
        pins = history(seed)
        for moment in (NOW, NOW + timedelta(days=9)):
            needed = resting(pins, now=NOW, at=HoldAt())
            left = [each for each in pins if each.phase == "Active" or (each.namespace, each.name) in needed]
            gone += len(pins) - len(left)
            assert went_back(left, now=moment, at=HoldAt()) == went_back(pins, now=moment, at=HoldAt()), seed
    assert gone > 1000


def test_a_record_rests_while_it_counts_or_one_in_effect_prolongs_it_and_not_longer() -> None:
    old = {"since": NOW - timedelta(days=40), "until": NOW - timedelta(days=33), "phase": "Closed"}
    first, renewal = pin("cart", "ana", name="first", **old), pin("cart", "ana", name="second", from_release=OLD)
    recent = pin("web", "ben", phase="Closed")
    at = HoldAt()
    assert resting([first, renewal, recent], now=NOW, at=at) == {
        ("shop", "first"): NEW,
        ("shop", "second"): NEW,
        ("shop", "web-1"): NEW,
    }
    assert resting([first, recent], now=NOW + timedelta(days=30), at=at) == {}
