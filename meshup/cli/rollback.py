"""`meshup rollback`: a service, a stage or a run goes back; recorded with who, why and until when."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshup.cli import options
from meshup.model.problem import UsageError

if TYPE_CHECKING:
    from meshup.cli.screen import Screen
    from meshup.engine.session import Session
    from meshup.model.plan import Plan
    from meshup.model.runbook import Runbook

MOST_REASON = 256


def command(
    service: Annotated[
        str, typer.Argument(metavar="[SERVICE]", help="NAME or NAMESPACE/NAME; none with --stage or --run")
    ] = "",
    to: Annotated[str, typer.Option("--to", help="an installed RELEASE, or none: out of the mesh")] = "",
    reason: Annotated[str, typer.Option("--reason", help="why, for those who read the report")] = "",
    until: Annotated[str, typer.Option("--until", help="how long it is meant to stay, at most 14d")] = "7d",
    stage: Annotated[
        str, typer.Option("--stage", help="take back this stage of the newest run, later stages first")
    ] = "",
    run: Annotated[str, typer.Option("--run", help="take back a whole run by its id; newest = the newest one")] = "",
    resume: Annotated[
        bool,
        typer.Option("--resume", help="go on with the recorded rollback of SERVICE; --to and --reason are on record"),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would happen")] = False,
    as_commands: Annotated[bool, typer.Option("--print", help="print the way back as kubectl commands")] = False,
    filename: options.Filename = "meshup.yaml",
    namespace: options.Namespace = "",
    yes: options.Yes = False,
    timeout: options.Timeout = "",
    journal: options.Journal = "",
    output: options.Output = "text",
    report: options.Report = [],
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    as_user: options.AsUser = "",
    as_group: options.AsGroup = [],
    verbose: options.Verbose = 0,
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Take a service to a specific release, or take a stage or a run back.

    Example: meshup rollback cart --to 1.29.4 --reason "timeouts to ledger" --until 7d
    """
    import json

    from meshup.cli import ending, reports
    from meshup.cli.asking import confirm
    from meshup.cli.books import book
    from meshup.cli.connect import Aim, Interrupt, door, one_of, seconds, session
    from meshup.cli.screen import screen
    from meshup.cli.telling import watcher
    from meshup.engine import execute, own_way_back
    from meshup.engine.taking_back import run_plan, stage_plan
    from meshup.engine.undo import as_kubectl
    from meshup.views import plan as view

    one_of(output, ("text", "json", "events"), flag="-o")
    further = reports.asked(report, ending.FORMATS)
    if sum(map(bool, (service, stage, run))) != 1:
        raise UsageError(
            "one of SERVICE, --stage and --run is needed",
            code="MU1001",
            fix="meshup rollback --help",
            cluster="not contacted",
        )
    if run.startswith("-"):
        raise UsageError(
            f"--run wants the id of a run, or newest; {run} came in its place",
            code="MU1001",
            fix="meshup rollback --run newest --yes",
            cluster="not contacted",
        )
    if resume and (not service or to or dry_run or as_commands):
        raise UsageError(
            "--resume goes on with what is on record for one SERVICE, and takes no other wish",
            code="MU1001",
            fix="meshup rollback SERVICE --resume",
            cluster="not contacted",
        )
    wait_s, lasts = seconds(timeout, flag="--timeout"), seconds(until, flag="--until")
    look = screen(color=color, plain=plain)
    if service and not resume:
        reason = checked_reason(reason, look)
    loaded = book(filename) if Path(filename).exists() else None
    cluster = door(
        Aim(kubeconfig=kubeconfig, context=context, namespace=namespace, user=as_user, groups=tuple(as_group))
    )
    around = session(
        cluster,
        watcher=watcher(output, look, chatty=verbose > 0),
        interrupt=Interrupt().listen(),
        wait_s=wait_s,
        journal=journal,
    )
    named = f"{namespace}/{service}" if namespace and "/" not in service else service
    if resume:
        return ending.show(
            own_way_back.resume_own(around, named, book=loaded), screen=look, output=output, further=further
        )
    if stage:
        made = stage_plan(around, stage, context=cluster.context)
    elif run:
        made = run_plan(around, "" if run == "newest" else run, context=cluster.context)
    else:
        made = _service_plan(
            around,
            loaded,
            look,
            service=named,
            to=to,
            reason=reason,
            lasts_s=lasts,
            context=cluster.context,
        )
    if as_commands:
        look.out("\n".join(as_kubectl(each.change) for each in made.changes()))
        return 0
    if dry_run and output != "text":
        look.out(json.dumps(view.document(made), ensure_ascii=False, indent=2 if output == "json" else None))
        return 0
    if dry_run:
        look.out(view.text(made, width=look.width, details=True))
        return 0
    if made.changed:
        confirm(look, yes=yes or bool(service), question=f"take back {amount_of(made)} as {around.identity.user}?")
    return ending.show(execute.apply(around, made), screen=look, output=output, further=further)


def amount_of(plan: Plan) -> str:
    """Say how much a plan takes back."""
    from meshup.views.table import amount

    return amount(sum(1 for _ in plan.changes()), "change")


def checked_reason(reason: str, look: Screen) -> str:
    """Give the reason, asked for on a terminal. Raises UsageError (MU1013)."""
    if not reason and look.interactive:
        reason = look.ask_text("why?")
    text = reason.strip()
    if not text or len(text) > MOST_REASON or not text.isprintable():
        found = (
            "none was given"
            if not text
            else f"it has {len(text)} characters"
            if len(text) > MOST_REASON
            else "it holds a control character"
        )
        raise UsageError(
            f"a rollback needs a reason of 1 to {MOST_REASON} printable characters; {found}",
            code="MU1013",
            fix='--reason "what went wrong"',
            why="the platform owner reads it",
            cluster="nothing was changed",
        )
    return text


def _service_plan(
    around: Session,
    loaded: Runbook | None,
    look: Screen,
    *,
    service: str,
    to: str,
    reason: str,
    lasts_s: float,
    context: str,
) -> Plan:
    from datetime import timedelta

    from meshup.engine.rollback import choices, service_plan

    if not to:
        found = choices(around, loaded)
        listed = ", ".join(release for release, _ in found)
        if look.interactive:
            to = look.ask_text(f"to which release ({listed})?")
        if not to:
            raise UsageError(
                "no release was named",
                code="MU1012",
                why=f"it can go to: {listed}; none takes it out of the mesh",
                fix=f"meshup rollback {service} --to RELEASE",
                cluster="nothing was changed",
            )
    return service_plan(
        around, service, to=to, reason=reason, until=timedelta(seconds=lasts_s), book=loaded, context=context
    )
