"""One change, sent: fields stamped, preconditions held, conflicts named, answers that were lost resolved by reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, assert_never

from meshup.cluster.errors import AlreadyExists, Conflict, Invalid, MaybeDone
from meshup.cluster.ports import MANAGER, Propagation, Writer
from meshup.engine.marks import Stamp, in_place_of, is_ours, owned, stamped
from meshup.journal.home import RUN
from meshup.model.change import Apply, Change, Create, Delete, Evict, Handoff, Label, Restart
from meshup.model.fields import owned_keys, pointer, steps
from meshup.model.objects import TEMPLATE_PATH, Object, Ref, annotated, dig, is_managed
from meshup.model.problem import Refused, Where

RESTART = "meshup.dev/restart"
MARKS = ("metadata", "annotations")
TRIES = 10
"""How often a write that was overtaken is sent again while what it changes is still as planned."""
WITH_PODS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"})
"""Kinds that are gone only when what they made is gone: else the same name, made again, would meet its remains."""
OURS = frozenset({MANAGER, "meshup-guard"})
"""Managers that may hold what we plan: we ourselves, and the guard, which forces the one field it puts back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came of it. wrote: false when nothing had to be sent."""

    uid: str = ""
    resource_version: str = ""
    wrote: bool = True


def nothing() -> None:
    """Forbid nothing."""


def send(
    cluster: Writer,
    change: Change,
    stamp: Stamp,
    *,
    made_uid: str = "",
    back: bool = False,
    may_write: Callable[[], None] = nothing,
) -> Sent:
    """Perform one change. Safe to repeat after a kill.

    may_write: called when what the write's precondition needs is read, just before it is sent; raises to forbid it.
    made_uid: UID of what an earlier change of this run made, for a Delete planned before it was there. back: the change
    is a way back: marks of the run are taken off again. Raises Refused (MU2204, MU2205, MU2206) when the object is not
    what the plan says, and the errors of cluster/errors.py.
    """
    if not isinstance(change, Label | Restart):
        may_write()
    match change:
        case Create():
            return _create(cluster, change, stamp)
        case Apply():
            return _apply(cluster, change, stamp, back=back)
        case Label():
            return _label(cluster, change, stamp, back=back, may_write=may_write)
        case Restart():
            return _label(cluster, _as_label(change), stamp, back=back, may_write=may_write)
        case Evict():
            gone = not cluster.evict(change.on.namespace, change.on.name, uid=change.uid)
            return Sent(uid=change.uid, wrote=not gone)
        case Delete():
            return _delete(cluster, change, made_uid or change.uid)
        case Handoff():
            return Sent(wrote=False)
        case _:
            assert_never(change)


def _sent(obj: Object, *, wrote: bool = True) -> Sent:
    meta = obj.get("metadata") or {}
    return Sent(uid=str(meta.get("uid") or ""), resource_version=str(meta.get("resourceVersion") or ""), wrote=wrote)


def _create(cluster: Writer, change: Create, stamp: Stamp) -> Sent:
    body = stamped(change.body, stamp, own=True)
    try:
        return _sent(cluster.create(body))
    except AlreadyExists:
        return _found_instead(cluster, change.on, stamp)
    except Invalid:
        # A Service that is made again keeps its address, which the server finds taken before it finds the name taken.
        found = cluster.find(change.on)
        if found is None or not is_ours(found, stamp):
            raise
        return _sent(found, wrote=False)
    except MaybeDone:
        if cluster.find(change.on) is None:
            return _sent(cluster.create(body))
        return _found_instead(cluster, change.on, stamp)


def _found_instead(cluster: Writer, on: Ref, stamp: Stamp) -> Sent:
    found = cluster.find(on)
    if found is not None and is_ours(found, stamp):
        return _sent(found, wrote=False)
    raise foreign(on, "an object of that name is there, and this run did not make it")


def foreign(on: Ref, why: str) -> Refused:
    """Make the error of an object that is not the one the plan means."""
    return Refused(
        f"{on} is not what the plan says",
        code="MU2205",
        why=why,
        at=Where(object=str(on)),
        fix="meshup plan",
        cluster="it was left as it is; earlier changes stand and are journalled",
    )


def _replace(cluster: Writer, change: Apply, stamp: Stamp, *, back: bool) -> Sent:
    """Replace an object of ours as a whole; a write in between, such as a controller's, is read and replaced with it."""
    body = owned(change.body) if back else stamped(change.body, stamp, own=True)
    for _ in range(TRIES):
        there = cluster.find(change.on)
        if there is None or (change.uid and dig(there, "metadata", "uid") != change.uid):
            raise foreign(change.on, "it was deleted, or deleted and made again, since the plan")
        if not is_managed(there):
            raise foreign(change.on, "somebody else has taken it over since the plan")
        if not back and is_ours(there, stamp):
            return _sent(there, wrote=False)
        try:
            return _sent(cluster.replace(in_place_of(there, body)))
        except (Conflict, MaybeDone):
            continue
    raise foreign(change.on, f"it was changed {TRIES} times while it was being written")


