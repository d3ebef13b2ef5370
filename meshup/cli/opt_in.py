"""`meshup opt-in`: an owner lets a service join the mesh."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli import options


def command(
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", help="NAME or NAMESPACE/NAME; none with --from")] = "",
    wave: Annotated[
        str, typer.Option("--wave", help="the wave it should move in; plan says whether it can be so")
    ] = "",
    not_before: Annotated[
        str, typer.Option("--not-before", help="no wave moves it before this day, time or length of time")
    ] = "",
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
    """Let a service join the mesh; recorded with the name the API server gives you. Nothing moves before the next plan.

    Example: meshup opt-in cart -n shop --not-before 2026-12-01
    """
    from meshup.cli import wishes
    from meshup.cli.connect import Aim, one_of
    from meshup.cli.joining import joining
    from meshup.cli.reasons import worded
    from meshup.cli.screen import screen

    one_of(output, ("text", "json"), flag="-o")
    look, reason = screen(color=color, plain=plain), worded(reason, command="opt-in", needed=False)
    if write:
        wished = {"reason": reason, "wave": wave, "not-before": not_before}
        return wishes.written(look, write, "opt-in", wishes.whole(service, namespace), wished)
    return joining(
        look,
        Aim(kubeconfig=kubeconfig, context=context, namespace=namespace, user=as_user, groups=tuple(as_group)),
        service,
        joins=True,
        filename=filename,
        output=output,
        reason=reason,
        wave=wave,
        not_before=not_before,
        source=source,
    )
