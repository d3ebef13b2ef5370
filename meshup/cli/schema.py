"""`meshup schema`: JSON Schema of the runbook and of every machine-readable output."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli.screen import screen
from meshup.model.problem import UsageError


def command(
    name: Annotated[
        str, typer.Argument(help="runbook, or the name of an output such as plan or apply; none lists them")
    ] = "",
) -> int:
    """Print the JSON Schema (draft 7) of the runbook or of a machine-readable output.

    Example: meshup schema runbook > runbook.schema.json
    """
    import json

    from meshup.cli.kinds import kinds
    from meshup.runbook import schema as runbook_schema
    from meshup.views.documents import SCHEMAS, schema_of

    look = screen()
    if not name:
        look.out("\n".join(["runbook", *sorted(SCHEMAS)]))
    elif name == "runbook":
        look.out(runbook_schema.text(kinds()).rstrip("\n"))
    elif name in SCHEMAS:
        look.out(json.dumps(schema_of(name), indent=2))
    else:
        raise UsageError(
            f'there is no schema "{name}"',
            code="MU1007",
            fix="meshup schema",
            why=f"known: runbook, {', '.join(sorted(SCHEMAS))}",
        )
    return 0
