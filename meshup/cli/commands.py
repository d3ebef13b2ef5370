"""Which commands there are, in the order people meet them; only the one that is called is imported."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping

# Not typing.NamedTuple: importing typing is a sixth of what --version takes.
Command = namedtuple("Command", ("module", "does", "hidden"), defaults=(False,))  # noqa: PYI024
"""module: below meshup.cli, with a Typer callable `command` or a Typer app `app`. does: one line for the list."""

COMMANDS: Mapping[str, Command] = {
    "init": Command("init", "look at the cluster, read-only, and write a runbook that plans without an edit"),
    "lint": Command("lint", "check a runbook without a cluster; every problem at once"),
    "plan": Command("plan", "show every change, wait and risk, and the way back"),
    "show": Command("show", "show a saved plan again, in any format"),
    "apply": Command("apply", "perform a runbook or a saved plan, step by step, gate by gate"),
    "approve": Command("approve", "let a stage that waits for approval begin; recorded with your name"),
    "opt-in": Command("opt_in", "let a service of yours join the mesh; recorded with who, when and from when on"),
    "opt-out": Command("opt_out", "keep a service of yours out of every wave, whatever the runbook says"),
    "rollback": Command("rollback", "take a service, a stage or a run back; recorded with who, why and until when"),
    "status": Command("status", "where the run, the waves and the proxies stand"),
    "replay": Command("replay", "judge a run again from the evidence in its journal, by its own terms or by others"),
    "upgrade": Command("upgrade", "plan the move to another release: critical users first, then everybody in waves"),
    "pins": Command("pins", "who is pinned to which release, since when, why, until when"),
    "releases": Command("releases", "candidate, supported, deprecated, blocked; who runs what; promote and block"),
    "unpin": Command("unpin", "end a pin early; the next plan takes its service along"),
    "report": Command("report", "who runs or rolled back to what, per release"),
    "ledger": Command(
        "ledger",
        "install it, with the policies and their proof; write the record to a file, check such a file, let old ones go",
    ),
    "rehearse": Command("rehearse", "play a runbook on a cluster in memory, faults included"),
    "simulator": Command("simulator", "start, stop and look at that cluster behind a kubeconfig"),
    "explain": Command("explain", "what a stage, step, gate, error code or exit code means; offline"),
    "schema": Command("schema", "print the JSON Schema of the runbook or of a machine-readable output"),
    "completion": Command("completion", "print the completion script for a shell"),
    "config": Command("config", "show each setting with its origin"),
    "guard": Command("guard", "the program of the guard Job: puts strict mode back when nobody beats", hidden=True),
    "probe": Command("probe", "the program of the probe Job: asks the ingress for every host and path", hidden=True),
}

FIRST_FIVE = ("init", "lint", "rehearse", "plan", "apply")
