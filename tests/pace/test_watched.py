"""Callers are watched while what they call restarts, and a release at which connecting fails goes no further than it must."""

from __future__ import annotations

from pathlib import Path

import pytest
from busy import Busy

from meshup.engine.execute import apply
from meshup.engine.history import newest_run
from meshup.engine.replay import again
from meshup.engine.standing import status
from meshup.journal.runs import heads, open_store
from meshup.model.events import Outcome
from meshup.model.journal import Done, Entry, Reached
from meshup.model.problem import Exit


def entries(busy: Busy) -> tuple[Entry, ...]:
    head = heads(busy.session.cluster)[-1]
    return open_store(busy.session.cluster, head.run, epoch=head.epoch, folder=None).entries()


def moved(busy: Busy, outcome: Outcome) -> int:
    """Count the services of the stopped place that were moved before it went back."""
    told = entries(busy)
    back = next(at for at, each in enumerate(told) if isinstance(each, Reached) and each.how == "undoing")
    return sum(isinstance(each, Done) and each.change.startswith(f"{outcome.stopped}/") for each in told[:back])


def test_the_watch_stops_earlier_than_the_gates_after_it_and_costs_users_less(tmp_path: Path) -> None:
    watched, unwatched = Busy(tmp_path), Busy(tmp_path)
    early = watched.upgrade(watched.onboard())
    late = unwatched.upgrade(unwatched.onboard(failed_connections=1.0))
    assert (early.exit, late.exit) == (Exit.UNDONE, Exit.UNDONE)
    assert early.why.startswith("restart-watch: caller ")
    assert late.why.startswith("success-rate: ")
    assert moved(watched, early) < moved(unwatched, late)
    assert watched.lost * 10 < unwatched.lost


def test_a_prometheus_tells_of_it_too(tmp_path: Path) -> None:
    busy = Busy(tmp_path, prometheus=True)
    book = busy.onboard()
    # It sees as late as it scrapes, so a restart that is over before is left to the gates.
    busy.simulation.world.inject({"fault": "slow-pods", "on": "payments/ledger", "seconds": 40})
    outcome = busy.upgrade(book)
    assert outcome.exit == Exit.UNDONE
    assert outcome.why.startswith("restart-watch: caller ")
    (told,) = outcome.failing
    assert told.source.startswith("Prometheus ")


def test_it_is_told_on_one_screen_stored_and_judged_again_alike(tmp_path: Path) -> None:
    busy = Busy(tmp_path)
    outcome = busy.upgrade(busy.onboard())
    (told,) = outcome.failing
    assert told.metric == "connections while it restarts"
    assert told.callers
    assert "ssl.connection_error" in outcome.likely
    standing = status(busy.session)
    assert standing.run is not None
    assert standing.run.failing == outcome.failing
    found = newest_run(busy.session)
    assert found is not None
    state, plan = found
    replayed = again(state, plan(), busy.session.gates)
    (watch,) = [each for each in replayed.verdicts if each.kind == "restart-watch"]
    assert watch.now == watch.was


def test_a_good_release_is_watched_and_not_stopped(tmp_path: Path) -> None:
    busy = Busy(tmp_path)
    book = busy.onboard()
    plan = busy.plan(book)
    before = busy.doors.pages
    assert apply(busy.session, plan, through="qualify").exit == 0
    assert busy.doors.pages > before
    assert busy.ears.notes("blind") == []


@pytest.mark.parametrize("blind", ["go on", "hold"])
def test_callers_that_can_not_be_seen_are_said_and_hold_only_where_the_runbook_says_so(
    tmp_path: Path, blind: str
) -> None:
    busy = Busy(tmp_path)
    plan = busy.plan(busy.onboard(blind=blind))
    busy.close("shut")
    outcome = apply(busy.session, plan, through="qualify")
    (said,) = busy.ears.notes("blind")
    assert "qualify/critical: callers can't be watched" in said
    if blind == "hold":
        assert (outcome.exit, outcome.code) == (Exit.GATE_HELD, "MU3113")
        assert "pacing.blind" in outcome.why
    else:
        assert outcome.exit == 0, "the gates after it see again, and judge"


def test_who_may_not_read_proxies_is_told_so_and_goes_on(tmp_path: Path) -> None:
    busy = Busy(tmp_path)
    plan = busy.plan(busy.onboard())
    busy.close("forbidden")
    outcome = apply(busy.session, plan, through="qualify")
    assert outcome.exit == 0, outcome.why
    (said,) = busy.ears.notes("blind")
    assert "forbidden" in said.lower() or "not permitted" in said.lower()


def test_nobody_watches_a_way_back(tmp_path: Path) -> None:
    busy = Busy(tmp_path)
    outcome = busy.upgrade(busy.onboard())
    told = entries(busy)
    back = next(at for at, each in enumerate(told) if isinstance(each, Reached) and each.how == "undoing")
    assert any(isinstance(each, Reached) and each.how == "undone" for each in told[back:])
    assert outcome.kept == f"{outcome.stopped} is back as it was, verified; what came before it stays"
