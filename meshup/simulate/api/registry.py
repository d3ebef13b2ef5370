"""The kinds a server serves at this moment: built-in ones, and those that custom definitions have established."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshup.simulate.api import schema as sc
from meshup.simulate.api.kinds import Kind, built_in

UNSERVED = frozenset({("autoscaling", "v1"), ("events.k8s.io", "v1")})
"""Second versions of kinds that are served in another one; asking for them answers 501."""


class Registry:
    """Finds kinds by path, by name and by group, version, kind. Custom kinds come and go with their definitions."""

    def __init__(self) -> None:
        self._built_in = tuple(each for each in built_in() if (each.group, each.version) not in UNSERVED)
        self._custom: dict[str, tuple[tuple[Kind, dict[str, Any]], ...]] = {}
        self._index()

    def _index(self) -> None:
        self._by_path: dict[tuple[str, str, str], Kind] = {}
        self._by_gvk: dict[tuple[str, str, str], Kind] = {}
        self._by_named: dict[str, Kind] = {}
        self._schemas: dict[tuple[str, str, str], dict[str, Any]] = {}
        for kind in self.all():
            self._by_path[kind.group, kind.version, kind.plural] = kind
            self._by_gvk.setdefault((kind.group, kind.version, kind.kind), kind)
            self._by_named.setdefault(kind.named, kind)
        for several in self._custom.values():
            for kind, node in several:
                self._schemas[kind.group, kind.version, kind.kind] = node

    def all(self) -> Iterator[Kind]:
        """Yield every kind of every version."""
        yield from self._built_in
        for several in self._custom.values():
            for kind, _ in several:
                yield kind

    def define(self, name: str, versions: tuple[tuple[Kind, dict[str, Any]], ...]) -> None:
        """Serve a custom definition's versions, the preferred one first; () withdraws it."""
        if versions:
            self._custom[name] = versions
        else:
            self._custom.pop(name, None)
        self._index()

    def at(self, group: str, version: str, plural: str) -> Kind | None:
        """Find a kind by the parts of a path."""
        return self._by_path.get((group, version, plural))

    def of(self, group: str, version: str, kind: str) -> Kind | None:
        """Find a kind by group, version and kind."""
        return self._by_gvk.get((group, version, kind))

    def named(self, resource: str | Kind) -> Kind:
        """Find a kind by "plural.group" ("pods", "deployments.apps"). Raises KeyError."""
        return resource if isinstance(resource, Kind) else self._by_named[resource]

    def schema(self, kind: Kind) -> dict[str, Any]:
        """Give a kind's schema; one that says nothing when none is known."""
        found = self._schemas.get((kind.group, kind.version, kind.kind))
        if found is not None:
            return found
        return sc.built_in_schema(kind.group, kind.version, kind.kind) or sc.ANY
