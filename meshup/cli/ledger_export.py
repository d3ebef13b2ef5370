"""`meshup ledger export`: every record in a file in which no edit goes unseen."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli import options


def command(
    out: Annotated[str, typer.Option("--out", help="write it to this file; else to stdout")] = "",
    after: Annotated[
        str,
        typer.Option(
            "--after", help="go on from this export: what is new stands behind it, in the same file or in --out"
        ),
    ] = "",
    output: options.Output = "text",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    as_user: options.AsUser = "",
    as_group: options.AsGroup = [],
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Write pins, opt-ins, releases and runs as a chain of JSON lines, and keep its head in meshup-system.

    Example: meshup ledger export --after ledger.jsonl
    """
    import json
    import sys
    from pathlib import Path

    from meshup.cli import exports
    from meshup.cli.connect import Aim, door, one_of, session
    from meshup.cli.screen import screen
    from meshup.engine import exporting
    from meshup.model.exports import Exported
    from meshup.model.problem import UsageError
    from meshup.views import ledger as view

    one_of(output, ("text", "json"), flag="-o")
    look = screen(color=color, plain=plain)
    path = out or after
    if output == "json" and not path:
        raise UsageError(
            "-o json wants --out FILE: the lines would stand in the answer",
            code="MU1001",
            fix="meshup ledger export --out ledger.jsonl -o json",
            cluster="not contacted",
        )
    if out and out != after and Path(out).exists():
        raise UsageError(
            f"{out} is there already",
            code="MU1004",
            fix=f"meshup ledger export --after {out} goes on from it; or name another file",
            cluster="not contacted",
        )
    before, found = b"", None
    if after:
        before, found, _ = exports.checked(after)
    cluster = door(Aim(kubeconfig=kubeconfig, context=context, user=as_user, groups=tuple(as_group)))
    around = session(cluster)
    lines, head, new = exporting.further(around, found, path=after)
    if path and (lines or path != after):
        exports.put(path, before + lines)
    elif not path:
        sys.stdout.write(lines.decode())
        sys.stdout.flush()
    kept = exporting.keep(around, head)
    told = Exported(path=path, cluster=cluster.uid(), head=head.head, lines=head.lines, new=new, at=head.at, kept=kept)
    if output == "json":
        look.out(json.dumps(view.exported_document(told), ensure_ascii=False, indent=2))
    else:
        (look.out if path else look.err)(view.exported(told, width=look.width))
    return 0
