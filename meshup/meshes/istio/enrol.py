"""What puts a workload on a revision, decided by the cluster's own webhook selectors and never by assumption.

Seen on a real 1.31 by dry-run pods: a namespace's label beats the pod's; a label for a revision that is not there
gives a bare pod and no error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

from meshup.meshes.driver import Enrolment
from meshup.meshes.istio import tags
from meshup.meshes.istio.words import INJECT, INJECTION, REV, STATS, STATS_WANTED, TAG
from meshup.meshes.leading import Tag
from meshup.model.objects import TEMPLATE_PATH, Object, Ref, annotated, dig, labels, matches, template
from meshup.model.snapshot import Snapshot

RESTART = "meshup.dev/restart"
"""Annotation of a template by which its pods are made anew (also engine/send.py)."""
SYSTEM = frozenset({"kube-system", "kube-public", "kube-node-lease", "istio-system"})


def injectors(snapshot: Snapshot) -> Iterator[tuple[str, Object]]:
    """Yield (revision, webhook) of every injector webhook, tags resolved to their revision."""
    for configuration in snapshot.of("MutatingWebhookConfiguration"):
        found = labels(configuration)
        if REV not in found or (found.get("app") != "sidecar-injector" and TAG not in found):
            continue
        for hook in configuration.get("webhooks") or ():
            yield found[REV], hook


def chosen_by(pod_labels: Mapping[str, str], namespace_labels: Mapping[str, str], snapshot: Snapshot) -> str:
    """Give the revision that would inject such a pod, "" when none would."""
    for revision, hook in injectors(snapshot):
        if matches(hook.get("namespaceSelector") or {}, namespace_labels) and matches(
            hook.get("objectSelector") or {}, pod_labels
        ):
            return revision
    return ""


def enrolment(workload: Object, snapshot: Snapshot, revision: str | None) -> Enrolment:
    """Say what puts a workload on a revision (None = out of the mesh), or why that can't be done."""
    kind = str(workload.get("kind"))
    path = TEMPLATE_PATH.get(kind)
    if path is None or kind not in ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job"):
        return Enrolment(blocked=f"a {kind} can't be enrolled")
    at = (*path, "metadata", "labels")
    now = dig(workload, *at) or {}
    notes = dig(workload, *path, "metadata", "annotations") or {}
    namespace = _namespace_labels(workload, snapshot)
    blocked = _blocked(workload) or (_beaten(workload, namespace) if revision is not None else "")
    led = tags.of(now, namespace, snapshot, revision) if revision is not None else None
    if led is not None and not _blocked(workload):
        return _led(
            led, at, notes=notes, revision=revision or "", blocked=blocked, way_out=_dropping(workload, namespace)
        )
    if blocked:
        way_out = "" if _blocked(workload) else _dropping(workload, namespace)
        return Enrolment(at=at, blocked=blocked, way_out=way_out, revision_before=now.get(REV, ""))
    if revision is None:
        wanted: dict[str, str | None] = {REV: None, INJECT: None}
        if chosen_by(_with(now, wanted), namespace, snapshot):
            # An injector takes every pod of the namespace: only the pod's own opt-out keeps it out.
            wanted[INJECT] = "false"
        right = all(now.get(key) == value for key, value in wanted.items())
        made = _made(at, wanted, right=right, now=now, notes=notes, stats=None)
        return replace(made, revision_before=chosen_by(now, namespace, snapshot)) if tags.decides(namespace) else made
    wanted = {REV: revision}
    if now.get(INJECT) == "false":
        wanted[INJECT] = None
    wrong = _not_chosen(_with(now, wanted), namespace, snapshot, revision)
    if wrong:
        return Enrolment(at=at, blocked=wrong, revision_before=now.get(REV, ""))
    counted = annotated_by_us(notes)
    right = now.get(REV) == revision and now.get(INJECT) != "false" and counted
    return _made(at, wanted, right=right, now=now, notes=notes, stats=None if counted else ",".join(STATS_WANTED))


def _led(
    tag: Tag, at: tuple[str, ...], *, notes: Mapping[str, str], revision: str, blocked: str, way_out: str
) -> Enrolment:
    """Give what a workload needs whose namespace leads it by a tag: nothing but new pods once that leads elsewhere."""
    wanted = {RESTART: revision}
    if not annotated_by_us(notes):
        wanted[STATS] = _joined(notes.get(STATS, ""), ",".join(STATS_WANTED))
    return Enrolment(
        at=at,
        annotations=dict(wanted),
        annotations_before={key: notes.get(key) for key in wanted},
        blocked=blocked,
        way_out=way_out,
        right=tag.revision == revision and all(notes.get(key) == value for key, value in wanted.items()),
        revision_before=tag.revision,
        tag=tag,
    )


