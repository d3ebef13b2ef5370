"""`meshup report`: what runs and rollbacks say about a release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from meshup.cli import options
from meshup.model.problem import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from meshup.cli.connect import Aim
    from meshup.model.cells import Tallied
    from meshup.model.holds import HoldAt
    from meshup.model.problem import UsageError
    from meshup.model.report import Report, View
    from meshup.model.runbook import Runbook

FORMATS = ("text", "json", "md", "html")
Contexts = Annotated[
    list[str], typer.Option("--context", envvar="MESHUP_CONTEXT", help="context of the kubeconfig; repeatable")
]


def command(
    filename: options.Filename = "meshup.yaml",
    version: Annotated[str, typer.Option("--version", help="only this release; none = out of the mesh")] = "",
    since: Annotated[str, typer.Option("--since", help="leave out what ended before: 30d, or 2026-11-01")] = "",
    check: Annotated[
        bool, typer.Option("--check", help="3 when a pin is overdue, a release in use is on hold, or a part is unknown")
    ] = False,
    ledger: Annotated[
        list[str], typer.Option("--ledger", help="read this export instead of a cluster; repeatable")
    ] = [],
    output: options.Output = "text",
    report: options.Report = [],
    context: Contexts = [],
    kubeconfig: options.Kubeconfig = "",
    as_user: options.AsUser = "",
    as_group: options.AsGroup = [],
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Show per release who runs it, and who went back from it to what, why and until when.

    Example: meshup report --version 1.30.3 --since 30d
    """
    import json

    from meshup.cli import reports
    from meshup.cli.books import book_or_none
    from meshup.cli.connect import Aim, one_of
    from meshup.cli.screen import screen
    from meshup.model.holds import HoldAt
    from meshup.views import report as view
    from meshup.views.report_html import page
    from meshup.views.report_md import markdown

    one_of(output, FORMATS, flag="-o")
    further = reports.asked(report, FORMATS[1:])
    look = screen(color=color, plain=plain)
    loaded = book_or_none(filename)
    at = loaded.hold_at if loaded is not None else HoldAt()
    aim = Aim(kubeconfig=kubeconfig, user=as_user, groups=tuple(as_group))
    asked = Asked(version=version, since=since, at=at)
    found = _of_files(ledger, asked) if ledger else _of_clusters(aim, context, loaded, asked)
    if not found.is_known:
        raise _nobody_knows(found)
    makers = {
        "json": lambda: json.dumps(view.as_document(found), indent=2),
        "md": lambda: markdown(found),
        "html": lambda: page(found),
        "text": lambda: view.text(found, width=look.width),
    }
    reports.write(further, makers)
    look.out(makers[output]())
    held = _against(found) if check else ()
    for each in held:
        look.err(f"check     {each}")
    return int(Exit.GATE_HELD) if held else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the flags ask for. since: as it was typed, "" = from the beginning."""

    version: str
    since: str
    at: HoldAt

    def answer(self, views: Sequence[View], *, now: datetime, tally: Tallied | None = None) -> Report:
        """Fold. Raises UsageError (MU1001) for a --since that is no time."""
        from meshup.model.reporting import report

        return report(views, now=now, at=self.at, version=self.version, since=_moment(self.since, now), tally=tally)


def _moment(text: str, now: datetime) -> datetime | None:
    from datetime import UTC, datetime, timedelta

    from meshup.cli.connect import seconds

    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return now - timedelta(seconds=seconds(text, flag="--since"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _of_clusters(aim: Aim, contexts: Sequence[str], loaded: Runbook | None, asked: Asked) -> Report:
    """Read one cluster, which must answer, or several side by side, of which each may be unknown.

    Without a runbook the `holds` of the newest run count, as they do for `releases`; of several clusters those of the first.
    """
    from dataclasses import replace

    from meshup.cli.connect import door, session
    from meshup.engine import reporting
    from meshup.model.problem import DeadlinePassed, Unreachable

    views, now, holds = [], None, loaded.hold_at if loaded is not None else None
    for each in contexts or [""]:
        try:
            cluster = door(replace(aim, context=each))
            found, own = reporting.looked(session(cluster), book=loaded, context=cluster.context)
            views.append(found)
            now, holds = now or cluster.clock.now(), holds or own
        except (Unreachable, DeadlinePassed) as gone:
            if len(contexts) < 2:
                raise
            views.append(reporting.unread(each, gone))
    return replace(asked, at=holds or asked.at).answer(views, now=now or _wall())


def _wall() -> datetime:
    from meshup.cluster.clock import RealClock

    return RealClock().now()


def _of_files(paths: Sequence[str], asked: Asked) -> Report:
    """Read exports, as of when the newest of them was sealed. No cluster is asked, so what runs where is not known."""
    from meshup.cli.exports import of_files
    from meshup.model.moment import instant

    views, tally = of_files(paths)
    return asked.answer(views, now=max(instant(each.at) for each in views), tally=tally)


def _nobody_knows(found: Report) -> UsageError:
    from meshup.model.problem import UsageError
    from meshup.views.report import release

    return UsageError(
        f"nothing is known of a release {release(found.version)}",
        code="MU1032",
        why="it neither runs, nor is installed, nor on record, and nobody left it; known are: "
        + (", ".join(map(release, found.known)) or "none"),
        fix="correct --version; meshup report shows all of them",
        cluster="nothing was changed",
    )


def _against(found: Report) -> tuple[str, ...]:
    """Say what makes --check fail: what is overdue, a release on hold that is in use or asked for, and what is not known."""
    from meshup.views.report import release

    late = (
        f"the pin of {row.held.namespace}/{row.held.service} is overdue since {row.held.until[:10]}: {row.held.who}"
        for row in found.overdue
    )
    held = (
        f"{release(each.release)} is on hold: {each.verdict.because}"
        for each in found.on_hold
        if each.is_in_use or found.version
    )
    gone = (f"{each.name} is unknown: {each.why}" for each in found.unread)
    unseen = (f"what {each.name} runs is unknown: {each.unseen}" for each in found.unseen)
    odd = (f"{each} can't be read" for each in found.odd)
    return (*late, *held, *gone, *unseen, *odd)
