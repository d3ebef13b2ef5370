"""What a release no longer has and no schema says: flags of the control plane, and filters for proxies of other releases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from meshup.meshes.istio.unused import installed
from meshup.meshes.istio.words import minor
from meshup.model.jump import Gone
from meshup.model.objects import Object, dig, is_map, ref_of
from meshup.model.runbook import Mesh
from meshup.model.snapshot import Snapshot

FLAGS: Mapping[str, frozenset[str]] = {
    "1.31": frozenset(
        {
            "AUTO_RELOAD_PLUGIN_CERTS",
            "CNI_NET_DIR",
            "ENABLE_AUTO_MTLS_CHECK_POLICIES",
            "ENABLE_AUTO_SNI",
            "ENABLE_EXTERNAL_NAME_ALIAS",
            "ENABLE_LEGACY_FSGROUP_INJECTION",
            "ENABLE_LEGACY_LB_ALGORITHM_DEFAULT",
            "ENABLE_OPTIMIZED_CONFIG_REBUILD",
            "ENABLE_OTEL_BUILTIN_RESOURCE_LABELS",
            "ISTIO_ENABLE_OPTIMIZED_SERVICE_PUSH",
            "PERSIST_OLDEST_FIRST_HEURISTIC_FOR_VIRTUAL_SERVICE_HOST_MATCHING",
            "PILOT_ENABLE_CONFIG_DISTRIBUTION_TRACKING",
            "PILOT_ENABLE_DESTINATION_RULE_INHERITANCE",
            "PILOT_ENABLE_INBOUND_PASSTHROUGH",
            "PILOT_ENABLE_ISTIO_TAGS",
            "PILOT_ENABLE_LEGACY_AUTO_PASSTHROUGH",
            "PILOT_ENABLE_LEGACY_ISTIO_MUTUAL_CREDENTIAL_NAME",
            "PILOT_ENABLE_PROTOCOL_SNIFFING_FOR_INBOUND",
            "PILOT_ENABLE_PROTOCOL_SNIFFING_FOR_OUTBOUND",
            "PILOT_INBOUND_PROTOCOL_DETECTION_TIMEOUT",
            "PILOT_LEGACY_INGRESS_BEHAVIOR",
            "PILOT_PARTIAL_FULL_PUSHES",
            "PILOT_USE_ENDPOINT_SLICE",
            "PRIORITIZED_LEADER_ELECTION",
            "REWRITE_TCP_PROBES",
            "SIDECAR_IGNORE_PORT_IN_HOST_MATCH",
            "SPIFFE_BUNDLE_ENDPOINTS",
            "VERIFY_CERTIFICATE_AT_CLIENT",
        }
    ),
}
"""Flags that a release's notes call removed and that its source has nowhere (releasenotes/notes of 1.31-dev of 2026-08-27).

Of releases that are not here nothing is known: their flags are not looked at.
"""


def find(snapshot: Snapshot, mesh: Mesh) -> tuple[Gone, ...]:
    """Name what is in use and gone in the release of a mesh. Raises ValueError for an expression that is none."""
    return (*_flags(mesh), *_filters(snapshot, mesh.release))


def _flags(mesh: Mesh) -> Iterator[Gone]:
    gone = FLAGS.get(minor(mesh.release), frozenset())
    for path, name in _environment(mesh.values, "mesh.values"):
        if name in gone:
            yield Gone(object=path, because=f"{minor(mesh.release)} has no flag {name} any more: it would do nothing")


def _environment(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield (path, name) of every key, and of every name in a list of variables, below the chart's values."""
    if is_map(value):
        for key, inner in value.items():
            yield f"{path}.{key}", str(key)
            yield from _environment(inner, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            if is_map(inner) and isinstance(inner.get("name"), str):
                yield f"{path}[{number}]", inner["name"]
            yield from _environment(inner, f"{path}[{number}]")


def _filters(snapshot: Snapshot, release: str) -> Iterator[Gone]:
    """Yield filters with a patch for proxies of an installed release and none in its place for those of the target.

    A proxy's version is compared as istiod does: anywhere in it (pilot/pkg/model/envoyfilter.go).
    """
    there = sorted(each for each in set(installed(snapshot).values()) if each and each != release)
    for each in snapshot.of("EnvoyFilter"):
        patches = [one for one in dig(each, "spec", "configPatches") or () if is_map(one)]
        heirs = {one.get("applyTo") for one in patches if _is_for(one, release)}
        for number, one in enumerate(patches):
            old = next((name for name in there if _is_for(one, name)), "")
            if old and one.get("applyTo") not in heirs:
                path = f"spec.configPatches[{number}].match.proxy.proxyVersion"
                because = f"{path} is for proxies of {old} and not of {release}: its patch would end"
                yield Gone(object=str(ref_of(each)), because=because)


def _is_for(patch: Object, release: str) -> bool:
    wanted = dig(patch, "match", "proxy", "proxyVersion")
    try:
        return not wanted or re.search(str(wanted), release) is not None
    except re.error as odd:
        raise ValueError(f"proxyVersion {wanted!r} can't be read: {odd}") from odd
