"""The report on releases as one page: no script, no network, light and dark, for a screen of any width and for paper."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from string import Template

from meshup.model.counts import TRUSTS
from meshup.model.report import ReleaseRow, Report
from meshup.model.shipped import shipped
from meshup.model.text import amount, clean
from meshup.views import report as shown

MOST_BYTES = 250_000
MOST_ROWS, MOST_SERVICES = 300, 1000
WIDE, HIGH, GAP = 320, 72, 6


def page(found: Report) -> str:
    """Give the page. Records and services beyond MOST_ROWS and MOST_SERVICES are counted, not shown."""
    text = (shipped("templates") / "report" / "page.html").read_text(encoding="utf-8")
    about = f"Release {found.version}" if found.version else "Releases of the mesh"
    return Template(text).substitute(
        title=_safe(f"{about}, {found.at[:10]}"),
        heading=_safe(about),
        subtitle=_safe(
            f"{shown.looked(found)} {shown.where(found)}, as of {found.at}"
            + (f", since {found.since}" if found.since else "")
        ),
        unknown="\n".join(
            f'<p class="unknown"><strong>unknown</strong> {_safe(each)}</p>' for each in shown.missing(found)
        ),
        next=_safe(found.next or "nothing is overdue"),
        cards="\n".join(_card(each, found) for each in found.releases) or "<p>No release runs, and none was left.</p>",
        records=_records(found),
        services=_services(found),
    )


def _safe(text: str) -> str:
    return html.escape(clean(text))


def _card(each: ReleaseRow, found: Report) -> str:
    """Give one release: verdict, numbers by trust, reasons, and how many went back each week."""

    def say(counted: str) -> str:
        return shown.at_least(found, counted)

    facts = (
        ("State", each.state.state or "not on record"),
        (
            "Runs",
            "unknown"
            if found.is_blind
            else say(f"{amount(each.on, 'service')}, {each.partly} partly; {amount(each.owners, 'owner')}"),
        ),
        ("Installed as", ", ".join(each.installed) or "not installed"),
        ("Rolled back", say(f"{shown.counts(each.services_ever)} services, {shown.counts(each.users_ever)} users")),
        ("In effect", say(f"{shown.counts(each.services_active)} services, {shown.counts(each.users_active)} users")),
        ("Temporary", say(shown.counts(each.temporary))),
        ("Overdue", say(shown.counts(each.overdue))),
        ("Renewed", say(shown.counts(each.renewed))),
        ("No record", say(amount(each.untracked, "service"))),
    )
    listed = "".join(f"<dt>{name}</dt><dd>{_safe(value)}</dd>" for name, value in facts)
    why = "".join(f"<li>{_safe(one.text)} ({_safe(shown.counts(one.counts))})</li>" for one in each.reasons)
    verdict = each.verdict
    trust = f" (trust: {verdict.trust})" if verdict.trust else ""
    return (
        f'<section class="card"><header><h3>{_safe(shown.release(each.release))}</h3>'
        f'<span class="verdict {verdict.answer}">{verdict.answer}</span></header>'
        f'<p class="faint">{_safe(verdict.because + trust)}</p><dl>{listed}</dl>{_bars(each)}'
        + (f"<p>Reasons</p><ul>{why}</ul>" if why else "")
        + "</section>"
    )


def _bars(each: ReleaseRow) -> str:
    """Draw one column a week, the newest last; of one trust above the other, so that they stay apart."""
    most = max((sum(week.counts) for week in each.trend), default=0)
    if not most:
        return ""
    step = WIDE / len(each.trend)
    bars = []
    for at, week in enumerate(each.trend):
        top = float(HIGH)
        for trust, count in zip(TRUSTS, week.counts, strict=True):
            if not count:
                continue
            tall = count / most * (HIGH - GAP)
            top -= tall
            bars.append(
                f'<rect class="{trust}" x="{at * step + GAP / 2:.1f}" y="{top:.1f}"'
                f' width="{step - GAP:.1f}" height="{tall:.1f}"/>'
            )
    said = f"Rollbacks from {shown.release(each.release)}: {shown.trend(each)}"
    return (
        f'<svg viewBox="0 0 {WIDE} {HIGH + 1}" role="img" aria-label="{_safe(said)}">'
        f'{"".join(bars)}<line class="axis" x1="0" y1="{HIGH}.5" x2="{WIDE}" y2="{HIGH}.5"/></svg>'
    )


def _records(found: Report) -> str:
    if not found.rows:
        return "<p>No rollback is on record.</p>"
    rows = found.rows[:MOST_ROWS]
    more = len(found.rows) - len(rows) + found.ended_more
    body = [
        [
            _safe(cell)
            if name != "until"
            else f'<span class="late">{_safe(cell)}</span>'
            if row.overdue
            else _safe(cell)
            for name, cell in zip(shown.ROWS, shown.row_cells(row, found), strict=True)
        ]
        for row in rows
    ]
    note = f"<p>{amount(more, 'more record')}: meshup ledger export</p>" if more else ""
    return _table("Everything in effect first, then the newest that ended", shown.ROWS, body) + note


def _services(found: Report) -> str:
    if not found.seen:
        return "<p>No pods were looked at.</p>"
    several = len(found.clusters) > 1
    body = [
        [
            *([_safe(each.cluster[:8])] if several else []),
            _safe(f"{each.namespace}/{each.service}"),
            _safe(each.owner or "unknown"),
            _safe(", ".join(f"{shown.release(name)} x{pods}" for name, pods in each.releases) or "no pods"),
        ]
        for each in found.seen[:MOST_SERVICES]
    ]
    more = len(found.seen) - len(body)
    note = f"<p>{amount(more, 'more service')}: meshup report -o json</p>" if more else ""
    return _table("Who runs what", (*(["cluster"] if several else []), "service", "owner", "runs"), body) + note


def _table(caption: str, head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """Lay out safe cells; a table that is wider than the screen is scrolled by itself, by keyboard too."""
    top = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    rows = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in body)
    return (
        f'<div class="wide" role="region" aria-label="{caption}" tabindex="0"><table><caption>{caption}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>\n{rows}\n</tbody></table></div>"
    )
