"""Revision tags: webhooks by which a namespace leads its pods to a revision that can be changed under its label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshup.meshes.istio.words import INJECTION, REV, TAG, revision_suffix
from meshup.meshes.leading import Tag
from meshup.model.fields import pointer
from meshup.model.objects import Object, dig, is_managed, labels, matches, ref_of
from meshup.model.snapshot import Snapshot


def of(pod: Mapping[str, str], namespace: Mapping[str, str], snapshot: Snapshot, revision: str) -> Tag | None:
    """Give the tag by which a namespace leads such a pod; None when it is none, or leads by a revision's own name.

    pod, namespace: their labels. revision: where the tag is to lead.
    """
    if not decides(namespace):
        return None
    for each in snapshot.of("MutatingWebhookConfiguration"):
        if TAG in labels(each) and REV in labels(each) and _chooses(each, pod, namespace):
            return _tag(each, pod, snapshot, revision)
    return None


def decides(namespace: Mapping[str, str]) -> bool:
    """Tell whether a namespace's labels decide for its pods, whatever these ask for."""
    return REV in namespace or INJECTION in namespace


def _chooses(configuration: Object, pod: Mapping[str, str], namespace: Mapping[str, str]) -> bool:
    return any(
        matches(hook.get("namespaceSelector") or {}, namespace) and matches(hook.get("objectSelector") or {}, pod)
        for hook in configuration.get("webhooks") or ()
    )


def _tag(configuration: Object, pod: Mapping[str, str], snapshot: Snapshot, revision: str) -> Tag:
    own = labels(configuration)
    now, name = own[REV], own[TAG]
    spaces = [
        str(dig(each, "metadata", "name"))
        for each in snapshot.of("Namespace")
        if decides(labels(each)) and _chooses(configuration, pod, labels(each))
    ]
    ours = is_managed(configuration)
    at = pointer(("metadata", "labels", REV))
    return Tag(
        name=name,
        on=ref_of(configuration),
        revision=now,
        namespaces=tuple(spaces),
        body=_leading(configuration, revision) if ours else {},
        before=_leading(configuration, now) if ours else {},
        shown={at: revision},
        shown_before={at: now},
        command=f"istioctl tag set {name} --revision {revision} --overwrite",
        back=f"istioctl tag set {name} --revision {now} --overwrite",
    )


def _leading(configuration: Object, revision: str) -> Object:
    """Give the webhooks as they are, asking a revision's control plane; their CA bundle is that control plane's to write."""
    hooks: list[dict[str, Any]] = []
    for each in configuration.get("webhooks") or ():
        client = {key: value for key, value in (each.get("clientConfig") or {}).items() if key != "caBundle"}
        if client.get("service"):
            client["service"] = {**client["service"], "name": f"istiod{revision_suffix(revision)}"}
        hooks.append({**each, "clientConfig": client})
    meta = configuration["metadata"]
    return {
        "apiVersion": configuration["apiVersion"],
        "kind": configuration["kind"],
        "metadata": {"name": meta["name"], "labels": {**labels(configuration), REV: revision}},
        "webhooks": hooks,
    }
