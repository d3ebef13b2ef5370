"""`meshup config show`: each setting with its origin."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import typer

from meshup.cli import options

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Show each setting with its origin.\n\nExample: meshup config show",
)
SETTINGS: Mapping[str, tuple[str, str]] = {
    "filename": ("MESHUP_FILENAME", "meshup.yaml"),
    "context": ("MESHUP_CONTEXT", ""),
    "namespace": ("MESHUP_NAMESPACE", ""),
    "output": ("MESHUP_OUTPUT", "text"),
    "timeout": ("MESHUP_TIMEOUT", ""),
    "color": ("MESHUP_COLOR", "auto"),
    "journal": ("MESHUP_JOURNAL", ""),
}


def settings(environ: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Give (name, value, origin). A flag beats the variable, which beats the built-in value."""
    found = []
    for name, (variable, usual) in SETTINGS.items():
        if environ.get(variable):
            found.append((name, environ[variable], f"variable {variable}"))
        else:
            found.append((name, usual, "built in"))
    origin = (
        "variable KUBECONFIG"
        if environ.get("KUBECONFIG")
        else "the default file"
        if (Path.home() / ".kube" / "config").exists()
        else "in-cluster, if this is a pod"
    )
    found.append(("kubeconfig", environ.get("KUBECONFIG") or "", origin))
    found.append(
        ("cluster identity and gate limits", "", "the runbook alone: no variable can aim elsewhere or soften a gate")
    )
    return found


@app.callback()
def group() -> None:
    """Show each setting with its origin."""


@app.command()
def show(output: options.Output = "text") -> int:
    """Show each setting with its origin.

    Example: meshup config show -o json
    """
    import json

    from meshup.cli.connect import one_of
    from meshup.cli.screen import screen
    from meshup.views.documents import document
    from meshup.views.table import columns

    one_of(output, ("text", "json"), flag="-o")
    found = settings(os.environ)
    if output == "json":
        rows = [{"name": name, "value": value, "origin": origin} for name, value, origin in found]
        screen().out(json.dumps(document("config", settings=rows), indent=2))
    else:
        look = screen()
        look.out(columns(found, header=("setting", "value", "origin"), width=look.width))
    return 0
