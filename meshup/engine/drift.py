"""Whether the cluster is still as a plan saw it: planned fields and UIDs only, our own writes aside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshup.cluster.errors import NotFound
from meshup.cluster.ports import MANAGER, Reader
from meshup.journal.home import RUN
from meshup.model.change import Apply, Change, Delete, Label, Restart
from meshup.model.fields import comes_to, leaves, managers_of, pointer, said, value_at
from meshup.model.objects import TEMPLATE_PATH, Object, Ref, annotated, dig, ref_of
from meshup.model.plan import Basis, PlannedChange
from meshup.model.problem import Refused

LISTED_FROM = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One planned thing that is not as it was. field: pointer, "" for the object itself. manager: who wrote it last."""

    on: Ref
    field: str
    was: Any
    now: Any
    manager: str

    def __str__(self) -> str:
        by = f' by "{self.manager}"' if self.manager else ""
        if not self.field:
            how = (
                "was deleted" if self.now is None else "was made" if self.was is None else "was deleted and made again"
            )
            return f"{self.on}    {how}{by}"
        what = said(self.field)
        if self.now is None:
            return f"{self.on}    {what} removed{by}"
        if self.was is None:
            return f"{self.on}    {what} set to {self.now!r}{by}"
        return f"{self.on}    {what} changed from {self.was!r} to {self.now!r}{by}"


def read_all(cluster: Reader, refs: Iterable[Ref]) -> Mapping[Ref, Object]:
    """Read objects most recent, one list per kind where several are wanted; absent ones are left out."""
    by_kind: dict[tuple[str, str], list[Ref]] = defaultdict(list)
    for ref in dict.fromkeys(refs):
        by_kind[ref.api_version, ref.kind].append(ref)

    def listed(kind: tuple[str, str], wanted: Sequence[Ref]) -> list[Object]:
        try:
            names = set(wanted)
            return [each for each in cluster.list(*kind, owners=True) if ref_of(each) in names]
        except NotFound:
            return []

    def single(ref: Ref) -> list[Object]:
        found = cluster.find(ref)
        return [found] if found is not None else []

    calls: list[Callable[[], list[Object]]] = []
    for kind, wanted in by_kind.items():
        if len(wanted) >= LISTED_FROM:
            calls.append(lambda kind=kind, wanted=wanted: listed(kind, wanted))  # type: ignore[misc]
        else:
            calls += [lambda ref=ref: single(ref) for ref in wanted]  # type: ignore[misc]
    return {ref_of(each): each for several in cluster.gather(calls) for each in several}


def wanted_values(change: Change) -> Mapping[str, Any]:
    """Give pointer -> value that a change leaves behind."""
    match change:
        case Apply():
            return leaves(change.body)
        case Label():
            return {
                pointer((*path, key)): value
                for path, values in change.wanted().items()
                for key, value in values.items()
            }
        case Restart():
            path = (*TEMPLATE_PATH[change.on.kind], "metadata", "annotations", "meshup.dev/restart")
            return {pointer(path): change.value}
        case _:
            return {}


def moved(
    cluster: Reader, basis: Sequence[Basis], changes: Sequence[PlannedChange], *, run: str, made: Collection[str] = ()
) -> tuple[Moved, ...]:
    """Compare planned objects with what was seen. changes: all of the plan, since what they write is no drift.

    run: its own objects are not foreign, "" before a run began. made: UIDs of what the run wrote, for objects that an
    undo left without its marks. What the plan takes away is not missed once a run began.
    """
    leaving = {each.change.on for each in changes if isinstance(each.change, Delete)} if run else frozenset()
    ours: dict[Ref, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for each in changes:
        for field, value in wanted_values(each.change).items():
            ours[each.change.on][field].append(value)
    live = read_all(cluster, [each.on for each in basis])
    found: list[Moved] = []
    for seen in basis:
        now = live.get(seen.on)
        mine = bool(run) and (annotated(now or {}).get(RUN) == run or dig(now, "metadata", "uid") in made)
        if now is None and seen.on in leaving:
            continue
        if seen.uid == "":
            if now is not None and not mine:
                manager = next(iter(managers_of(now, "/metadata/name")), _writer(now))
                found.append(Moved(on=seen.on, field="", was=None, now="there", manager=manager))
            continue
        if now is None or dig(now, "metadata", "uid") != seen.uid:
            if not (now is not None and mine):
                found.append(
                    Moved(on=seen.on, field="", was="there", now=None if now is None else "another object", manager="")
                )
            continue
        for field, was in seen.fields.items():
            value = value_at(now, field)
            wrote = ours[seen.on].get(field, ())
            if value != was and value not in wrote and not (mine and any(comes_to(each, value) for each in wrote)):
                manager = next(iter(managers_of(now, field)), _writer(now) if value is None else "")
                found.append(Moved(on=seen.on, field=field, was=was, now=value, manager=manager))
    return tuple(found)


def not_so(cluster: Reader, changes: Sequence[Change]) -> str:
    """Read back what changes were to come to; "" when every planned field is so and what was deleted is gone or going."""
    live = read_all(cluster, [each.on for each in changes])
    for change in changes:
        now = live.get(change.on)
        if isinstance(change, Delete):
            same = now is not None and dig(now, "metadata", "uid") == change.uid
            if same and not dig(now, "metadata", "deletionTimestamp"):
                return f"{change.on} is still there"
            continue
        for field, value in wanted_values(change).items():
            if now is None or (value is not None and not comes_to(value, value_at(now, field))):
                return f"{change.on}: {said(field)} is {value_at(now, field)!r}, it was {value!r}"
    return ""


def _writer(obj: Object) -> str:
    entries = sorted(dig(obj, "metadata", "managedFields") or (), key=lambda each: str(each.get("time") or ""))
    return str(entries[-1].get("manager") or "") if entries else ""


def stale(found: Sequence[Moved], *, planned: int, taken_at: str, changed: bool) -> Refused:
    """Make the error of a plan whose basis moved."""
    what = f"{len(found)} of {planned} planned objects and fields moved since {taken_at}"
    ours = sum(each.manager == MANAGER for each in found)
    earlier = f"; {ours} of these are of another run of meshup, and a new plan takes them as they are" if ours else ""
    return Refused(
        f"the plan is stale: {what}",
        code="MU2201",
        details=tuple(str(each) for each in found[:20]) + ((f"+{len(found) - 20} more",) if len(found) > 20 else ()),
        why=f"apply does exactly what the plan says, or stops{earlier}",
        fix="meshup plan --out release.plan.json",
        cluster="earlier stages stand; nothing of this stage was changed"
        if changed
        else "nothing changed, lock released",
    )
