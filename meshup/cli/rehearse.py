"""`meshup rehearse`: a runbook on a cluster in memory, on virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshup.cli import options

if TYPE_CHECKING:
    from meshup.cli.screen import Screen
    from meshup.simulate.scenario import Simulation

SCRAPED_S = 330.0
"""How long the Prometheus of a copy has scraped before anything is asked of it, as that of the cluster has."""
ASSUMED = "traffic, as a copy has none: opted-in services call each other, 5 requests a second each, and all goes well"


def command(
    filename: Annotated[str, typer.Option("-f", "--filename", help="the runbook; none = what init would propose")] = "",
    scenario: Annotated[
        str, typer.Option("--scenario", help="shop, big, noisy, or the path of a scenario file")
    ] = "shop",
    from_cluster: Annotated[
        bool, typer.Option("--from-cluster", help="play on a copy of the cluster at hand, which is only read")
    ] = False,
    fault: Annotated[list[str], typer.Option("--fault", help="KIND:NAMESPACE/NAME that goes wrong; repeatable")] = [],
    bad: Annotated[
        list[str],
        typer.Option("--bad", help="KIND in which the runbook's release is bad: would a gate catch it? repeatable"),
    ] = [],
    through: Annotated[str, typer.Option("--through", help="stop after this STAGE or STAGE/WAVE")] = "",
    seed: Annotated[int, typer.Option("--seed", help="same seed, same story")] = 1,
    no_back: Annotated[bool, typer.Option("--no-back", help="do not try the way back")] = False,
    judge: Annotated[
        bool,
        typer.Option(
            "--judge",
            help="how often the canary judge is wrong, over seeded rollouts; nothing is played without --whole",
        ),
    ] = False,
    rollouts: Annotated[
        int, typer.Option("--rollouts", help="with --judge: how many rollouts", min=1, max=20_000)
    ] = 200,
    whole: Annotated[
        int,
        typer.Option("--whole", help="with --judge: how many rollouts are played whole, an upgrade included", min=0),
    ] = 0,
    output: options.Output = "text",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    verbose: options.Verbose = 0,
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Play a runbook on a cluster in memory: what would happen, where it stops, whether the way back works.

    Example: meshup rehearse --scenario shop --bad slow
    """
    import json

    from meshup.cli import trying
    from meshup.cli.books import book
    from meshup.cli.connect import Aim, door, one_of
    from meshup.cli.kinds import drivers
    from meshup.cli.playing import copied, proposed, session_of
    from meshup.cli.screen import screen
    from meshup.cli.simulating import programs
    from meshup.cli.simulator import spec_of
    from meshup.cli.telling import watcher
    from meshup.engine.rehearse import rehearse
    from meshup.model.problem import Refused, UsageError
    from meshup.simulate import scenario as scenes
    from meshup.simulate.world.faults import FAULTS
    from meshup.views import standing as view

    one_of(output, ("text", "json", "events"), flag="-o")
    look = screen(color=color, plain=plain)
    if judge:
        played = {"--bad": bad, "--fault": fault, "-f": filename, "--through": through, "--from-cluster": from_cluster}
        beside = [flag for flag, value in played.items() if value]
        if beside:
            raise UsageError(
                f"--judge plays no runbook of yours, so {', '.join(beside)} would say nothing",
                code="MU1017",
                why="it judges counts made of seeded chance; a bad release is played by a rehearsal",
                fix="meshup rehearse --bad KIND, or meshup rehearse --judge",
                cluster="not contacted",
            )
        return _judge(look, output, rollouts=rollouts, whole=whole, seed=seed)
    if scenario not in scenes.known() and not Path(scenario).is_file():
        raise UsageError(
            f'there is no scenario "{scenario}"',
            code="MU5004",
            why=f"shipped are: {', '.join(scenes.known())}",
            fix="meshup rehearse --scenario shop",
            cluster="not contacted",
        )
    faults = [spec_of(each) for each in fault]
    wrong = [each["fault"] for each in faults if each["fault"] not in FAULTS]
    if wrong:
        raise UsageError(
            f'there is no fault "{wrong[0]}"',
            code="MU5005",
            why=f"known are: {', '.join(FAULTS)}",
            fix="meshup simulator faults",
            cluster="not contacted",
        )
    loaded = book(filename) if filename else None
    aim = Aim(kubeconfig=kubeconfig, context=context)

    def cluster(*, healthy: bool = False) -> Simulation:
        if from_cluster:
            made = copied(door(aim), drivers()["istio"], programs(), loaded)
            if loaded is not None and loaded.metrics.service:
                made.clock.advance(SCRAPED_S)
        else:
            made = scenes.load(scenario, seed=seed, programs=programs(), healthy=healthy)  # type: ignore[arg-type]
        _let_loose(made, [each for each in faults if not healthy or trying.is_good(each)])
        return made

    simulation = cluster()
    around = session_of(simulation, watcher(output, look, chatty=verbose > 0))
    runbook = loaded if loaded is not None else proposed(around)
    _let_loose(simulation, trying.specs(bad, runbook.mesh.release))
    against = trying.against(simulation, loaded, lambda: cluster(healthy=True), through=through)
    assumed = ASSUMED if from_cluster else ""
    scenario = "a copy of the cluster" if from_cluster else scenario
    try:
        found = rehearse(
            around,
            runbook,
            through=through,
            back=not no_back,
            requests=lambda: len(simulation.server.log),
            against=against,
        )
    except Refused as refused:
        if loaded is not None and not from_cluster:
            elsewhere = (
                f"meshup rehearse -f {filename} --from-cluster plays it on a copy of the cluster it was made for"
            )
            refused.fix = f"it was played on the scenario {scenario}; {elsewhere}"
        raise
    if output in ("json", "events"):
        document = view.rehearsal_document(found, scenario=scenario, assumed=assumed)
        look.out(json.dumps(document, indent=2 if output == "json" else None))
    else:
        look.out(view.rehearsal(found, scenario=scenario, width=look.width, assumed=assumed, runbook=filename))
    return found.exit


def _let_loose(simulation: Simulation, faults: Sequence[Mapping[str, Any]]) -> None:
    """Let faults loose in a cluster. Raises UsageError for one that can't be."""
    from meshup.model.problem import UsageError
    from meshup.simulate.api.problems import Refusal

    for each in faults:
        try:
            simulation.world.inject(each)
        except Refusal as refused:
            raise UsageError(
                f'the fault "{each["name"]}" can\'t be let loose',
                code="MU5005",
                why=refused.message,
                fix="meshup explain bad-release" if each["fault"] == "bad-release" else "meshup simulator faults",
                cluster="not contacted",
            ) from refused


def _judge(look: Screen, output: str, *, rollouts: int, whole: int, seed: int) -> int:
    """Print the operating characteristic of the canary judge. Ends with 0: it is a measurement, and no gate."""
    import json
    from dataclasses import replace

    from meshup.cli.whole import whole as played
    from meshup.engine.characteristic import characteristic
    from meshup.views import characteristic as view

    found = characteristic(rollouts=rollouts, seed=seed)
    if whole:
        trials, ended = played(rollouts=whole, seed=seed, told=look.err)
        found = replace(found, trials=(*found.trials, *trials), whole=ended)
    if output == "text":
        look.out(view.text(found, width=look.width))
    else:
        look.out(json.dumps(view.as_document(found), indent=2 if output == "json" else None))
    return 0
