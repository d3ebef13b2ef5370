"""`meshup rehearse --judge --whole N`: rollouts played whole on clusters in memory whose traffic is made of chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshup.engine.whole import Played
    from meshup.model.characteristic import Trial, Whole
    from meshup.simulate.scenario import Simulation

BAD: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("errors 1 %", {"bad": "errors", "errors": 0.01}),
    ("answers 200 ms slower", {"bad": "slow", "latency": 200}),
    ("a tenth of new connections fails", {"bad": "connect", "share": 0.1}),
)
SHARE = 10
"""Of each bad release one rollout is played for so many good ones."""


def whole(*, rollouts: int, seed: int, told: Callable[[str], None]) -> tuple[tuple[Trial, ...], Whole]:
    """Play good rollouts, and a tenth as many of each bad release. told: hears a line after each.

    Deterministic: the n-th rollout has seed + n.
    """
    from meshup.cli.trying import suffered
    from meshup.model.characteristic import Cost, Trial, Whole

    ended: list[Played] = []
    asked = failed = usual = 0.0
    for number in range(rollouts):
        simulation, played = one(seed + number)
        ended.append(played)
        noise = simulation.world.traffic.noise
        if noise is not None:
            simulation.world.traffic.count_all()
            asked, failed, usual = asked + noise.asked, failed + noise.failed, usual + noise.usual
        told(f"whole     {number + 1} of {rollouts}: {played.word}{f': {played.why}' if played.why else ''}")
    words = [each.word for each in ended]
    trials = [
        Trial(
            what="whole: nothing is wrong",
            word="stopped",
            runs=rollouts,
            hits=words.count("stopped"),
            bound=0.02,
            at_least=False,
        )
    ]
    costs = []
    for what, bad in BAD:
        runs, caught, cost = max(1, rollouts // SHARE), 0, []
        for number in range(runs):
            simulation, played = one(seed + number, bad)
            caught += played.word == "stopped"
            cost.append(suffered(simulation))
            told(f"whole     {what}, {number + 1} of {runs}: {played.word}: {played.why}")
        trials.append(Trial(what=f"whole: {what}", word="caught", runs=runs, hits=caught, bound=0.95, at_least=True))
        middle = sorted(cost, key=lambda each: (each.failed, each.requests))[len(cost) // 2]
        costs.append(Cost(what=what, requests=middle.requests, failed=middle.failed, slowed=middle.slowed))
    return tuple(trials), Whole(
        runs=rollouts,
        through=words.count("through"),
        held=words.count("held"),
        seconds=sum(each.seconds for each in ended),
        requests=int(asked),
        failed=int(failed),
        usual=int(usual),
        why=tuple(each.why for each in ended if each.why),
        costs=tuple(costs),
    )


def one(seed: int, bad: Mapping[str, Any] | None = None) -> tuple[Simulation, Played]:
    """Play one rollout; give its cluster and how it ended. bad: what is wrong with the release of the upgrade."""
    from meshup.cli.playing import proposed, session_of
    from meshup.cli.simulating import programs
    from meshup.engine.session import Silence
    from meshup.engine.whole import NEW, play
    from meshup.simulate import scenario as scenes

    simulation = scenes.load("noisy", seed=seed, programs=programs())  # type: ignore[arg-type]
    around = session_of(simulation, Silence())

    def worse() -> None:
        if bad is not None:
            simulation.world.inject({"fault": "bad-release", "on": NEW, "name": "bad", **bad})

    return simulation, play(around, proposed(around), ready=worse)
