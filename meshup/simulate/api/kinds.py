"""Which kinds the server has: the built-in ones as a real server lists them, and those of custom definitions."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

SHAPES = "v1.34.4"
"""Release of the API server whose discovery, columns and OpenAPI documents are kept in shapes/."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One resource of one version. version_path: "/api/v1" or "/apis/group/version". subresources: names served."""

    group: str
    version: str
    plural: str
    kind: str
    singular: str
    namespaced: bool
    verbs: frozenset[str]
    subresources: frozenset[str] = frozenset()
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    custom: bool = False

    @property
    def api_version(self) -> str:
        """group/version, or the version alone for core."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def key(self) -> tuple[str, str]:
        """Where its objects are kept: the same for all versions."""
        return self.group, self.plural

    @property
    def version_path(self) -> str:
        """Path of its group version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def named(self) -> str:
        """plural.group, as messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


@cache
def shape(name: str) -> Any:
    """Read one of the recorded documents."""
    data = files("meshup.simulate.api").joinpath("shapes", name).read_bytes()
    return json.loads(gzip.decompress(data) if name.endswith(".gz") else data)


@cache
def built_in() -> tuple[Kind, ...]:
    """Give the built-in kinds in the order of discovery."""
    found: list[Kind] = []
    for path, document in shape("discovery.json").items():
        resources = document.get("resources")
        if resources is None:
            continue
        group_version = document["groupVersion"]
        group, _, version = group_version.rpartition("/")
        subs: dict[str, set[str]] = {}
        for each in resources:
            name, _, sub = each["name"].partition("/")
            if sub:
                subs.setdefault(name, set()).add(sub)
        for each in resources:
            if "/" in each["name"]:
                continue
            found.append(
                Kind(
                    group=group,
                    version=version,
                    plural=each["name"],
                    kind=each["kind"],
                    singular=each.get("singularName", ""),
                    namespaced=each["namespaced"],
                    verbs=frozenset(each["verbs"]),
                    subresources=frozenset(subs.get(each["name"], ())),
                    short=tuple(each.get("shortNames", ())),
                    categories=tuple(each.get("categories", ())),
                )
            )
        del path
    return tuple(found)
