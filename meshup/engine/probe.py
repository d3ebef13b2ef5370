"""Ask the server what it would do: dry-run writes of what is new or changed, and of the pods that would result."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from meshup.cluster.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Denied,
    Forbidden,
    Invalid,
    NotFound,
    ServerTimeout,
    Unsupported,
)
from meshup.cluster.ports import Writer
from meshup.engine.draft import Drafting, Numbered
from meshup.engine.known import Makers, known_after, makers, same
from meshup.engine.marks import in_place_of
from meshup.engine.send import foreign_fields, label_body
from meshup.engine.undo import STAYS
from meshup.journal.lease import LEASE
from meshup.meshes.driver import Driver
from meshup.model.change import Apply, Change, Create, Delete, Evict, Handoff, Label, Restart
from meshup.model.objects import TEMPLATE_PATH, Object, dig, template
from meshup.model.snapshot import DryRun, PodProbe, Snapshot

NOT_CHECKED = "not checked"


def probe(cluster: Writer, snapshot: Snapshot, drafting: Drafting, *, driver: Driver, full: bool = False) -> Snapshot:
    """Give the snapshot with the server's answers: dry runs by change id, pods by service id, rights by name.

    Only changed and new objects are asked about; full: all. Nothing is written. At most 16 requests at a time.
    """
    dry_runs: dict[str, DryRun] = {}
    calls: list[Callable[[], tuple[str, DryRun]]] = []
    made = makers(drafting)
    for number, (_, each) in enumerate(drafting.drafts()):
        known = _known_without(number, each, made, snapshot, full=full)
        if known is not None:
            dry_runs[each.id] = known
        else:
            calls.append(_asking(cluster, each, snapshot))
    dry_runs.update(cluster.gather(calls))
    pods = dict(cluster.gather(_pod_calls(cluster, snapshot, drafting, driver, full=full)))
    wanted = permissions(drafting, snapshot)
    unproven = wanted - _proven(drafting, dry_runs, snapshot) - set(snapshot.allowed) - set(JOURNAL)
    return replace(
        snapshot, dry_runs=dry_runs, pod_probes=pods, allowed={**snapshot.allowed, **_rights(cluster, unproven)}
    )


def _known_without(number: int, each: Numbered, made: Makers, snapshot: Snapshot, *, full: bool) -> DryRun | None:
    """Give the answer where the server need not, or can't, be asked; None when it must be."""
    change = each.draft.change
    if isinstance(change, Evict | Handoff | Delete):
        return DryRun(after=snapshot.get(change.on), known="server" if isinstance(change, Delete) else NOT_CHECKED)
    later = each.draft.after or known_after(change.on, snapshot, made, number=number)
    if later:
        return DryRun(known=f"after:{later}")
    there = snapshot.get(change.on)
    if not full and there is not None and same(change, there):
        return DryRun(after=there)
    return None


def _asking(cluster: Writer, each: Numbered, snapshot: Snapshot) -> Callable[[], tuple[str, DryRun]]:
    def call() -> tuple[str, DryRun]:
        return each.id, ask(cluster, each.draft.change, snapshot)

    return call


def ask(cluster: Writer, change: Change, snapshot: Snapshot) -> DryRun:
    """Ask about one write. Refusals are values; what can't be asked is said, never taken for "no change".

    A conflict on fields that the change takes, or that are ours already, is asked again by force and kept beside the
    answer, so that the plan can say from whom it takes them.
    """
    try:
        return _dry(cluster, change, snapshot, force=False)
    except Conflict as conflict:
        managers = tuple(sorted(conflict.managers))
        if not managers:
            return DryRun(refused=conflict.message)
        if not isinstance(change, Apply | Label | Restart) or foreign_fields(managers, _takes(change)):
            return DryRun(conflicts=managers)
        return replace(_asked(cluster, change, snapshot, force=True), conflicts=managers)
    except _ANSWERS as answer:
        return _answered(answer)


def _asked(cluster: Writer, change: Change, snapshot: Snapshot, *, force: bool) -> DryRun:
    try:
        return _dry(cluster, change, snapshot, force=force)
    except _ANSWERS as answer:
        return _answered(answer)


_ANSWERS = (AlreadyExists, Conflict, Denied, Forbidden, Invalid, NotFound, ServerTimeout, Unsupported)


