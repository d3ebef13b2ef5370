"""`meshup opt-out`: an owner keeps a service out of the mesh."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli import options


def command(
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", help="NAME or NAMESPACE/NAME; none with --from")] = "",
    reason: options.Reason = "",
    write: options.Write = "",
    source: options.Source = "",
    filename: options.Filename = "meshup.yaml",
    namespace: options.Namespace = "",
    output: options.Output = "text",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    as_user: options.AsUser = "",
    as_group: options.AsGroup = [],
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Keep a service out of every wave, whatever the runbook says; one that runs in the mesh stays where it is.

    Example: meshup opt-out cart -n shop --reason "black friday"
    """
    from meshup.cli import wishes
    from meshup.cli.connect import Aim, one_of
    from meshup.cli.joining import joining
    from meshup.cli.reasons import checked
    from meshup.cli.screen import screen

    one_of(output, ("text", "json"), flag="-o")
    look = screen(color=color, plain=plain)
    if not source:
        reason = checked(reason, look, command="opt-out")
    if write:
        return wishes.written(look, write, "opt-out", wishes.whole(service, namespace), {"reason": reason})
    return joining(
        look,
        Aim(kubeconfig=kubeconfig, context=context, namespace=namespace, user=as_user, groups=tuple(as_group)),
        service,
        joins=False,
        filename=filename,
        output=output,
        reason=reason,
        source=source,
    )
