"""`meshup report`: what runs and rollbacks say about a release."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli import options


def command(
    filename: options.Filename = "meshup.yaml",
    release: Annotated[str, typer.Option("--release", help="only this release")] = "",
    output: options.Output = "text",
    report: options.Report = [],
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    as_user: options.AsUser = "",
    as_group: options.AsGroup = [],
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Show per release who runs it, and who rolled back to what, why and until when.

    Example: meshup report --release 1.30.3
    """
    import json
    from pathlib import Path

    from meshup.cli import reports
    from meshup.cli.books import book
    from meshup.cli.connect import Aim, door, one_of, session
    from meshup.cli.screen import screen
    from meshup.engine import standing
    from meshup.views import standing as view

    one_of(output, ("text", "json"), flag="-o")
    further = reports.asked(report, ("json",))
    look = screen(color=color, plain=plain)
    cluster = door(Aim(kubeconfig=kubeconfig, context=context, user=as_user, groups=tuple(as_group)))
    loaded = book(filename) if Path(filename).exists() else None
    found = standing.report(session(cluster), release=release, book=loaded, context=cluster.context)
    text = json.dumps(view.report_document(found), indent=2)
    reports.write(further, {"json": lambda: text})
    look.out(text if output == "json" else view.report(found, width=look.width))
    return 0