def _answered(answer: ApiError) -> DryRun:
    match answer:
        case Forbidden() | NotFound():
            return DryRun(known=NOT_CHECKED)
        case Unsupported() | ServerTimeout():
            return DryRun(known=NOT_CHECKED, refused=answer.message)
        case _ if "dry run" in answer.message.lower() or "dryrun" in answer.message.lower():
            return DryRun(known=NOT_CHECKED)
        case _:
            return DryRun(refused=answer.message)


def _takes(change: Apply | Label | Restart) -> tuple[str, ...]:
    return () if isinstance(change, Restart) else change.force


def _dry(cluster: Writer, change: Change, snapshot: Snapshot, *, force: bool) -> DryRun:
    match change:
        case Create():
            return DryRun(after=cluster.create(change.body, dry_run=True))
        case Apply(whole=True):
            return DryRun(after=cluster.replace(in_place_of(snapshot.get(change.on) or {}, change.body), dry_run=True))
        case Apply():
            return DryRun(after=cluster.apply(change.body, dry_run=True, uid=change.uid, force=force))
        case Label() | Restart():
            there = snapshot.get(change.on) or {}
            body, _ = label_body(change, there)
            uid = change.uid or str(dig(there, "metadata", "uid") or "")
            return DryRun(after=cluster.apply(body, dry_run=True, uid=uid, force=force))
        case _:
            raise ValueError(type(change).__name__)


def _pod_calls(
    cluster: Writer, snapshot: Snapshot, drafting: Drafting, driver: Driver, *, full: bool
) -> list[Callable[[], tuple[str, PodProbe]]]:
    """One dry-run Pod per namespace and shape of template; full: one per service. None before the injector is there."""
    revision = drafting.book.mesh.revision
    if revision not in driver.installed(snapshot):
        return []
    shapes: dict[str, str] = {}
    calls: list[Callable[[], tuple[str, PodProbe]]] = []
    for _, each in drafting.drafts():
        change, service = each.draft.change, each.draft.service
        if not isinstance(change, Label) or not change.restarts or not service or service in shapes.values():
            continue
        if not change.set:
            # Its namespace leads it, and does so elsewhere only once the wave has begun.
            continue
        pod = probe_pod(change, snapshot.get(change.on))
        if pod is None:
            continue
        shape = service if full else f"{change.on.namespace} {_shape(pod)}"
        if shape in shapes:
            continue
        shapes[shape] = service
        calls.append(_probing(cluster, service, pod, driver))
    return calls


def _shape(pod: Object) -> str:
    """Name what admission of a mesh looks at: mesh-like labels and annotations, and the host's network."""
    meta = pod.get("metadata") or {}
    keys = [
        f"{key}={value}"
        for several in ("labels", "annotations")
        for key, value in sorted((meta.get(several) or {}).items())
        if "/" in key and not key.startswith(("app.kubernetes.io/", "prometheus.io/", "meshup.dev/"))
    ]
    return f"{bool(dig(pod, 'spec', 'hostNetwork'))} {' '.join(keys)}"


def probe_pod(change: Label, there: Object | None) -> Object | None:
    """Give the pod that a workload's template would make after the change; None when it has no template."""
    if there is None or there.get("kind") not in TEMPLATE_PATH:
        return None
    made: dict[str, Any] = copy.deepcopy(dict(template(there)))
    if not made.get("spec"):
        return None
    meta = {key: dict((made.get("metadata") or {}).get(key) or {}) for key in ("labels", "annotations")}
    for several, wanted in (("labels", change.set), ("annotations", change.annotations)):
        for key, value in wanted.items():
            if value is None:
                meta[several].pop(key, None)
            else:
                meta[several][key] = value
    if made["spec"].get("restartPolicy") not in (None, "Always") and there.get("kind") not in ("Job", "CronJob"):
        made["spec"]["restartPolicy"] = "Always"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": f"{change.on.name}-", "namespace": change.on.namespace, **meta},
        "spec": made["spec"],
    }


def _probing(cluster: Writer, service: str, pod: Object, driver: Driver) -> Callable[[], tuple[str, PodProbe]]:
    def call() -> tuple[str, PodProbe]:
        try:
            admitted = cluster.create(pod, dry_run=True)
        except (Invalid, Denied, Conflict) as refused:
            return service, PodProbe(injected=False, refused=refused.message)
        except (Forbidden, NotFound, Unsupported, ServerTimeout):
            return service, PodProbe(injected=False, revision=NOT_CHECKED)
        found = driver.proxy(admitted)
        if found is None:
            return service, PodProbe(injected=False)
        return service, PodProbe(injected=True, revision=found.revision, version=found.release)

    return call


