"""`meshup ledger install`: kinds, policies, and the proof that forged records are denied."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli import options


def command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would be written")] = False,
    yes: options.Yes = False,
    output: options.Output = "text",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    as_user: options.AsUser = "",
    as_group: options.AsGroup = [],
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Install the ledger's kinds and policies, and see that forged records are denied before they count as enforced.

    Example: meshup ledger install
    """
    import json

    from meshup.cli.asking import confirm
    from meshup.cli.connect import Aim, Interrupt, door, one_of, session
    from meshup.cli.screen import screen
    from meshup.engine import ledger
    from meshup.engine.wait import Pause
    from meshup.views import installed as view

    one_of(output, ("text", "json"), flag="-o")
    look = screen(color=color, plain=plain)
    cluster = door(Aim(kubeconfig=kubeconfig, context=context, user=as_user, groups=tuple(as_group)))
    around = session(cluster, interrupt=Interrupt().listen())
    wanted = ledger.missing(cluster)
    rows = tuple((each.how, str(each.ref)) for each in wanted)
    if output == "text":
        look.out(view.wanted(rows, width=look.width))
    if dry_run:
        if output == "json":
            look.out(json.dumps(view.document(rows, state="", since=None, why=""), indent=2))
        return 0
    if wanted:
        confirm(look, yes=yes, question=f"write {len(wanted)} objects as {around.identity.user}?")
    pause = Pause(around, beat=lambda: None, next_command="meshup ledger install")
    made = ledger.install(around, wanted, pause=pause.sleep)
    found = made.enforcement
    if output == "json":
        told = view.document(rows, state=found.state, since=found.since, why=found.why, unasked=made.unasked)
        look.out(json.dumps(told, indent=2))
    else:
        look.out(view.result(state=found.state, since=found.since, why=found.why, unasked=made.unasked))
    return 0
