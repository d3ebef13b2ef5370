"""`meshup status`: where the run, the waves and the proxies stand."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli import options


def command(
    filename: options.Filename = "meshup.yaml",
    watch: Annotated[bool, typer.Option("--watch", help="show it again whenever it changes, until Ctrl-C")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="return when no run is under way, with the run's exit code")
    ] = False,
    timeout: options.Timeout = "",
    output: options.Output = "text",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    as_user: options.AsUser = "",
    as_group: options.AsGroup = [],
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Show the newest run, its waves, and which proxies run where.

    Example: meshup status --wait --timeout 30m
    """
    import json
    from dataclasses import replace

    from meshup.cli.asking import unasked
    from meshup.cli.books import book_or_none
    from meshup.cli.connect import Aim, Interrupt, door, one_of, seconds, session
    from meshup.cli.screen import screen
    from meshup.engine.standing import status
    from meshup.engine.wait import Looking
    from meshup.model.text import USUAL_RUNBOOK
    from meshup.views import standing as view

    one_of(output, ("text", "json"), flag="-o")
    limit = seconds(timeout, flag="--timeout")
    look = screen(color=color, plain=plain)
    loaded = book_or_none(filename)
    cluster = door(Aim(kubeconfig=kubeconfig, context=context, user=as_user, groups=tuple(as_group)))
    around = session(cluster, interrupt=Interrupt().listen())
    found = status(around, book=loaded, named=filename != USUAL_RUNBOOK, context=cluster.context)
    shown = ""
    looking = Looking(around, limit_s=limit)
    while True:
        if not look.interactive:
            found = replace(found, next=unasked(found.next))
        text = (
            json.dumps(view.status_document(found), indent=2)
            if output == "json"
            else view.status(found, width=look.width)
        )
        if text != shown and (watch or not wait):
            look.out(text)
            shown = text
        over = found.run is None or found.run.word != "running"
        if not watch and (not wait or over):
            break
        if not looking.again(5.0):
            from meshup.model.problem import DeadlinePassed

            raise DeadlinePassed(
                "the run is still under way", code="MU3102", fix="meshup status --wait", cluster="only read"
            )
        found = status(around, book=loaded, named=filename != USUAL_RUNBOOK, context=cluster.context)
    if wait:
        look.out(text)
        return found.run.exit if found.run is not None else 0
    return 0
