"""`meshup ledger`: the record of who runs what, installed, carried away, checked, let go. One file per subcommand."""

from __future__ import annotations

import typer

from meshup.cli import ledger_export, ledger_install, ledger_prune, ledger_verify

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Install the ledger, write it to a file in which no edit goes unseen, check such a file, let old records go.\n\n"
    "Example: meshup ledger install",
)
app.command("install")(ledger_install.command)
app.command("export")(ledger_export.command)
app.command("verify")(ledger_verify.command)
app.command("prune")(ledger_prune.command)
