"""`meshup unpin`: a pin is ended early."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli import options
from meshup.model.problem import UsageError


def command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[SERVICE]", help="NAME or NAMESPACE/NAME of the service, or of the pin; none with --from"
        ),
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
    """End a pin before its day; nothing moves before the next plan takes the service along.

    Example: meshup unpin cart -n shop --reason "mended in 1.30.4"
    """
    import json

    from meshup.cli import wishes
    from meshup.cli.books import book_or_none
    from meshup.cli.connect import Aim, door, one_of, session
    from meshup.cli.reasons import worded
    from meshup.cli.screen import screen
    from meshup.cluster.clock import server_now
    from meshup.engine.unpinning import unpin
    from meshup.views import unpin as view

    one_of(output, ("text", "json"), flag="-o")
    reason = worded(reason, command="unpin", needed=False)
    look = screen(color=color, plain=plain)
    if write:
        return wishes.written(look, write, "unpin", wishes.whole(name, namespace), {"reason": reason})
    wish = wishes.read(source, "unpin", beside=bool(name or reason)) if source else None
    if wish is not None:
        name, reason = wish.service, worded(wish.reason, command="unpin", needed=False, flag=f"reason in {source}")
    if not name:
        raise UsageError(
            "meshup unpin wants a SERVICE or a pin", code="MU1001", fix="meshup unpin --help", cluster="not contacted"
        )
    loaded = book_or_none(filename)
    cluster = door(
        Aim(kubeconfig=kubeconfig, context=context, namespace=namespace, user=as_user, groups=tuple(as_group))
    )
    around = session(cluster)
    done = unpin(
        around,
        name,
        reason=reason,
        namespace=namespace or cluster.namespace,
        book=loaded,
        written=wish.at if wish is not None else None,
    )
    if output == "json":
        document = view.ended_document(
            done.pin, server_now(around.clock), fresh=done.fresh, notes=done.notes, follow=done.next
        )
        look.out(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        look.out(view.ended(done.pin, fresh=done.fresh, notes=done.notes, follow=done.next, width=look.width))
    return 0
