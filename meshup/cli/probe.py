"""`meshup probe`: the program of the probe Job."""

from __future__ import annotations

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def command(context: typer.Context) -> int:
    """Ask the gateway for every host and path, one JSON line per answer. Runs in a Job of meshup; not for people.

    Example: meshup probe --gateway http://edge.istio-ingress --ask '[{"host": "shop.example", "path": "/"}]'
    """
    from meshup.cli.inpod import run
    from meshup.engine.probing import probe

    return run(probe, context.args)
