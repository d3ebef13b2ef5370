"""What a restart makes callers open anew is counted when the plan is made, said with its source, and paces the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from busy import Busy

from meshup.engine.execute import apply
from meshup.gates.reconnects import said, told
from meshup.model.pace import ASSUMED, Reconnects


def test_the_larger_of_two_counts_is_taken_as_neither_sees_more_than_there_is() -> None:
    found = told("shop/cart", 2, held={"shop/cart": (24.0, 3)}, own={"shop/cart": (30.0, 2)}, where="pages")
    assert (found.per_pod, found.measured) == (15.0, True)
    assert found.source == "30 downstream_cx_active of its own at 2 proxies, from pages"
    found = told("shop/cart", 2, held={"shop/cart": (24.0, 1)}, own={}, where="pages")
    assert found.source == "24 upstream_cx_active of its callers at 1 proxy, from pages"


@pytest.mark.parametrize(("pods", "held"), [(2, {}), (0, {"shop/cart": (24.0, 3)}), (2, {"shop/web": (24.0, 3)})])
def test_what_nothing_counts_is_assumed_and_says_so(pods: int, held: dict[str, tuple[float, int]]) -> None:
    found = told("shop/cart", pods, held=held, own={}, where="pages")
    assert (found.per_pod, found.measured) == (ASSUMED, False)


def test_a_count_of_none_is_measured_and_not_assumed() -> None:
    assert told("shop/cart", 2, held={"shop/cart": (0.0, 1)}, own={}, where="pages").per_pod == 0.0


def test_a_plan_says_what_is_measured_and_what_is_assumed() -> None:
    several = (
        Reconnects(service="shop/cart", per_pod=15.0, pods=2, source="30 of somebody"),
        Reconnects(service="shop/web", pods=3),
    )
    lines = said(several, 5.0)
    assert lines == (
        "pacing: at most 5 new connections a second, so 12 s of waiting in all",
        "pacing: measured for 1 service; the most: shop/cart 15.0 a pod (30 of somebody)",
        "pacing: assumed 10 a pod, as no proxy counts them: shop/web",
    )
    assert said(several, 0.0) == ()


def test_a_plan_without_a_rate_asks_no_proxy(tmp_path: Path) -> None:
    busy = Busy(tmp_path)
    book = busy.onboard()
    before = busy.doors.pages
    assert busy.plan(book).reconnects == ()
    assert busy.doors.pages == before


def test_meshed_services_are_measured_from_the_proxies_and_the_plan_keeps_it(tmp_path: Path) -> None:
    busy = Busy(tmp_path)
    plan = busy.plan(busy.onboard(new_connections_per_s=50.0))
    assert plan.reconnects
    assert all(each.measured for each in plan.reconnects)
    web = next(each for each in plan.reconnects if each.service == "shop/web")
    # Two callers with 4 new connections a second, each kept for 30 s, at 3 pods.
    assert (web.per_pod, web.pods) == (80.0, 3)
    assert any(each.startswith("pacing: measured for") for each in plan.notes)


def test_a_prometheus_measures_the_same(tmp_path: Path) -> None:
    busy = Busy(tmp_path, prometheus=True)
    plan = busy.plan(busy.onboard(new_connections_per_s=50.0))
    assert plan.book.metrics.service
    assert {each.measured for each in plan.reconnects} == {True}
    web = next(each for each in plan.reconnects if each.service == "shop/web")
    assert web.source.endswith(f"from Prometheus {plan.book.metrics.service}")
    # The gateway alone calls it here: 4 new connections a second, each kept for 30 s, at 3 pods.
    assert web.per_pod == pytest.approx(40.0, rel=0.1)


def test_proxies_that_can_not_be_read_leave_it_assumed(tmp_path: Path) -> None:
    busy = Busy(tmp_path)
    book = busy.onboard(new_connections_per_s=50.0)
    busy.doors.shut = True
    plan = busy.plan(book)
    assert {each.measured for each in plan.reconnects} == {False}
    assert {each.per_pod for each in plan.reconnects} == {ASSUMED}


def test_a_service_waits_for_as_long_as_the_one_before_it_needs(tmp_path: Path) -> None:
    """The measured number paces: twice of it, twice the wait."""
    took = []
    for factor in (1.0, 2.0):
        busy = Busy(tmp_path)
        plan = busy.plan(busy.onboard(new_connections_per_s=4.0))
        slower = tuple(replace(each, per_pod=each.per_pod * factor) for each in plan.reconnects)
        began = busy.session.clock.elapsed()
        assert apply(busy.session, replace(plan, reconnects=slower), through="qualify").exit == 0
        took.append(busy.session.clock.elapsed() - began)
    several = {each.service: each.per_pod * each.pods / 4.0 for each in plan.reconnects}
    wave = next(wave for stage in plan.stages if stage.name == "qualify" for wave in stage.waves)
    all_but_last = sorted(several[name] for name in wave.services)
    assert took[1] - took[0] >= sum(all_but_last[:-1]) * 0.5