# Rights: one review per distinct verb and kind that no dry run has exercised; per namespace only where not all are open.

LOCK_RIGHT = "update coordination.k8s.io/leases meshup-system"
JOURNAL = ("create configmaps meshup-system", "update configmaps meshup-system", LOCK_RIGHT)


def permissions(drafting: Drafting, snapshot: Snapshot) -> frozenset[str]:
    """Name every right the plan needs, as "verb group/resource namespace" ("" cluster-wide leaves the last part out)."""
    found = set(JOURNAL)
    for _, each in drafting.drafts():
        change = each.draft.change
        found.update(_name(verb, change, snapshot) for verb in _verbs(change, stays=each.draft.stays))
    return frozenset(each for each in found if each)


def _verbs(change: Change, *, stays: bool) -> tuple[str, ...]:
    # What no way back deletes needs no right to.
    back = () if stays or change.on.kind in STAYS else ("delete",)
    match change:
        case Create():
            return ("create", *back)
        case Apply(whole=True):
            return ("update",)
        case Apply():
            return ("patch",) if change.uid else ("create", "patch", *back)
        case Label() | Restart():
            return ("patch",)
        case Delete():
            return ("delete",)
        case Evict():
            return ("create",)
        case Handoff():
            return ()


def _name(verb: str, change: Change, snapshot: Snapshot) -> str:
    on = change.on
    served = snapshot.kinds.get((on.api_version, on.kind))
    if served is None:
        return ""
    resource = f"{on.group}/{served.plural}" if on.group else served.plural
    if isinstance(change, Evict):
        resource += "/eviction"
    return _right_name(verb, resource, on.namespace)


def _proven(drafting: Drafting, dry_runs: Mapping[str, DryRun], snapshot: Snapshot) -> set[str]:
    """Name the rights that accepted dry runs have exercised."""
    found: set[str] = set()
    for _, each in drafting.drafts():
        answer = dry_runs.get(each.id)
        if answer is None or answer.known != "server" or (answer.after is None and not answer.conflicts):
            continue
        match each.draft.change:
            case Create():
                found.add(_name("create", each.draft.change, snapshot))
            case Apply(uid=""):
                found |= {_name(verb, each.draft.change, snapshot) for verb in ("create", "patch")}
            case Apply(whole=True):
                found.add(_name("update", each.draft.change, snapshot))
            case Apply() | Label() | Restart():
                found.add(_name("patch", each.draft.change, snapshot))
            case _:
                continue
    return found


def _rights(cluster: Writer, wanted: Iterable[str]) -> dict[str, bool]:
    """Ask for rights. One that is wanted in several namespaces is asked for in all of them first, once."""
    spaces: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in sorted(wanted):
        verb, resource, *namespace = each.split(" ")
        spaces[verb, resource].append(namespace[0] if namespace else "")
    several = [key for key, found in spaces.items() if len(found) > 1]
    everywhere = dict(zip(several, cluster.gather([_right(cluster, *key, "") for key in several]), strict=True))
    allowed = {
        _right_name(*key, space): True for key, is_open in everywhere.items() if is_open for space in spaces[key]
    }
    left = [(*key, space) for key, found in spaces.items() if not everywhere.get(key) for space in found]
    answers = cluster.gather([_right(cluster, *each) for each in left])
    return {**allowed, **{_right_name(*each): held for each, held in zip(left, answers, strict=True)}}


def missing_rights(cluster: Writer, wanted: Sequence[str]) -> tuple[str, ...]:
    """Ask the server for each right, as permissions() names them, and give those that are not held, in order."""
    held = _rights(cluster, wanted)
    return tuple(each for each in wanted if not held[each])


def _right(cluster: Writer, verb: str, resource: str, namespace: str) -> Callable[[], bool]:
    # A role may give it for the one lock alone.
    name = LEASE.name if _right_name(verb, resource, namespace) == LOCK_RIGHT else ""
    return lambda: cluster.can_i(verb, resource, namespace=namespace, name=name)


def _right_name(verb: str, resource: str, namespace: str) -> str:
    return f"{verb} {resource} {namespace}".rstrip()
