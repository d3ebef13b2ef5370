"""`meshup guard`: the program of the guard Job."""

from __future__ import annotations

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def command(context: typer.Context) -> int:
    """Put strict mode back when nobody beats the Lease. Runs in a Job that meshup arms; not for people.

    Example: meshup guard --lease meshup-system/meshup-guard-mesh --after 120 --policy API-PATH --back FIELD=VALUE
    """
    from meshup.cli.inpod import run
    from meshup.engine.guard import guard

    return run(guard, context.args)