def _apply(cluster: Writer, change: Apply, stamp: Stamp, *, back: bool) -> Sent:
    if change.whole:
        return _replace(cluster, change, stamp, back=back)
    there = cluster.find(change.on)
    ours = is_managed(there)
    if change.uid == "" and change.before is None and there is not None and not ours:
        raise foreign(change.on, "the plan was made when it was absent; somebody else has made it since")
    # What is not applied again is given up: an object that is ours must keep saying so.
    own = ours or (change.before is None and not back)
    body: Object = owned(change.body) if back and own else change.body if back else stamped(change.body, stamp, own=own)
    try:
        return _sent(_apply_with_care(cluster, body, change.force, uid=change.uid))
    except Invalid as refused:
        if change.uid and "uid" in refused.message.lower():
            raise foreign(change.on, "it was deleted and made again since the plan") from refused
        raise


def _apply_with_care(cluster: Writer, body: Object, force: tuple[str, ...], *, uid: str) -> Object:
    """Apply without force; with force only when every conflict is on a field that the plan takes."""
    try:
        return cluster.apply(body, uid=uid)
    except Conflict as conflict:
        if not conflict.managers and "resourceVersion" in body["metadata"]:
            raise Overtaken from conflict
        if not conflict.managers:
            raise foreign(_ref(body), "it was deleted and made again since the plan") from conflict
        taken = foreign_fields(conflict.managers, force)
        if taken:
            raise taken_by_others(_ref(body), taken) from conflict
    except MaybeDone as lost:
        if "resourceVersion" not in body["metadata"]:
            raise
        raise Overtaken from lost
    try:
        return cluster.apply(body, uid=uid, force=True)
    except (Conflict, MaybeDone) as late:
        if "resourceVersion" not in body["metadata"] or (isinstance(late, Conflict) and late.managers):
            raise
        raise Overtaken from late


def foreign_fields(managers: Iterable[tuple[str, str]], force: Iterable[str]) -> list[tuple[str, str]]:
    """Give the conflicts, as (manager, field), that are neither our own nor on a field that may be taken."""
    allowed = {_dotted(each) for each in force}
    return [(manager, field) for manager, field in managers if field.lstrip(".") not in allowed and manager not in OURS]


def taken_by_others(on: Ref, taken: list[tuple[str, str]]) -> Refused:
    """Make the error of fields that another manager owns and the plan does not take."""
    return Refused(
        f"{on}: {len(taken)} planned field{'s' if len(taken) > 1 else ''} belong to another manager",
        code="MU2204",
        details=tuple(f'{field.lstrip(".")} is owned by "{manager}"' for manager, field in taken),
        why="a field that another manager owns is only taken when the plan lists it",
        at=Where(object=str(on)),
        fix="meshup plan shows the conflict; agree with that manager's owner first",
        cluster="the object was left as it is; earlier changes stand and are journalled",
    )


