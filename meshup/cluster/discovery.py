"""What a server serves, from its aggregated discovery document, or group by group where it is too old for one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from meshup.cluster.paths import KNOWN
from meshup.model.objects import Object
from meshup.model.snapshot import ApiKind

ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"

CRD = "apiextensions.k8s.io/v1"


def kinds(fetch: Callable[[str], bytes]) -> Mapping[tuple[str, str], ApiKind]:
    """Read all kinds, by (api_version, kind). fetch: GET a path with the header ACCEPT, give the body."""
    found: dict[tuple[str, str], ApiKind] = {}
    document = json.loads(fetch("/apis"))
    aggregated = document.get("kind") == "APIGroupDiscoveryList"
    for each in _aggregated(document) if aggregated else _plain(document, fetch):
        found.setdefault((each.api_version, each.kind), each)
    # The core group has been the same on every server since its first version: it is not asked for.
    return {**{key: each for key, each in KNOWN.items() if key[0] == "v1"}, **found}


def of_definition(definition: Object, group: str, version: str) -> ApiKind | None:
    """Read the kind that a CustomResourceDefinition defines, None when it is of another group or version."""
    spec = definition.get("spec") or {}
    served = [each.get("name") for each in spec.get("versions") or () if each.get("served")]
    if spec.get("group") != group or version not in served:
        return None
    names = spec.get("names") or {}
    return ApiKind(
        api_version=f"{group}/{version}",
        kind=str(names.get("kind") or ""),
        plural=str(names.get("plural") or ""),
        namespaced=spec.get("scope") == "Namespaced",
    )


def _aggregated(document: Mapping[str, Any]) -> Iterator[ApiKind]:
    for group in document.get("items") or ():
        name = (group.get("metadata") or {}).get("name") or ""
        for version in group.get("versions") or ():
            if version.get("freshness") == "Stale":
                continue
            api_version = f"{name}/{version['version']}" if name else version["version"]
            for each in version.get("resources") or ():
                kind = each.get("responseKind") or {}
                if kind.get("kind") and each.get("verbs"):
                    yield ApiKind(
                        api_version=api_version,
                        kind=kind["kind"],
                        plural=each["resource"],
                        namespaced=each.get("scope") == "Namespaced",
                        verbs=frozenset(each["verbs"]),
                    )


def _plain(document: Mapping[str, Any], fetch: Callable[[str], bytes]) -> Iterator[ApiKind]:
    versions = [each["groupVersion"] for group in document.get("groups") or () for each in group.get("versions") or ()]
    for version in versions:
        for each in json.loads(fetch(f"/apis/{version}")).get("resources") or ():
            if "/" not in each["name"]:
                yield ApiKind(
                    api_version=version,
                    kind=each["kind"],
                    plural=each["name"],
                    namespaced=bool(each.get("namespaced")),
                    verbs=frozenset(each.get("verbs") or ()),
                )
