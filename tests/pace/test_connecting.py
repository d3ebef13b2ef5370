"""What callers' counters say of a restart: enough failures, and a share of them above the usual one, stop it; nothing else does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meshup.gates.connecting import LEAST, NEVER, failing, judge
from meshup.model.verdict import Answer, Reading

START = datetime(2026, 11, 2, 9, tzinfo=UTC)


def row(
    tried: float, failed: float, tls: float = 0, caller: str = "shop/web", service: str = "shop/cart"
) -> dict[str, Any]:
    return {"caller": caller, "service": service, "tried": tried, "failed": failed, "tls": tls}


def looks(*several: Any) -> list[Reading]:
    return [
        Reading(at=START + timedelta(seconds=5 * at), elapsed_s=5.0 * at, blind=each)
        if isinstance(each, str)
        else Reading(at=START + timedelta(seconds=5 * at), elapsed_s=5.0 * at, data={"rows": each, "source": "pages"})
        for at, each in enumerate(several)
    ]


def answer(*several: Any, budget: float = 0.1) -> Answer:
    return judge(looks(*several), budget).answer


def test_a_rise_beyond_the_budget_fails_and_names_the_caller_how_many_and_since_when() -> None:
    found = judge(looks({"a|c": row(1000, 2)}, {"a|c": row(1060, 22, 20)}), 0.1)
    assert (found.answer, found.names, found.hopeless) == (Answer.FAIL, ("shop/cart",), True)
    for words in (
        "caller shop/web",
        "20 of 60 new connections to shop/cart failed",
        "since 09:00:00Z",
        "20 TLS handshakes",
    ):
        assert words in found.because


@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param(row(0, 0), row(20, LEAST - 1), id="too few to tell"),
        pytest.param(row(0, 0), row(1000, 90), id="a share within the budget"),
        pytest.param(row(100, 50), row(200, 104), id="as bad as it was before"),
        pytest.param(row(100, 50), row(100, 50), id="nothing new"),
        pytest.param(row(0, 0), row(90, LEAST), id="what chance explains"),
    ],
)
def test_less_than_that_stops_nothing(first: dict[str, Any], last: dict[str, Any]) -> None:
    assert answer({"a|c": first}, {"a|c": last}) is Answer.PASS


def test_a_handshake_that_fails_is_counted_once_though_two_counters_have_it() -> None:
    assert answer({"a|c": row(0, 0)}, {"a|c": row(20, LEAST - 1, LEAST - 1)}) is Answer.PASS
    assert answer({"a|c": row(0, 0)}, {"a|c": row(20, 0, LEAST)}) is Answer.FAIL


def test_a_proxy_that_is_new_or_began_again_counts_from_zero() -> None:
    assert answer({}, {"a|c": row(20, LEAST)}) is Answer.FAIL
    assert answer({"a|c": row(1000, 500)}, {"a|c": row(20, LEAST)}) is Answer.FAIL
    assert answer({"a|c": row(1000, 500)}, {"a|c": row(60, 1)}) is Answer.PASS


def test_proxies_of_one_caller_are_added_up_and_those_of_several_are_not() -> None:
    half = row(10, LEAST / 2)
    assert answer({}, {"a|c": half, "b|c": half}) is Answer.FAIL
    assert answer({}, {"a|c": half, "b|c": {**half, "caller": "shop/search"}}) is Answer.PASS


def test_a_budget_of_all_connections_never_stops() -> None:
    assert answer({}, {"a|c": row(60, 60)}, budget=NEVER) is Answer.PASS


@pytest.mark.parametrize(
    "several",
    [
        (),
        ({"a|c": row(60, 60)},),
        ({}, "the API server is away"),
        ({}, {"a|c": row(float("nan"), 60)}),
        ({}, {"a|c": row(60, float("inf"))}),
        ({}, {"a|c": row(-1, 60)}),
        ({}, {"a|c": {"caller": "x", "service": "y"}}),
        ({}, {"a|c": None}),
        ({}, None),
    ],
)
def test_what_can_not_be_told_is_unknown_and_never_a_fail(several: tuple[Any, ...]) -> None:
    assert answer(*several) is Answer.UNKNOWN


def test_a_blind_look_in_between_changes_nothing() -> None:
    assert answer({"a|c": row(0, 0)}, "away", {"a|c": row(20, LEAST)}) is Answer.FAIL


def test_what_failed_is_told_with_every_caller_worst_first() -> None:
    readings = looks({}, {"a|c": row(60, 24), "b|c": row(40, 1, caller="shop/search")})
    (told,) = failing(readings, 0.1, judge(readings, 0.1))
    assert (told.service, told.view, told.value, told.n, told.window_s) == ("shop/cart", "caller shop/web", 0.4, 60, 5)
    assert [each.partition(":")[0] for each in told.callers] == ["shop/web", "shop/search"]