def _ref(body: Object) -> Ref:
    meta = body["metadata"]
    return Ref(
        api_version=body["apiVersion"], kind=body["kind"], namespace=meta.get("namespace", ""), name=meta["name"]
    )


def _dotted(text: str) -> str:
    return ".".join(steps(text)) if text.startswith("/") else text


def _label(cluster: Writer, change: Label, stamp: Stamp, *, back: bool, may_write: Callable[[], None]) -> Sent:
    """Set labels. What moves pods also holds the resourceVersion that was read: of two writers the later one loses."""
    live = cluster.find(change.on)
    seen = live
    allowed = None if change.marks is None else {*change.marks, stamp.run, *([""] if back else [])}
    mark = annotated(live).get(RUN, "") if live is not None else ""
    if allowed is not None and mark not in allowed:
        raise overtaken(change.on, mark or "somebody else")
    may_write()
    for tried in range(TRIES):
        try:
            sent = _label_once(cluster, change, stamp, live, back=back)
            return replace(sent, wrote=True) if tried else sent
        except Overtaken as late:
            live = cluster.find(change.on)
            _same_still(change, seen, live, stamp, late)
    raise foreign(change.on, f"it was changed {TRIES} times while it was being written")


class Overtaken(Exception):
    """Somebody else wrote to the object after it was read, or the answer was lost; nothing is known yet."""


def _same_still(change: Label, seen: Object | None, live: Object | None, stamp: Stamp, late: Overtaken) -> None:
    """Go on only when the planned fields are as they were, and no other run or pin has written meanwhile."""
    if live is None or seen is None or is_ours(live, stamp) or _holds(live, {change.at: change.set}):
        return
    run = annotated(live).get(RUN, "")
    moved = [key for key in change.set if dig(live, *change.at, key) != dig(seen, *change.at, key)]
    if run != annotated(seen).get(RUN, "") or moved:
        raise overtaken(change.on, run or "somebody else") from late


def overtaken(on: Ref, by: str) -> Refused:
    """Make the error of a workload that another run, or another owner's rollback, moved first."""
    return Refused(
        f"{by} moved {on} first",
        code="MU2206",
        why="it was written after this command had looked at it; the later of two writers loses",
        at=Where(object=str(on)),
        fix="meshup pins shows who holds it; then the command again",
        cluster="it was left as the other one wrote it",
    )


def _label_once(cluster: Writer, change: Label, stamp: Stamp, live: Object | None, *, back: bool) -> Sent:
    if live is None and back:
        # A run that was cut off may not have made it yet, or have removed it already: nothing is to be taken back.
        return Sent(wrote=False)
    if live is None or (change.uid and dig(live, "metadata", "uid") != change.uid):
        raise foreign(change.on, "it was deleted, or deleted and made again, since the plan")
    wanted = change.wanted()
    if not back and is_ours(live, stamp) and _holds(live, wanted):
        return _sent(live, wrote=False)
    wanted.setdefault(MARKS, {}).update(dict.fromkeys(stamp.marks(), None) if back else stamp.marks())
    body = _label_body(change.on, live, wanted)
    force = change.force or tuple(pointer((*MARKS, key)) for key in wanted[MARKS])
    uid = str(dig(live, "metadata", "uid") or "")
    if change.restarts:
        body["metadata"]["resourceVersion"] = str(dig(live, "metadata", "resourceVersion"))
    after = _apply_with_care(cluster, body, force, uid=uid)
    return _sent(_without_leftovers(cluster, change.on, after, wanted))


def label_body(change: Label | Restart, live: Object) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Give what an apply of a label change sends, without a run's marks, and the fields it may take."""
    if isinstance(change, Restart):
        change = _as_label(change)
    return _label_body(change.on, live, change.wanted()), change.force


