"""What `opt-in` and `opt-out` share: from flags to a record, and the record shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshup.model.problem import UsageError

if TYPE_CHECKING:
    from meshup.cli.connect import Aim
    from meshup.cli.screen import Screen
    from meshup.model.wish import Deed


def joining(
    look: Screen,
    aim: Aim,
    service: str,
    *,
    joins: bool,
    filename: str,
    output: str,
    reason: str,
    wave: str = "",
    not_before: str = "",
    source: str = "",
) -> int:
    """Record an owner's word and show it. Gives the exit code."""
    import json

    from meshup.cli import wishes
    from meshup.cli.books import book_or_none
    from meshup.cli.connect import Interrupt, door, session
    from meshup.cli.reasons import moment, worded
    from meshup.cli.telling import watcher
    from meshup.cluster.clock import server_now
    from meshup.engine.joining import say
    from meshup.views import optin as view

    do: Deed = "opt-in" if joins else "opt-out"
    wish = wishes.read(source, do, beside=bool(service or reason or wave or not_before)) if source else None
    if wish is not None:
        service, wave, not_before = wish.service, wish.wave, wish.not_before
        reason = worded(wish.reason, command=do, needed=not joins, flag=f"reason in {source}")
    if not service:
        raise UsageError(
            f"meshup {do} wants a SERVICE", code="MU1001", fix=f"meshup {do} --help", cluster="not contacted"
        )
    loaded = book_or_none(filename)
    cluster = door(aim)
    around = session(cluster, watcher=watcher(output, look, chatty=False), interrupt=Interrupt().listen())
    near = service.rpartition("/")[0] or aim.namespace or cluster.namespace
    around = wishes.acting_for(around, wish, near)
    said = say(
        around,
        service,
        joins=joins,
        namespace=aim.namespace or cluster.namespace,
        reason=reason,
        wave=wave,
        not_before=moment(not_before, server_now(around.clock), flag="--not-before") if not_before else None,
        book=loaded,
        wish=wish.digest if wish is not None else "",
    )
    if output == "json":
        document = view.said_document(said.word, fresh=said.fresh, notes=said.notes, follow=said.next)
        look.out(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        look.out(view.said(said.word, fresh=said.fresh, notes=said.notes, follow=said.next, width=look.width))
    return 0
