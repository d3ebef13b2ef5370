"""`meshup plan`: every change before it happens."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli import options


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

    from meshup.cli import reports
    from meshup.cli.books import book
    from meshup.cli.connect import Aim, door, one_of, session
    from meshup.cli.screen import screen
    from meshup.engine.planfile import text_of
    from meshup.engine.planning import make_plan
    from meshup.model.problem import Exit
    from meshup.views import plan as view
    from meshup.views.owner import for_service

    one_of(output, ("text", "json", "md"), flag="-o")
    further = reports.asked(report, ("json", "md"))
    look = screen(color=color, plain=plain)
    loaded = book(filename)
    cluster = door(
        Aim(kubeconfig=kubeconfig, context=context, namespace=namespace, user=as_user, groups=tuple(as_group))
    )
    made = make_plan(session(cluster), loaded, context=cluster.context, full=full, accept=tuple(accept_one_way))
    if out:
        reports.write_whole(Path(out), text_of(made))
    reports.write(
        further, {"json": lambda: json.dumps(view.document(made), indent=2), "md": lambda: view.markdown(made)}
    )
    if output == "json":
        look.out(json.dumps(view.document(made), ensure_ascii=False, indent=2))
    elif output == "md":
        look.out(view.markdown(made))
    elif service:
        look.out(for_service(made, _id(made, service, namespace), width=look.width))
    else:
        look.out(view.text(made, width=look.width, saved=out, details=details))
    if verbose:
        counted = cluster.counters
        look.err(
            f"requests  {counted.requests}, of which {counted.dry_runs} dry runs; {counted.peak} in flight at most; "
            f"{counted.mutations} writes"
        )
    if made.held is not None:
        # Never by the format, and 1 is any error where 2 means changes (DESIGN section 8).
        return 1 if detailed_exitcode else int(Exit.GATE_HELD)
    if detailed_exitcode:
        return 2 if made.changed else 0
    return 0


def _id(plan: object, service: str, namespace: str) -> str:
    """Give the id of a service of the plan by its id, or by its name when that says which. Raises UsageError."""
    from meshup.cli.services import service_id
    from meshup.model.plan import Plan

    assert isinstance(plan, Plan)
    return service_id(plan.book, service, namespace)
