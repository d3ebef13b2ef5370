"""The places of a plan: its waves in order, and how far a run goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from meshup.model.plan import Plan, PlannedChange, PlannedStage, PlannedWave
from meshup.model.problem import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One wave in its stage."""

    name: str
    stage: PlannedStage
    wave: PlannedWave

    def changes(self) -> tuple[PlannedChange, ...]:
        """Give everything the wave writes, in order."""
        return self.wave.writes()


def places(plan: Plan, *, through: str = "") -> tuple[Place, ...]:
    """Give the waves to perform, in order, up to and with `through` (STAGE or STAGE/WAVE). Raises UsageError."""
    found = [Place(name=stage.place(wave), stage=stage, wave=wave) for stage in plan.stages for wave in stage.waves]
    if not through:
        return tuple(found)
    last = max((number for number, each in enumerate(found) if through in (each.name, each.stage.name)), default=-1)
    if last < 0:
        if any(stage.name == through for stage in plan.stages):
            names = [stage.name for stage in plan.stages]
            before = set(names[: names.index(through) + 1])
            return tuple(each for each in found if each.stage.name in before)
        raise UsageError(
            f'the plan has no stage or wave "{through}"',
            code="MU2111",
            why=f"it has: {', '.join(dict.fromkeys([*(stage.name for stage in plan.stages), *(each.name for each in found)]))}",
            fix="correct --through",
            cluster="not contacted",
        )
    return tuple(found[: last + 1])


def go_on(left: Sequence[str]) -> str:
    """Say how a run that did all it was asked goes on to its end. left: the places that are not done, in order."""
    more = f" and {len(left) - 1} more" if len(left) > 1 else ""
    return f"meshup apply --resume --through {left[-1].partition('/')[0]}      not begun: {left[0]}{more}"
