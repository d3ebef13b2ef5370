"""A rehearsal against a release that is bad in a known way, and the same one without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshup.engine.trial import Against
    from meshup.model.runbook import Runbook
    from meshup.model.trial import Suffered
    from meshup.simulate.scenario import Simulation

WATCHED_S = 3600.0
"""How long after a run that caught nothing users are watched."""


def specs(asked: Sequence[str], release: str) -> list[dict[str, Any]]:
    """Read --bad KIND[,key=value] as faults of a release."""
    from meshup.cli.simulator import spec_of

    found = []
    for each in asked:
        kind, _, more = each.partition(",")
        name = f"bad-release:{release}"
        found.append({**spec_of(f"{name},{more}" if more else name), "bad": kind, "name": f"{name},bad={kind}"})
    return found


def against(
    simulation: Simulation, book: Runbook | None, healthy: Callable[[], Simulation], *, through: str
) -> Against | None:
    """Give what a runbook is tried against in a cluster, None when no release is bad there.

    book: None = what init proposes there. healthy: gives the same cluster with good releases, for the control.
    """
    from meshup.cli.playing import proposed, session_of
    from meshup.engine.rehearse import rehearse
    from meshup.engine.session import Silence
    from meshup.engine.trial import Against

    releases = simulation.world.traffic.releases
    if not releases.bad:
        return None
    around = session_of(healthy(), Silence())
    control = rehearse(around, book if book is not None else proposed(around), through=through, back=False)
    return Against(
        bad=tuple((each.release, each.kind, each.values()) for each in releases.bad.values()),
        suffered=lambda: suffered(simulation),
        control=control.outcome,
        later=lambda: simulation.clock.advance(WATCHED_S),
        watched_s=WATCHED_S,
    )


def suffered(simulation: Simulation) -> Suffered:
    """Give what users had so far from pods of releases that are bad."""
    from meshup.model.trial import Suffered

    simulation.world.traffic.count_all()
    found = simulation.world.traffic.releases.suffered.values()
    return Suffered(
        requests=int(sum(each.requests for each in found)),
        failed=int(sum(each.failed for each in found)),
        slowed=int(sum(each.slowed for each in found)),
    )


def is_good(spec: Mapping[str, Any]) -> bool:
    """Tell whether a fault is no bad release's."""
    return spec.get("fault") != "bad-release"
