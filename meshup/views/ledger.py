"""Exports of the ledger as their reader sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meshup.model.duration import shown
from meshup.model.exports import MOST, STAY_S, Checked, Exported, Retention
from meshup.model.ledger import Pin
from meshup.model.text import amount, clean
from meshup.views.documents import document
from meshup.views.spans import day, span
from meshup.views.table import folded

SHOWN = 20


def exported(found: Exported, *, width: int) -> str:
    """Show what was written, and the head to keep apart from the file."""
    to = found.path or "stdout"
    said = f"{amount(found.new, 'record')} added, {amount(found.lines, 'line')}" if found.new else "nothing was new"
    lines = [f"exported  {clean(to)}: {said}, sealed {found.at}", f"head      {found.head}"]
    if found.kept:
        lines.append(f"note      the head is not on record in the cluster: {clean(found.kept)}")
    follow = f"meshup ledger verify {clean(found.path or 'FILE')} --head {found.head[:12]}"
    return "\n".join([*(folded(each, width=width) for each in lines), f"Next      {follow}"])


def exported_document(found: Exported) -> dict[str, Any]:
    """Give the same as JSON."""
    return document(
        "ledger-export",
        file=clean(found.path),
        cluster=found.cluster,
        head=found.head,
        lines=found.lines,
        new=found.new,
        at=found.at,
        on_record=not found.kept,
        why=clean(found.kept),
    )


def checked(found: Checked, *, width: int) -> str:
    """Show that a file holds."""
    lines = [
        f"holds     {clean(found.path)}: {amount(found.lines, 'line')}, {amount(found.records, 'record')}, sealed {clean(found.at)}",
        f"cluster   {clean(found.cluster)}",
        f"head      {found.head}",
    ]
    if not found.known:
        lines.append("note      without --head a file that was put back to an older state of itself looks whole")
    follow = f"meshup report --ledger {clean(found.path)}"
    return "\n".join([*(folded(each, width=width) for each in lines), f"Next      {follow}"])


def checked_document(found: Checked) -> dict[str, Any]:
    """Give the same as JSON."""
    return document(
        "ledger-verify",
        file=clean(found.path),
        cluster=clean(found.cluster),
        head=found.head,
        lines=found.lines,
        records=found.records,
        at=clean(found.at),
        head_given=found.known,
    )


def retention(found: Retention, *, width: int, performed: bool = False) -> str:
    """Show which pins would go, and which stay although their time is over. performed: they go now, so nothing comes next."""
    rule = f"which stay {span(found.stay_s)}, the newest {found.most} of them"
    lines = [f"pins      {found.open} in effect; {found.over} over, {rule}"]
    lines += _some("delete", [f"{_named(each.pin)}, line {each.line[:12]}" for each in found.going])
    lines += _some("keep", [f"{_named(pin)}: {why}" for pin, why in found.left])
    lines += _some(
        "keep", [f"{_named(pin)}: the verdict on {clean(release)} rests on it" for pin, release in found.resting]
    )
    if found.resting:
        lines.append(
            f"holds     rest on what is in effect or began within {span(found.window_s)}: no pin of those goes"
        )
    lines += [f"missing   you may not {clean(each)}" for each in found.missing]
    if not performed:
        lines.append(f"Next      {_then(found)}")
    return "\n".join(each if each.startswith("Next") else folded(each, width=width) for each in lines)


def _some(word: str, every: Sequence[str]) -> list[str]:
    more = [f"and {len(every) - SHOWN} more; -o json lists all"] if len(every) > SHOWN else []
    return [f"{word:<10}{each}" for each in (*every[:SHOWN], *more)]


def _then(found: Retention) -> str:
    older = f" --older {shown(found.stay_s)}" if found.stay_s != STAY_S else ""
    most = f" --most {found.most}" if found.most != MOST else ""
    again = f"meshup ledger prune {clean(found.path)}{older}{most} --yes"
    if found.going and found.missing:
        return f"bind the roles of templates/rbac/retention.yaml to who prunes, who then runs: {again}"
    if found.going:
        return again
    return f"meshup ledger export --after {clean(found.path)}" if found.left else "nothing: no pin is due"


def pruned(found: Retention, stayed: Sequence[tuple[Pin, str]], *, width: int) -> str:
    """Show what went."""
    gone = len(found.going) - len(stayed)
    lines = [f"deleted   {amount(gone, 'pin')}; each is in {clean(found.path)}"]
    lines += [f"keep      {_named(pin)}: {why}" for pin, why in stayed]
    follow = f"keep {clean(found.path)}: it alone has them"
    return "\n".join([*(folded(each, width=width) for each in lines), f"Next      {follow}"])


def retention_document(found: Retention, stayed: Sequence[tuple[Pin, str]], *, performed: bool) -> dict[str, Any]:
    """Give either as JSON. performed: deleted, not only shown."""
    names = {(pin.namespace, pin.name) for pin, _ in stayed}
    return document(
        "ledger-prune",
        file=clean(found.path),
        performed=performed,
        in_effect=found.open,
        over=found.over,
        going=[
            {"namespace": each.pin.namespace, "name": each.pin.name, "line": each.line}
            for each in found.going
            if (each.pin.namespace, each.pin.name) not in names
        ],
        left=[{"namespace": pin.namespace, "name": pin.name, "why": clean(why)} for pin, why in (*found.left, *stayed)],
        resting=[
            {"namespace": pin.namespace, "name": pin.name, "release": clean(release)} for pin, release in found.resting
        ],
        missing=list(found.missing),
    )


def _named(pin: Pin) -> str:
    when = pin.closed_at or pin.until
    return f"MeshPin {clean(pin.namespace)}/{clean(pin.name)}, {pin.phase} since {day(when)}, of {clean(pin.user)}"
