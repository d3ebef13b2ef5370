"""`meshup apply`: exactly the plan, step by step, gate by gate."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli import options


def command(
    plan: Annotated[
        str, typer.Argument(metavar="[PLAN]", help="a plan that `meshup plan --out` saved; none plans the runbook now")
    ] = "",
    filename: options.Filename = "meshup.yaml",
    through: Annotated[str, typer.Option("--through", help="stop after this STAGE or STAGE/WAVE")] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with the newest run; a kubeconfig is all it needs")
    ] = False,
    run: Annotated[str, typer.Option("--run", help="with --resume: which run")] = "",
    accept_one_way: Annotated[
        list[str], typer.Option("--accept-one-way", help="accept a one-way change by its name")
    ] = [],
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
    """Perform a saved plan, or the runbook as it is planned now; stop at the first gate that does not hold.

    Example: meshup apply release.plan.json --through onboard/wave-1
    """
    from meshup.cli import ending, reports
    from meshup.cli.asking import confirm
    from meshup.cli.books import book
    from meshup.cli.connect import Aim, Interrupt, door, one_of, seconds, session
    from meshup.cli.plans import read
    from meshup.cli.screen import screen
    from meshup.cli.telling import watcher
    from meshup.engine import execute
    from meshup.engine.planfile import accepting
    from meshup.engine.planning import make_plan
    from meshup.model.problem import UsageError

    one_of(output, ("text", "json", "events"), flag="-o")
    further = reports.asked(report, ending.FORMATS)
    if resume and plan:
        raise UsageError(
            "--resume reads its plan from the cluster; a plan file beside it is one too many",
            code="MU1001",
            fix="meshup apply --resume",
            cluster="not contacted",
        )
    look = screen(color=color, plain=plain)
    with ending.told(look, further):
        saved = read(plan) if plan else None
        loaded = None if resume or saved is not None else book(filename)
        wait_s = seconds(timeout, flag="--timeout")
        cluster = door(Aim(kubeconfig=kubeconfig, context=context, user=as_user, groups=tuple(as_group)))
        around = session(
            cluster,
            watcher=watcher(output, look, chatty=verbose > 0),
            interrupt=Interrupt().listen(),
            wait_s=wait_s,
            journal=journal,
        )
        if resume:
            confirm(
                look,
                yes=yes,
                question=f"go on with the newest run on {cluster.context or 'this cluster'} as {around.identity.user}?",
            )
            return ending.show(
                execute.resume(around, run=run, through=through), screen=look, output=output, further=further
            )
        if saved is None and loaded is not None:
            saved = make_plan(around, loaded, context=cluster.context, accept=tuple(accept_one_way))
        assert saved is not None
        saved = accepting(saved, tuple(accept_one_way))
        if saved.changed:
            confirm(look, yes=yes, question=_question(saved, cluster.context, around.identity.user))
        return ending.show(execute.apply(around, saved, through=through), screen=look, output=output, further=further)


def _question(plan: object, context: str, user: str) -> str:
    from meshup.model.plan import Plan
    from meshup.views.plan import totals
    from meshup.views.table import amount

    assert isinstance(plan, Plan)
    count = totals(plan)
    changes = count["add"] + count["change"] + count["delete"]
    back = f"one-way: {', '.join(plan.one_way)}" if plan.one_way else "way back: yes"
    where = f"{context or 'this cluster'} (id {plan.cluster_uid[:8]}...)"
    much = f"{amount(changes, 'change')}, {amount(count['restart'], 'restart')}"
    return f"apply plan {plan.id} to {where} as {user}? {much}, {back}"
