"""`meshup plan`: every change before it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from meshup.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshup.cli.reports import Asked
    from meshup.cli.screen import Screen
    from meshup.model.plan import Plan

FORMATS = ("json", "md", "sarif", "github", "dotenv")


def command(
    filename: options.Filename = "meshup.yaml",
    out: Annotated[str, typer.Option("--out", help="save plan and bodies to this file")] = "",
    service: Annotated[
        str, typer.Option("--service", help="show only what happens to this service (NAMESPACE/NAME or NAME)")
    ] = "",
    full: Annotated[
        bool, typer.Option("--full", help="let the server dry-run every object, not only what is changed or new")
    ] = False,
    details: Annotated[bool, typer.Option("--details", help="list every change and gate")] = False,
    accept_one_way: Annotated[
        list[str], typer.Option("--accept-one-way", help="accept a one-way change by its name")
    ] = [],
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="0 no change, 1 error, 2 changes")
    ] = False,
    output: options.Output = "text",
    report: options.Report = [],
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    namespace: options.Namespace = "",
    as_user: options.AsUser = "",
    as_group: options.AsGroup = [],
    verbose: options.Verbose = 0,
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Show every change, wait and risk, and the way back; nothing is written to the cluster.

    Example: meshup plan --out release.plan.json
    """
    import json
    from pathlib import Path

    from meshup.cli import ending, reports
    from meshup.cli.books import book
    from meshup.cli.connect import Aim, door, one_of, session
    from meshup.cli.screen import screen
    from meshup.engine.planfile import text_of
    from meshup.engine.planning import make_plan
    from meshup.views import plan as view
    from meshup.views.owner import for_service
    from meshup.views.plan_md import markdown

    one_of(output, ("text", "json", "md"), flag="-o")
    further = reports.asked(report, FORMATS)
    look = screen(color=color, plain=plain)
    with ending.told(look, further, ends=1 if detailed_exitcode else 0):
        loaded = book(filename)
        cluster = door(
            Aim(kubeconfig=kubeconfig, context=context, namespace=namespace, user=as_user, groups=tuple(as_group))
        )
        made = make_plan(session(cluster), loaded, context=cluster.context, full=full, accept=tuple(accept_one_way))
        shown = _id(made, service, namespace) if service else ""
    if out:
        reports.write_whole(Path(out), text_of(made))
    ends = _ends(made, detailed=detailed_exitcode)
    _report(made, ends=ends, filename=filename, look=look, further=further)
    if output == "json":
        look.out(json.dumps(view.document(made), ensure_ascii=False, indent=2))
    elif output == "md":
        look.out(markdown(made))
    elif shown:
        look.out(for_service(made, shown, width=look.width))
    else:
        look.out(view.text(made, width=look.width, saved=out, details=details, runbook=filename))
    if verbose:
        counted = cluster.counters
        look.err(
            f"requests  {counted.requests}, of which {counted.dry_runs} dry runs; {counted.peak} in flight at most; "
            f"{counted.mutations} writes"
        )
    return ends


def _ends(made: Plan, *, detailed: bool) -> int:
    """Give the exit code: never by the format; where 2 means changes, 1 is any error (DESIGN section 8)."""
    from meshup.model.problem import Exit

    if made.held is not None:
        return 1 if detailed else int(Exit.GATE_HELD)
    return 2 if detailed and made.changed else 0


def _report(made: Plan, *, ends: int, filename: str, look: Screen, further: Sequence[Asked]) -> None:
    """Write the reports. Raises OSError."""
    if not further:
        return
    import json

    from meshup.cli import reports
    from meshup.views import ci
    from meshup.views import plan as view
    from meshup.views.plan_md import markdown
    from meshup.views.sarif import findings_of, sarif

    values = ci.values_of_plan(made, ends=ends)
    reports.write(
        further,
        {
            "json": lambda: json.dumps(view.document(made), indent=2),
            "md": lambda: markdown(made),
            "sarif": lambda: sarif(findings_of(made), of="plan", runbook=filename),
            "dotenv": lambda: ci.dotenv(values),
        },
        github=reports.GitHub(
            summary=lambda room: markdown(made, room=room),
            values=values,
            annotations=ci.problem_annotations(findings_of(made)),
        ),
        screen=look,
    )


def _id(plan: Plan, service: str, namespace: str) -> str:
    """Give the id of a service of the plan by its id, or by its name when that says which. Raises UsageError."""
    from meshup.cli.services import service_id

    return service_id(plan.book, service, namespace)
