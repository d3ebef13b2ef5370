"""`meshup rollback`: a service, a stage or a run goes back; recorded with who, why and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from meshup.cli import options
from meshup.model.problem import UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from meshup.cli.screen import Screen
    from meshup.engine.session import Session
    from meshup.model.plan import Plan
    from meshup.model.runbook import Runbook


def command(
    service: Annotated[
        str, typer.Argument(metavar="[SERVICE]", help="NAME or NAMESPACE/NAME; none with --stage, --run or --from")
    ] = "",
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="a RELEASE, or none: out of the mesh; else the newest it was healthy on",
        ),
    ] = "",
    reason: options.Reason = "",
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
    write: options.Write = "",
    source: options.Source = "",
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

    from meshup.cli import ending, reports, wishes
    from meshup.cli.asking import confirm
    from meshup.cli.books import book_or_none
    from meshup.cli.connect import Aim, Interrupt, door, one_of, seconds, session
    from meshup.cli.reasons import checked, lasting, worded
    from meshup.cli.screen import screen
    from meshup.cli.telling import watcher
    from meshup.engine import execute, own_way_back, wishing
    from meshup.engine.taking_back import run_plan, stage_plan
    from meshup.engine.undo import as_kubectl
    from meshup.views import plan as view

    one_of(output, ("text", "json", "events"), flag="-o")
    further = reports.asked(report, ending.FORMATS)
    if sum(map(bool, (service, stage, run, source))) != 1:
        raise UsageError(
            "exactly one of SERVICE, --stage, --run and --from is needed",
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
    wait_s, lasts = seconds(timeout, flag="--timeout"), lasting(until, flag="--until")
    look = screen(color=color, plain=plain)
    if service and not resume:
        reason = checked(reason, look, command="rollback")
    if write:
        said = {"to": to, "reason": reason, "until": until}
        return wishes.written(look, write, "rollback", wishes.whole(service, namespace), said)
    wish = wishes.read(source, "rollback", beside=bool(to or reason or resume)) if source else None
    if wish is not None:
        reason = worded(wish.reason, command="rollback", needed=True, flag=f"reason in {source}")
        lasts = lasting(wish.until or "7d", flag=f"until in {source}")
    with ending.told(look, further):
        loaded = book_or_none(filename)
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
        if service or wish is not None:
            near = wish.namespace if wish is not None else service.rpartition("/")[0] or namespace or cluster.namespace
            around = wishes.acting_for(around, wish, near)
        named = f"{namespace}/{service}" if namespace and "/" not in service else service
        if resume:
            return ending.show(
                own_way_back.resume_own(around, named, book=loaded), screen=look, output=output, further=further
            )
        if stage:
            made = stage_plan(around, stage, context=cluster.context)
        elif run:
            made = run_plan(around, "" if run == "newest" else run, context=cluster.context)
        elif wish is not None:
            if not (dry_run or as_commands):
                done = wishing.take_back(around, wish, until=lasts, book=loaded, context=cluster.context)
                return ending.show(done, screen=look, output=output, further=further)
            made = wishing.plan_of_wish(around, wish, until=lasts, book=loaded, context=cluster.context)
        else:
            made = _service_plan(
                around,
                loaded,
                look,
                service=named,
                to=to,
                reason=reason,
                until=lasts,
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


def _service_plan(
    around: Session,
    loaded: Runbook | None,
    look: Screen,
    *,
    service: str,
    to: str,
    reason: str,
    until: timedelta,
    context: str,
) -> Plan:
    from meshup.engine.rollback import choices, service_plan

    try:
        return service_plan(around, service, to=to, reason=reason, until=until, book=loaded, context=context)
    except UsageError as unknown:
        if unknown.code != "MU3407" or not look.interactive:
            raise
        named = unknown
    listed = ", ".join(release for release, _ in choices(around, loaded))
    to = look.ask_text(f"to which release ({listed})?")
    if not to:
        raise named
    return service_plan(around, service, to=to, reason=reason, until=until, book=loaded, context=context)
