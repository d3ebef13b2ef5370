"""`meshup ledger verify`: whether an export is as it was written; offline."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli import options


def command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="what ledger export wrote")],
    head: Annotated[
        str, typer.Option("--head", help="what it must end with: the head that was printed, or its beginning")
    ] = "",
    output: options.Output = "text",
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Find any edit, removal, insertion or other order of lines, and name the first line that is wrong; offline.

    Example: meshup ledger verify ledger.jsonl --head 3f1c0a9b44de
    """
    import contextlib
    import json
    import re
    from pathlib import Path

    from meshup.cli import exports
    from meshup.cli.connect import one_of
    from meshup.cli.screen import screen
    from meshup.journal.folded import write_index
    from meshup.model.exports import Checked
    from meshup.model.problem import UsageError
    from meshup.views import ledger as view

    one_of(output, ("text", "json"), flag="-o")
    if head and not re.fullmatch("[0-9a-f]{8,64}", head):
        raise UsageError(
            "--head takes the 64 hexadecimal digits that export printed, or at least the first 8",
            code="MU1001",
            fix="correct --head",
            cluster="not contacted",
        )
    look = screen(color=color, plain=plain)
    data, found, sound = exports.checked(file, head=head)
    with contextlib.suppress(OSError):
        # The next report is quicker with it, and as right without it.
        write_index(Path(file), found)
    told = Checked(
        path=file,
        cluster=found.cluster,
        head=sound.head,
        lines=sound.lines,
        records=data.count(b'"record":{'),
        at=found.at,
        known=bool(head),
    )
    if output == "json":
        look.out(json.dumps(view.checked_document(told), ensure_ascii=False, indent=2))
    else:
        look.out(view.checked(told, width=look.width))
    return 0
