"""`meshup init`: looks at the cluster and writes a runbook that lints and plans without an edit."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli import options


def command(
    filename: options.Filename = "meshup.yaml",
    name: Annotated[str, typer.Option("--name", help="name of the runbook")] = "mesh",
    release: Annotated[str, typer.Option("--release", help="release to pin instead of the proposed one")] = "",
    driver: Annotated[str, typer.Option("--driver", help="which mesh")] = "istio",
    values: Annotated[str, typer.Option("--values", help="YAML file of values for the mesh's own charts")] = "",
    why: Annotated[bool, typer.Option("--why", help="say for each service why it is where it is")] = False,
    ci: Annotated[
        str, typer.Option("--ci", help="write the pipeline of the runbook that is there: github or gitlab")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="overwrite files that are there")] = False,
    output: options.Output = "text",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    as_user: options.AsUser = "",
    as_group: options.AsGroup = [],
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Look at the cluster, read-only, and write a runbook and its lock.

    Example: meshup init --why
    """
    import json

    from meshup.cli import books, pipelines
    from meshup.cli.connect import Aim, door, one_of, session
    from meshup.cli.kinds import drivers
    from meshup.cli.screen import screen
    from meshup.engine.planning import snapshot_for
    from meshup.engine.propose import propose
    from meshup.model.problem import UsageError
    from meshup.runbook import lock, write
    from meshup.views import init as view

    one_of(output, ("text", "json"), flag="-o")
    look = screen(color=color, plain=plain)
    if ci:
        return pipelines.write(ci, filename, force=force, look=look, output=output)
    chosen = drivers().get(driver)
    if chosen is None:
        raise UsageError(
            f'there is no driver "{driver}"',
            code="MU2110",
            why=f"known: {', '.join(drivers())}",
            fix="correct --driver",
            cluster="not contacted",
        )
    locked = lock.beside(filename)
    books.new(filename, locked, force=force)
    given = books.values(values) if values else {}
    cluster = door(Aim(kubeconfig=kubeconfig, context=context, user=as_user, groups=tuple(as_group)))
    around = session(cluster)
    seen = snapshot_for(around, chosen, context=cluster.context)
    proposal = propose(seen, chosen, release=release, values=given, name=name)
    rendered = books.put(write.text(proposal), filename, proposal.mesh, chosen)
    if output == "json":
        look.out(json.dumps(view.document(proposal, filename=filename, locked=locked), indent=2))
    else:
        look.out(
            view.text(
                proposal, filename=filename, locked=locked, objects=len(rendered.objects), why=why, width=look.width
            )
        )
    return 0
