"""What was observed in the cluster: only what planning needs, one pass, read only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from meshup.model.objects import Object, Ref, dig

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the API server says is asking."""

    user: str
    uid: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKind:
    """One kind that the server serves. plural: its path segment. verbs: as discovery lists them."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What the server said of one write it was only asked about.

    after: the object as it would be, None when refused. conflicts: (manager, field path) pairs. refused: the server's
    message, "" when accepted. known: "server", or "after:STAGE" / "not checked" when the server could not be asked.
    """

    after: Object | None = None
    conflicts: tuple[tuple[str, str], ...] = ()
    refused: str = ""
    known: str = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodProbe:
    """What a dry-run Pod of a workload's planned template came back as.

    injected: a proxy container is in it. revision, version: of that proxy, "" when unknown. refused: admission's
    message, "" when admitted.
    """

    injected: bool
    revision: str = ""
    version: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One view of the cluster.

    objects: kept objects by reference, managedFields included only where planning reads them. kinds: what the server
    serves, by (api_version, kind). dry_runs: by change id, pod_probes: by service id; filled by the probing pass.
    allowed: answers of access reviews, by "verb group/resource namespace". simulator: the server said that it is one.
    """

    cluster_uid: str
    server_version: str
    identity: Identity
    taken_at: datetime
    objects: Mapping[Ref, Object] = field(default_factory=dict)
    kinds: Mapping[tuple[str, str], ApiKind] = field(default_factory=dict)
    dry_runs: Mapping[str, DryRun] = field(default_factory=dict)
    pod_probes: Mapping[str, PodProbe] = field(default_factory=dict)
    allowed: Mapping[str, bool] = field(default_factory=dict)
    pins: tuple[Mapping[str, Any], ...] = ()
    context: str = ""
    simulator: bool = False
    _by_kind: dict[tuple[str, str | None], tuple[Object, ...]] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )
    _found: dict[str, Any] = field(init=False, default_factory=dict, compare=False, repr=False)

    def of(self, kind: str, namespace: str | None = None) -> Iterator[Object]:
        """Yield kept objects of a kind (any group), in name order, of one namespace or all."""
        if not self._by_kind:
            found: dict[tuple[str, str | None], list[Object]] = {("", None): []}
            for ref in sorted(self.objects):
                found.setdefault((ref.kind, None), []).append(self.objects[ref])
                found.setdefault((ref.kind, ref.namespace), []).append(self.objects[ref])
            self._by_kind.update({key: tuple(several) for key, several in found.items()})
        yield from self._by_kind.get((kind, namespace), ())

    def once(self, name: str, work: Callable[[], T]) -> T:
        """Give what `work` finds in this very view, worked out the first time it is asked for by that name."""
        if name not in self._found:
            self._found[name] = work()
        found: T = self._found[name]
        return found

    def pinned_elsewhere(self, revision: str) -> Iterator[Mapping[str, Any]]:
        """Yield the bodies of pins in effect that lead to another revision than this, or to none; overdue ones are."""
        for pin in self.pins:
            is_over = dig(pin, "status", "phase") in ("Closed", "Failed")
            if not is_over and str(dig(pin, "spec", "to", "revision") or "") != revision:
                yield pin

    def get(self, ref: Ref) -> Object | None:
        """Give one kept object, None when it was not there."""
        return self.objects.get(ref)
