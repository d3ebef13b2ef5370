"""`meshup upgrade`: the move to another release, as a runbook and its plan; nothing is written to the cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli import options


def command(
    to: Annotated[
        str,
        typer.Option("--to", help="the RELEASE to go to"),
    ],
    filename: options.Filename = "meshup.yaml",
    into: Annotated[
        str, typer.Option("--into", help="the runbook to write; none = meshup-RELEASE.yaml beside the old one")
    ] = "",
    manifests: Annotated[
        str, typer.Option("--manifests", help="program, charts or folder of the release, if not the old runbook's path")
    ] = "",
    soak: Annotated[
        str, typer.Option("--soak", help="how long critical services run a release before they are judged")
    ] = "1h",
    keep: Annotated[str, typer.Option("--keep", help="how long the old revision stays once everybody left it")] = "1d",
    compare: Annotated[
        str, typer.Option("--compare", help="both revisions of critical services half-way: auto, always or never")
    ] = "auto",
    force: Annotated[bool, typer.Option("--force", help="overwrite files that are there")] = False,
    out: Annotated[str, typer.Option("--out", help="save plan and bodies to this file")] = "",
    output: options.Output = "text",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    as_user: options.AsUser = "",
    as_group: options.AsGroup = [],
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Derive the runbook that moves the mesh to another release, critical users first, and show its plan.

    Example: meshup upgrade --to 1.31.0
    """
    import json
    from pathlib import Path

    from meshup.cli import books, reports
    from meshup.cli.connect import Aim, door, one_of, seconds, session
    from meshup.cli.kinds import kinds
    from meshup.cli.screen import screen
    from meshup.engine.comparing import COMPARE
    from meshup.engine.observe import bound_to
    from meshup.engine.planfile import text_of
    from meshup.engine.planning import driver_of, plan_from, snapshot_for
    from meshup.engine.upgrade import derive
    from meshup.model.problem import Exit
    from meshup.runbook import lock, write_upgrade
    from meshup.views import upgrade as view

    one_of(output, ("text", "json"), flag="-o")
    one_of(compare, COMPARE, flag="--compare")
    look = screen(color=color, plain=plain)
    old = books.book(filename)
    target = into or str(Path(filename).with_name(f"meshup-{to}.yaml"))
    locked = lock.beside(target)
    books.new(target, locked, force=force)
    soak_s, keep_s = seconds(soak, flag="--soak"), seconds(keep, flag="--keep")
    cluster = door(Aim(kubeconfig=kubeconfig, context=context, user=as_user, groups=tuple(as_group)))
    around = session(cluster)
    driver = driver_of(around, old)
    seen = snapshot_for(around, driver, context=cluster.context)
    bound_to(seen, old.cluster_uid, what=f"the runbook {old.name}")
    found = derive(old, seen, driver, to=to, manifests=manifests, soak_s=soak_s, keep_s=keep_s, compare=compare)
    books.put(write_upgrade.text(found, kinds()), target, found.book.mesh, driver)
    made = plan_from(around, books.book(target), seen, driver)
    if out:
        reports.write_whole(Path(out), text_of(made))
    if output == "json":
        look.out(json.dumps(view.document(found, made, filename=target, locked=locked), ensure_ascii=False, indent=2))
    else:
        look.out(view.text(found, made, filename=target, locked=locked, saved=out, width=look.width))
    return int(Exit.GATE_HELD) if made.held is not None else 0