def _as_label(change: Restart) -> Label:
    path = (*TEMPLATE_PATH[change.on.kind], "metadata", "annotations")
    return Label(
        on=change.on,
        at=path,
        set={RESTART: change.value},
        before={RESTART: change.before},
        uid=change.uid,
        marks=change.marks,
    )


def _label_body(on: Ref, live: Object, wanted: Mapping[tuple[str, ...], Mapping[str, Any]]) -> dict[str, Any]:
    """Give the wanted keys together with those meshup owns there already, as an apply drops what it no longer says."""
    body: dict[str, Any] = {
        "apiVersion": on.api_version,
        "kind": on.kind,
        "metadata": {"name": on.name, **({"namespace": on.namespace} if on.namespace else {})},
    }
    inside = TEMPLATE_PATH.get(on.kind)
    template = ((*inside, "metadata", "labels"), (*inside, "metadata", "annotations")) if inside else ()
    for path in dict.fromkeys((*wanted, MARKS, ("metadata", "labels"), *template)):
        kept = {key: dig(live, *path, key) for key in owned_keys(live, MANAGER, path)}
        merged = {key: value for key, value in {**kept, **wanted.get(path, {})}.items() if value is not None}
        if merged:
            _put(body, path, merged)
    return body


def _holds(live: Object, wanted: Mapping[tuple[str, ...], Mapping[str, Any]]) -> bool:
    return all(dig(live, *path, key) == value for path, values in wanted.items() for key, value in values.items())


def _without_leftovers(
    cluster: Writer, on: Ref, after: Object, wanted: Mapping[tuple[str, ...], Mapping[str, Any]]
) -> Object:
    """Remove keys that should be absent but another manager still holds; the plan lists them.

    A write in between, such as a controller's of its status, is no reason to stop while what was applied still stands.
    """
    applied = {path: {key: value for key, value in keys.items() if value is not None} for path, keys in wanted.items()}
    for _ in range(TRIES):
        patch: dict[str, Any] = {}
        for path, values in wanted.items():
            still = {key: None for key, value in values.items() if value is None and dig(after, *path, key) is not None}
            if still:
                _put(patch, path, still)
        if not patch:
            return after
        _put(patch, ("metadata", "resourceVersion"), dig(after, "metadata", "resourceVersion"))
        try:
            return cluster.merge_patch(on, patch)
        except (Conflict, MaybeDone) as late:
            now = cluster.get(on)
            if dig(now, "metadata", "uid") != dig(after, "metadata", "uid") or not _holds(now, applied):
                raise overtaken(on, annotated(now).get(RUN, "") or "somebody else") from late
            after = now
    raise foreign(on, f"it was changed {TRIES} times while it was being written")


def _put(body: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    node = body
    for step in path[:-1]:
        node = node.setdefault(step, {})
    if isinstance(value, dict) and isinstance(node.get(path[-1]), dict):
        node[path[-1]].update(value)
    else:
        node[path[-1]] = value


def _delete(cluster: Writer, change: Delete, uid: str) -> Sent:
    live = cluster.find(change.on)
    if live is None or (uid and dig(live, "metadata", "uid") != uid):
        return Sent(uid=uid, wrote=False)
    if not uid or not is_managed(live):
        raise foreign(change.on, "it is not in the inventory of what meshup made, so it is not deleted")
    if dig(live, "metadata", "deletionTimestamp"):
        return Sent(uid=uid, wrote=False)
    for attempt in range(3):
        try:
            version = str(dig(live, "metadata", "resourceVersion") or "")
            whole: Propagation = "Foreground" if change.on.kind in WITH_PODS else "Background"
            cluster.delete(change.on, uid=uid, resource_version=version, propagation=whole)
            break
        except Conflict:
            live = cluster.find(change.on)
            if live is None or dig(live, "metadata", "uid") != uid:
                return Sent(uid=uid, wrote=False)
            if attempt == 2:
                raise
    return Sent(uid=uid)
