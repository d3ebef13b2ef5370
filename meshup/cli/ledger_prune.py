"""`meshup ledger prune`: pins that are over and exported go after their time."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli import options


def command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="the newest export of this cluster")],
    older: Annotated[str, typer.Option("--older", help="pins that are over stay this long")] = "400d",
    most: Annotated[int, typer.Option("--most", min=0, help="and no more of them than this")] = 5000,
    filename: options.Filename = "meshup.yaml",
    yes: options.Yes = False,
    output: options.Output = "text",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    as_user: options.AsUser = "",
    as_group: options.AsGroup = [],
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Delete pins that are over, that no verdict rests on, and that stand in the export; without a yes it only lists them.

    Example: meshup ledger prune ledger.jsonl --yes
    """
    import json

    from meshup.cli import exports
    from meshup.cli.asking import confirm
    from meshup.cli.books import book_or_none
    from meshup.cli.connect import Aim, door, one_of, seconds, session
    from meshup.cli.screen import screen
    from meshup.engine import exporting
    from meshup.views import ledger as view

    one_of(output, ("text", "json"), flag="-o")
    look = screen(color=color, plain=plain)
    stay_s, book = seconds(older, flag="--older"), book_or_none(filename)
    _, found, _ = exports.checked(file)
    around = session(door(Aim(kubeconfig=kubeconfig, context=context, user=as_user, groups=tuple(as_group))))
    due = exporting.retained(around, found, path=file, stay_s=stay_s, most=most, book=book)
    if output == "text":
        look.out(view.retention(due, width=look.width, performed=yes and bool(due.going)))
    asked = yes or (look.interactive and not due.missing)
    if not due.going or not asked:
        if output == "json":
            look.out(json.dumps(view.retention_document(due, (), performed=False), ensure_ascii=False, indent=2))
        return 0
    confirm(look, yes=yes, question=f"Delete {len(due.going)} pins?")
    stayed = [(each.pin, why) for each, why in exporting.let_go(around, due) if why]
    if output == "json":
        look.out(json.dumps(view.retention_document(due, stayed, performed=True), ensure_ascii=False, indent=2))
    else:
        look.out(view.pruned(due, stayed, width=look.width))
    return 0
