"""`meshup releases`: which releases may be gone to, and who runs what; the platform owner's decisions about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from meshup.cli import options
from meshup.model.problem import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from meshup.cli.connect import Aim
    from meshup.model.release import Move

app = typer.Typer(
    add_completion=False,
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Version = Annotated[str, typer.Argument(help="a release such as 1.30.3")]

Ends = Annotated[str, typer.Option("--end-of-support", help="DATE such as 2027-04-30, when its support ends")]
Issue = Annotated[list[str], typer.Option("--issue", help="something that is known to be wrong with it; repeatable")]
MOST_ISSUE = 1024


@app.callback()
def listed(
    called: typer.Context,
    filename: options.Filename = "meshup.yaml",
    output: options.Output = "text",
    report: options.Report = [],
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    as_user: options.AsUser = "",
    as_group: options.AsGroup = [],
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """List releases: their state, digest, end of support and known issues, who runs them, and which are on hold.

    Example: meshup releases promote 1.30.3 --end-of-support 2027-04-30 --reason "qualified by payments"
    """
    import json

    from meshup.cli import reports
    from meshup.cli.books import book_or_none
    from meshup.cli.connect import Aim, door, one_of, session
    from meshup.cli.screen import screen
    from meshup.engine.releases import listed as look_at
    from meshup.views import releases as view

    if called.invoked_subcommand is not None:
        return 0
    one_of(output, ("text", "json"), flag="-o")
    further = reports.asked(report, ("json",))
    look = screen(color=color, plain=plain)
    cluster = door(Aim(kubeconfig=kubeconfig, context=context, user=as_user, groups=tuple(as_group)))
    found = look_at(session(cluster), book=book_or_none(filename), context=cluster.context)
    text = json.dumps(view.releases_document(found), ensure_ascii=False, indent=2)
    reports.write(further, {"json": lambda: text})
    look.out(text if output == "json" else view.releases(found, width=look.width))
    return 0


MOVES: Mapping[Move, str] = {
    "add": "Record a release as a candidate, with the digest of the runbook's lock where it is the runbook's release."
    "\n\nExample: meshup releases add 1.30.3",
    "promote": "Support a release: owners may go to it. Refused while too many went back from it, and where no critical user "
    "qualified it (meshup upgrade), unless you give a reason."
    '\n\nExample: meshup releases promote 1.30.3 --end-of-support 2027-04-30 --reason "qualified by payments"',
    "deprecate": "Say that a release is on its way out: who is on it stays, nobody goes to it any more."
    '\n\nExample: meshup releases deprecate 1.29.4 --end-of-support 2026-12-31 --reason "1.30.3 is supported"',
    "block": "Stop a release: no plan widens it, nobody rolls back to it. Who is on it stays until their owner moves."
    '\n\nExample: meshup releases block 1.30.3 --reason "loses connections on reload" --issue "upstream issue 51234"',
}
"""What each decision means, as its help says it."""


def _deciding(move: Move, text: str) -> None:
    """Give a decision its command; all take the same flags."""

    def command(
        version: Version,
        reason: options.Reason = "",
        end_of_support: Ends = "",
        issue: Issue = [],
        filename: options.Filename = "meshup.yaml",
        output: options.Output = "text",
        context: options.Context = "",
        kubeconfig: options.Kubeconfig = "",
        as_user: options.AsUser = "",
        as_group: options.AsGroup = [],
    ) -> int:
        from meshup.cli.connect import Aim

        aim = Aim(kubeconfig=kubeconfig, context=context, user=as_user, groups=tuple(as_group))
        return _decide(
            move, version, aim, reason=reason, ends=end_of_support, issues=issue, filename=filename, output=output
        )

    app.command(move, help=text)(command)


for each, meaning in MOVES.items():
    _deciding(each, meaning)


def _decide(
    move: Move,
    version: str,
    aim: Aim,
    *,
    reason: str,
    ends: str,
    issues: list[str],
    filename: str,
    output: str,
) -> int:
    import json

    from meshup.cli import reasons
    from meshup.cli.books import book_or_none
    from meshup.cli.connect import door, one_of, session
    from meshup.cli.screen import screen
    from meshup.engine.releases import decide
    from meshup.views import releases as view

    one_of(output, ("text", "json"), flag="-o")
    look = screen()
    if reason or move not in ("add", "promote"):
        reason = reasons.checked(reason, look, command=f"releases {move}")
    until, known = _date(ends), [_issue(each) for each in issues]
    _release(version)
    loaded = book_or_none(filename)
    cluster = door(aim)
    found = decide(
        session(cluster),
        move,
        version,
        reason=reason,
        book=loaded,
        ends=until,
        issues=known,
        context=cluster.context,
    )
    if output == "json":
        look.out(json.dumps(view.moved_document(found), ensure_ascii=False, indent=2))
    else:
        look.out(view.moved(found, width=look.width))
    return 0


def _date(text: str) -> datetime | None:
    """Read a date, whose last second counts, or a time; None for "". Raises UsageError (MU1021)."""
    from datetime import UTC, datetime, time

    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as odd:
        raise _unread(f'"{text[:40]}" is no date such as 2027-04-30', "correct --end-of-support") from odd
    if len(text) <= len("2027-04-30"):
        found = datetime.combine(found.date(), time(23, 59, 59))
    return found.replace(microsecond=0) if found.tzinfo else found.replace(microsecond=0, tzinfo=UTC)


def _issue(text: str) -> str:
    if not text.strip() or len(text) > MOST_ISSUE or not text.isprintable():
        raise _unread(f"an issue is one line of 1 to {MOST_ISSUE} printable characters", "correct --issue")
    return text.strip()


def _release(version: str) -> None:
    import re

    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}", version):
        raise _unread(f'"{version[:60]}" is no release such as 1.30.3', "meshup releases lists those that are known")


def _unread(what: str, fix: str) -> UsageError:
    from meshup.cli.boundary import printable

    return UsageError(printable(what), code="MU1021", fix=fix, cluster="not contacted")
