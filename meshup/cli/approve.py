"""`meshup approve`: a person lets a stage begin."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli import options


def command(
    stage: Annotated[str, typer.Argument(help="the STAGE or STAGE/WAVE that waits")],
    plan: Annotated[
        str, typer.Argument(metavar="[PLAN]", help="a saved plan to approve before it runs; none = the newest run's")
    ] = "",
    lasts: Annotated[str, typer.Option("--for", help="how long the approval is good")] = "24h",
    output: options.Output = "text",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    as_user: options.AsUser = "",
    as_group: options.AsGroup = [],
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Let a stage that waits for approval begin; recorded with the name the API server gives you.

    Example: meshup approve strict
    """
    import json
    from datetime import timedelta

    from meshup.cli.connect import Aim, door, one_of, seconds, session
    from meshup.cli.plans import read
    from meshup.cli.screen import screen
    from meshup.engine.approving import approve
    from meshup.views.documents import document

    one_of(output, ("text", "json"), flag="-o")
    look = screen(color=color, plain=plain)
    saved = read(plan) if plan else None
    length = timedelta(seconds=seconds(lasts, flag="--for"))
    around = session(door(Aim(kubeconfig=kubeconfig, context=context, user=as_user, groups=tuple(as_group))))
    given = approve(around, stage, plan=saved, lasts=length)
    if output == "json":
        look.out(
            json.dumps(
                document("approval", place=given.place, user=given.user, plan=given.plan, until=given.until), indent=2
            )
        )
    else:
        look.out(
            f"record    {given.user} approves {given.place} of plan {given.plan[7:15]} until {given.until}\n"
            f"Next      {f'meshup apply {plan}' if plan else 'meshup apply --resume'}"
        )
    return 0