def _with(now: Mapping[str, str], wanted: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in {**now, **wanted}.items() if value is not None}


def _not_chosen(pod: Mapping[str, str], namespace: Mapping[str, str], snapshot: Snapshot, revision: str) -> str:
    """Say which webhook would decide otherwise; "" when it is right, or when the revision is not installed yet."""
    chosen = chosen_by(pod, namespace, snapshot)
    if chosen and chosen != revision:
        return f"the injector of revision {chosen} selects its pods before that of {revision}"
    if not chosen and any(each == revision for each, _ in injectors(snapshot)):
        return f"the injector of revision {revision} is there and its selectors leave such pods out"
    return ""


def annotated_by_us(notes: Mapping[str, str]) -> bool:
    """Tell whether the statistics annotation already asks for what the evidence needs."""
    return all(each in notes.get(STATS, "") for each in STATS_WANTED)


def _made(
    at: tuple[str, ...],
    wanted: Mapping[str, str | None],
    *,
    right: bool,
    now: Mapping[str, str],
    notes: Mapping[str, str],
    stats: str | None,
) -> Enrolment:
    leaving = wanted.get(REV) is None
    extra: dict[str, str | None] = {}
    if stats is not None:
        extra = {STATS: _joined(notes.get(STATS, ""), stats)}
    elif leaving and STATS in notes and annotated_by_us(notes):
        extra = {STATS: None}
    return Enrolment(
        at=at,
        set=dict(wanted),
        before={key: now.get(key) for key in wanted},
        annotations=extra,
        annotations_before={key: notes.get(key) for key in extra},
        right=right,
        revision_before=now.get(REV, ""),
    )


def _joined(old: str, wanted: str) -> str:
    return ",".join(dict.fromkeys([*(each for each in old.split(",") if each), *wanted.split(",")]))


def _blocked(workload: Object) -> str:
    """Say what about the workload itself keeps its pods from changing, or from ever having a sidecar."""
    kind, spec = workload.get("kind"), workload.get("spec") or {}
    for owner in dig(workload, "metadata", "ownerReferences") or ():
        if owner.get("controller"):
            return f"owned by {owner.get('kind')} {owner.get('name')}: change it there, never underneath"
    if kind == "Job":
        return "a Job's template can't change: it is enrolled when its owner makes it anew"
    if dig(template(workload), "spec", "hostNetwork"):
        return "its pods use the host's network, which no sidecar can redirect"
    if kind == "Deployment" and spec.get("paused"):
        return "it is paused: its owner holds a rollout half-way"
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return "its updateStrategy is OnDelete: no pod changes before somebody deletes it"
    if dig(strategy, "rollingUpdate", "partition"):
        return f"its partition {dig(strategy, 'rollingUpdate', 'partition')} holds pods back"
    return ""


def _beaten(workload: Object, namespace: Mapping[str, str]) -> str:
    """Say what about the namespace decides whatever the pod's own label says."""
    name = str(dig(workload, "metadata", "namespace") or "")
    if name in SYSTEM:
        return f"namespace {name} is a system namespace, which the injector leaves out"
    for key in (INJECTION, REV):
        if key in namespace:
            return f"namespace {name} carries {key}={namespace[key]}, which beats the pod's label; drop it first"
    return ""


def _dropping(workload: Object, namespace: Mapping[str, str]) -> str:
    """Say how a namespace that decides for its pods is made to leave it to them; "" where no label of it decides."""
    key = next((each for each in (INJECTION, REV) if each in namespace), "")
    name = str(dig(workload, "metadata", "namespace") or "")
    return (
        f"label the pod templates of {name} first, so that none leaves the mesh by it; then whoever may change Namespaces "
        f"runs: kubectl label namespace {name} {key}-"
        if key
        else ""
    )


def _namespace_labels(workload: Object, snapshot: Snapshot) -> Mapping[str, str]:
    name = str(dig(workload, "metadata", "namespace") or "")
    found = snapshot.get(Ref(api_version="v1", kind="Namespace", name=name))
    return labels(found) if found is not None else {}


def wanted_of(workload: Object) -> str:
    """Give the revision a workload's template asks for, "" = none."""
    return str(dig(template(workload), "metadata", "labels", REV) or "")


def injected_by(pod: Object) -> str:
    """Give the revision that injected a pod, as its own annotations say; "" when it is bare."""
    notes = annotated(pod)
    if REV in notes:
        return notes[REV]
    try:
        return str(json.loads(notes.get("sidecar.istio.io/status", "{}")).get("revision") or "")
    except ValueError:
        return ""
