"""`meshup ledger prune`: pins that are over and exported go after their time."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli import options


def command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="the newest export of this cluster")],
    older: Annotated[str, typer.Option("--older", help="pins that are over stay this long")] = "400d",
    most: Annotated[int, typer.Option("--most", min=0, help="and no more of them than this")] = 5000,
    yes: options.Yes = False,
    output: options.Output = "text",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    as_user: options.AsUser = "",
    as_group: options.AsGroup = [],
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Delete pins that are over and stand in the export as they are; shown first, and nothing goes without a yes.

    Example: meshup ledger prune ledger.jsonl --yes
    """
    import json

    from meshup.cli import exports
    from meshup.cli.asking import confirm
    from meshup.cli.connect import Aim, door, one_of, seconds, session
    from meshup.cli.screen import screen
    from meshup.engine import exporting
    from meshup.views import ledger as view

    one_of(output, ("text", "json"), flag="-o")
    look = screen(color=color, plain=plain)
    days = seconds(older, flag="--older") / 86400
    _, found, _ = exports.checked(file)
    around = session(door(Aim(kubeconfig=kubeconfig, context=context, user=as_user, groups=tuple(as_group))))
    due = exporting.retained(around, found, path=file, days=days, most=most)
    if not yes or output == "text":
        (look.out if output == "text" else look.err)(view.retention(due, width=look.width))
    if not due.going:
        if output == "json":
            look.out(json.dumps(view.retention_document(due, (), performed=False), ensure_ascii=False, indent=2))
        return 0
    confirm(look, yes=yes, question=f"Delete {len(due.going)} pins?")
    stayed = [(each.pin, why) for each, why in exporting.let_go(around, due.going) if why]
    if output == "json":
        look.out(json.dumps(view.retention_document(due, stayed, performed=True), ensure_ascii=False, indent=2))
    else:
        look.out(view.pruned(due, stayed, width=look.width))
    return 0
