"""What the rest of the program may ask of a cluster: one protocol to read, one to write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from meshup.model.objects import Object, Ref
from meshup.model.snapshot import ApiKind, Identity
from meshup.model.transport import Response

T = TypeVar("T")

MANAGER = "meshup"
"""Field manager of everything meshup writes itself."""

Propagation = Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing a watch saw.

    kind: LISTED (objects holds all there is; what was known before is void), ADDED, MODIFIED, DELETED (objects holds
    that one). version: resourceVersion to go on from.
    """

    kind: Literal["LISTED", "ADDED", "MODIFIED", "DELETED"]
    objects: tuple[Object, ...]
    version: str = ""


@dataclass(slots=True)
class Counters:
    """What was sent so far. requests: attempts, retries included. mutations: attempts that may write, dry runs not.

    peak: most requests in flight at once. retries: attempts after the first. throttled: answers 429.
    """

    requests: int = 0
    mutations: int = 0
    dry_runs: int = 0
    peak: int = 0
    retries: int = 0
    throttled: int = 0


class Reader(Protocol):
    """Read a cluster. Every method may raise the errors of cluster/errors.py; strings in objects are not cleaned."""

    def whoami(self) -> Identity:
        """Say who the API server takes us for. Raises Unreachable when anonymous or other than before."""
        ...

    def version(self) -> str:
        """Give the server's gitVersion."""
        ...

    def is_simulator(self) -> bool:
        """Tell whether the server says that it is the simulator."""
        ...

    def uid(self) -> str:
        """Give the cluster's identity: UID of the namespace kube-system."""
        ...

    def kinds(self) -> Mapping[tuple[str, str], ApiKind]:
        """Give what the server serves, by (api_version, kind); one request, asked once."""
        ...

    def forget_kinds(self) -> None:
        """Ask again at the next need what the server serves."""
        ...

    def get(self, ref: Ref) -> Object:
        """Read one object, most recent. Raises NotFound, also when the kind is not served."""
        ...

    def find(self, ref: Ref) -> Object | None:
        """Read one object, most recent; None when it, its namespace or its kind is not there."""
        ...

    def list(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        owners: bool = False,
    ) -> Iterator[Object]:
        """Yield all objects of a kind, paged by 500, in the server's order; "" = all namespaces.

        owners: keep metadata.managedFields. apiVersion and kind are filled in. Raises NotFound when not served.
        """
        ...

    def watch(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        for_s: float = 300.0,
    ) -> Iterator[Event]:
        """Yield LISTED first, then events; LISTED again whenever the stream broke or was silent for 60 s.

        Ends after for_s seconds of the clock. Closing the iterator closes the connection.
        """
        ...

    def pod_proxy(self, namespace: str, pod: str, *, port: int, path: str, query: Query = ()) -> Response:
        """GET a pod's port through the API server: any status of the pod comes back as it is."""
        ...

    def service_proxy(self, namespace: str, service: str, *, port: str, path: str, query: Query = ()) -> Response:
        """GET a service's port (number or name) through the API server."""
        ...

    def logs(
        self,
        namespace: str,
        pod: str,
        *,
        container: str = "",
        since_s: int = 0,
        previous: bool = False,
        tail: int = 0,
        most: int = 0,
    ) -> str:
        """Read a container's log, not cleaned. since_s: only that many last seconds; tail: only so many last lines.

        most: at most so many bytes, 0 = 10 MiB. previous: of the container before it was started again.
        """
        ...

    def can_i(self, verb: str, resource: str, *, namespace: str = "", name: str = "") -> bool:
        """Ask for a right (SelfSubjectAccessReview). resource: "group/plural" or "plural", "/subresource" may follow."""
        ...

    def pretending(self) -> Writer:
        """Give the same cluster as a writer whose every write is a dry run: it asks what would come of it, and changes nothing."""
        ...

    def gather(self, calls: Iterable[Callable[[], T]]) -> Sequence[T]:
        """Make calls side by side (16 at most), give results in order. The first error ends it and is raised."""
        ...


Query = Sequence[tuple[str, str]]


class Writer(Reader, Protocol):
    """Write to a cluster. Dry runs change nothing. A reply that was lost raises MaybeDone where resending could hurt."""

    def once(self, *, most_s: float = 5.0) -> Writer:
        """Give the same cluster with every request sent once and no longer than that: for what must not wait."""
        ...

    def create(self, body: Object, *, manager: str = MANAGER, dry_run: bool = False) -> Object:
        """POST a new object. Raises AlreadyExists, Invalid, Forbidden, MaybeDone."""
        ...

    def apply(
        self, body: Object, *, manager: str = MANAGER, force: bool = False, dry_run: bool = False, uid: str = ""
    ) -> Object:
        """Server-side apply. uid: of the object that must be there. Raises Conflict with the other managers named."""
        ...

    def replace(self, body: Object, *, manager: str = MANAGER, dry_run: bool = False) -> Object:
        """PUT a whole object; its resourceVersion is the precondition. Raises Conflict, MaybeDone."""
        ...

    def merge_patch(
        self, ref: Ref, patch: Object, *, manager: str = MANAGER, dry_run: bool = False, subresource: str = ""
    ) -> Object:
        """Merge patch. Put resourceVersion or uid into patch.metadata for a precondition."""
        ...

    def json_patch(
        self, ref: Ref, patch: Sequence[Mapping[str, Any]], *, manager: str = MANAGER, dry_run: bool = False
    ) -> Object:
        """JSON patch; a `test` that fails raises Invalid."""
        ...

    def update_status(self, ref: Ref, status: Object, *, resource_version: str = "", manager: str = MANAGER) -> Object:
        """Merge fields into an object's status."""
        ...

    def delete(
        self,
        ref: Ref,
        *,
        uid: str,
        resource_version: str = "",
        propagation: Propagation = "Background",
        dry_run: bool = False,
    ) -> bool:
        """Delete one object by UID. True when the server took it, False when it was gone already.

        Raises Conflict when another object has the name now, or when it changed since resource_version.
        """
        ...

    def evict(self, namespace: str, pod: str, *, uid: str, dry_run: bool = False) -> bool:
        """Evict one pod. False when it is gone already; TooManyRequests when a disruption budget forbids it now."""
        ...
