"""The reading half of the door: verbs over plain objects, each one request (or one page) through the sender."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from meshup.cluster import discovery, follow, identity
from meshup.cluster.clock import SIMULATOR_MARK
from meshup.cluster.errors import ApiError, Gone, NotFound, NotServed
from meshup.cluster.paths import KNOWN, collection, member, segment
from meshup.cluster.ports import Counters, Event, Query
from meshup.cluster.retry import Again, Sender
from meshup.model.clock import Clock
from meshup.model.objects import Object, Ref
from meshup.model.problem import Refused
from meshup.model.snapshot import ApiKind, Identity
from meshup.model.text import clean
from meshup.model.transport import Method, Request, Response

T = TypeVar("T")

PAGE = 500
OBJECT_BYTES = 2 * 1024 * 1024
LOG_BYTES = 10 * 1024 * 1024
PROXY_BYTES = 16 * 1024 * 1024
PAGE_S = 60.0
WRITE_S = 15.0
PROXY_S = 10.0
PROXY_TRIES = 2
SYSTEM = Ref(api_version="v1", kind="Namespace", name="kube-system")


class ReadingDoor:
    """A reader of one cluster. Safe to use from many threads; see ports.py for what each verb promises."""

    def __init__(self, sender: Sender, *, context: str = "", namespace: str = "default", in_flight: int = 16) -> None:
        self.context, self.namespace = context, namespace
        self._sender, self._in_flight = sender, in_flight
        self._fence: Callable[[], None] | None = None
        self._tries, self._most_s = 0, PAGE_S
        self._pretends = False
        self._kept: dict[str, Any] = {}
        self._lock = threading.RLock()

    @property
    def clock(self) -> Clock:
        """The clock that belongs to this cluster: virtual when it is a simulator."""
        return self._sender.clock

    @property
    def counters(self) -> Counters:
        """What was sent so far, shared by all fenced copies."""
        return self._sender.counters

    def use_clock(self, clock: Clock, hear: Callable[[Response], None] | None = None) -> None:
        """Go on with another clock; hear: given every answer, as a simulator's carry its time."""
        self._sender.use_clock(clock, hear)

    def stop_when(self, asked: Callable[[], bool]) -> None:
        """Let waiting for an API server that is away end with Interrupted soon after a person asked to stop."""
        self._sender.stop_when(asked)

    def observe(self, observer: Callable[[Again], None] | None) -> None:
        """Let somebody see every repeated attempt."""
        self._sender.observer = observer

    def whoami(self) -> Identity:
        """Say who the API server takes us for."""
        now = self._review()
        with self._lock:
            identity.unchanged(self._kept.setdefault("who", now), now)
        return now

    def still_the_same(self) -> None:
        """After new credentials: raise Unreachable when they speak for somebody else."""
        if "who" in self._kept:
            identity.unchanged(self._kept["who"], self._review())

    def version(self) -> str:
        """Give the server's gitVersion; asked once."""
        if "version" not in self._kept:
            answer = self._json("GET", "/version", doing="ask for the server's version")
            self._kept["version"] = clean(answer.get("gitVersion") or "")
        return str(self._kept["version"])

    def is_simulator(self) -> bool:
        """Tell whether the server says that it is the simulator."""
        return self.version().endswith(SIMULATOR_MARK)

    def uid(self) -> str:
        """Give the UID of kube-system; asked once, and not at all when a list of namespaces showed it."""
        if "uid" not in self._kept:
            self._kept["uid"] = str(self.get(SYSTEM)["metadata"]["uid"])
        return str(self._kept["uid"])

    def kinds(self) -> Mapping[tuple[str, str], ApiKind]:
        """Give what the server serves; asked once, or again after `forget_kinds`."""
        with self._lock:
            if "kinds" not in self._kept:
                self._kept["kinds"] = discovery.kinds(self._discover)
            found: Mapping[tuple[str, str], ApiKind] = self._kept["kinds"]
            return found

    def forget_kinds(self) -> None:
        """Discover again at the next need: definitions were installed."""
        with self._lock:
            self._kept.pop("kinds", None)

    def get(self, ref: Ref) -> Object:
        """Read one object, most recent."""
        path = self._path(ref)
        return self._json("GET", path, doing=f"get {ref}", most=OBJECT_BYTES)

    def find(self, ref: Ref) -> Object | None:
        """Read one object; None when it is not there."""
        try:
            return self.get(ref)
        except NotFound:
            return None

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
        """Yield all objects of a kind, page by page."""
        namespaces = (api_version, kind) == (SYSTEM.api_version, SYSTEM.kind)
        for page in self._pages(api_version, kind, namespace, labels, fields):
            for each in page.get("items") or ():
                each.setdefault("apiVersion", api_version)
                each.setdefault("kind", kind)
                if namespaces and each["metadata"]["name"] == SYSTEM.name:
                    self._kept.setdefault("uid", str(each["metadata"]["uid"]))
                if not owners:
                    each.get("metadata", {}).pop("managedFields", None)
                yield each

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
        """Yield LISTED, then events, relisting whenever the stream can't be trusted."""

        def listed() -> tuple[tuple[Object, ...], str]:
            objects: list[Object] = []
            version = ""
            for page in self._pages(api_version, kind, namespace, labels, fields):
                version = str((page.get("metadata") or {}).get("resourceVersion") or "")
                for each in page.get("items") or ():
                    each.setdefault("apiVersion", api_version)
                    each.setdefault("kind", kind)
                    objects.append(each)
            return tuple(objects), version

        def opened(version: str, left_s: float) -> Iterator[bytes]:
            query = [
                *_selectors(labels, fields),
                ("watch", "1"),
                ("allowWatchBookmarks", "true"),
                ("resourceVersion", version),
                ("timeoutSeconds", str(max(1, int(left_s)))),
            ]
            answer = self._sender.send(
                Request(
                    method="GET",
                    path=collection(self._kind(api_version, kind), namespace),
                    query=tuple(query),
                    stream=True,
                    total_s=left_s + 30.0,
                ),
                doing=f"watch {kind}",
            )
            return answer.lines if answer.lines is not None else iter(answer.body.splitlines())

        return follow.follow(listed, opened, clock=self.clock, pause=self._sender.pause, for_s=for_s)

    def pod_proxy(self, namespace: str, pod: str, *, port: int, path: str, query: Query = ()) -> Response:
        """GET a pod's port through the API server."""
        return self._proxy(
            (namespace, "pods"), f"{segment(pod)}:{port}", path, query, f"read {path} of pod {namespace}/{pod}"
        )

    def service_proxy(self, namespace: str, service: str, *, port: str, path: str, query: Query = ()) -> Response:
        """GET a service's port through the API server."""
        name = f"{segment(service)}:{segment(port)}" if port else segment(service)
        return self._proxy((namespace, "services"), name, path, query, f"read {path} of service {namespace}/{service}")

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
        """Read a container's log, at most 10 MiB of it."""
        asked = {
            "container": container,
            "sinceSeconds": since_s,
            "tailLines": tail,
            "previous": "true" if previous else "",
        }
        query = tuple((key, str(value)) for key, value in asked.items() if value)
        path = member(KNOWN["v1", "Pod"], namespace, pod, subresource="log")
        request = Request(
            method="GET",
            path=path,
            query=(*query, ("limitBytes", str(most or LOG_BYTES))),
            total_s=self._most_s,
            headers={"accept": "*/*"},
        )
        answer = self._sender.send(request, doing=f"read the log of pod {namespace}/{pod}", tries=self._tries)
        return answer.body.decode("utf-8", "replace")

    def can_i(self, verb: str, resource: str, *, namespace: str = "", name: str = "") -> bool:
        """Ask for a right."""
        body = identity.access_review(verb, resource, namespace, name)
        answer = self._json(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            body=body,
            doing=f"ask whether {verb} {resource} is permitted",
        )
        return (answer.get("status") or {}).get("allowed") is True

    def gather(self, calls: Iterable[Callable[[], T]]) -> Sequence[T]:
        """Make calls side by side, give results in order; the first error cancels what has not begun."""
        waiting = list(calls)
        if self._in_flight == 1 or len(waiting) < 2:
            return [each() for each in waiting]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=min(self._in_flight, len(waiting))) as pool:
            begun = [pool.submit(each) for each in waiting]
            try:
                return [each.result() for each in begun]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _kind(self, api_version: str, kind: str) -> ApiKind:
        known = KNOWN.get((api_version, kind)) or self.kinds().get((api_version, kind))
        if known is None:
            self.forget_kinds()
            known = self.kinds().get((api_version, kind))
        if known is None:
            known = self._defined(api_version, kind)
        if known is None:
            raise NotServed(
                f"the server does not serve {clean(kind)} of {clean(api_version)}",
                code="MU7208",
                status=404,
                reason="NotFound",
                fix="install what defines it first; kubectl api-resources lists what is served",
            )
        return known

    def _defined(self, api_version: str, kind: str) -> ApiKind | None:
        """Read a kind from its definition: discovery learns of a new one some time after it is served."""
        group, _, version = api_version.rpartition("/")
        if not group:
            return None
        with contextlib.suppress(ApiError):
            for each in self.list(discovery.CRD, "CustomResourceDefinition"):
                found = discovery.of_definition(each, group, version)
                if found is not None and found.kind == kind:
                    return found
        return None

    def _path(self, ref: Ref, subresource: str = "") -> str:
        return member(self._kind(ref.api_version, ref.kind), ref.namespace, ref.name, subresource=subresource)

    def _pages(self, api_version: str, kind: str, namespace: str, labels: str, fields: str) -> Iterator[dict[str, Any]]:
        path = collection(self._kind(api_version, kind), namespace)
        more, seen, again = "", set[str](), False
        while True:
            query = [*_selectors(labels, fields), ("limit", str(PAGE))]
            if more:
                query.append(("continue", more))
            try:
                page = self._json("GET", path, query=query, doing=f"list {kind}", total_s=PAGE_S)
            except Gone:
                if not more or again:
                    raise
                more, again = "", True
                continue
            uids = [str((each.get("metadata") or {}).get("uid") or "") for each in page.get("items") or ()]
            if again:
                page["items"] = [
                    each for each, uid in zip(page.get("items") or (), uids, strict=True) if uid not in seen
                ]
            more = str((page.get("metadata") or {}).get("continue") or "")
            if more or again:
                seen.update(uids)
            yield page
            if not more:
                return

    def _proxy(self, place: tuple[str, str], name: str, path: str, query: Query, doing: str) -> Response:
        namespace, plural = place
        whole = f"/api/v1/namespaces/{segment(namespace)}/{plural}/{name}/proxy/{path.lstrip('/')}"
        total_s = min(PROXY_S, self._most_s)
        request = Request(method="GET", path=whole, query=tuple(query), headers={"accept": "*/*"}, total_s=total_s)
        answer = self._sender.send(request, doing=doing, tries=self._tries or PROXY_TRIES, proxied=True)
        if len(answer.body) > PROXY_BYTES:
            raise _too_large(doing, PROXY_BYTES)
        return answer

    def _review(self) -> Identity:
        for version in identity.REVIEWS:
            try:
                return identity.of_review(
                    self._json(
                        "POST",
                        f"/apis/{version}/selfsubjectreviews",
                        doing="ask who this is",
                        body={"apiVersion": version, "kind": "SelfSubjectReview"},
                    )
                )
            except NotFound:
                if version == identity.REVIEWS[-1]:
                    raise
        raise AssertionError("the loop returns or raises")

    def _discover(self, path: str) -> bytes:
        request = Request(method="GET", path=path, headers={"accept": discovery.ACCEPT})
        return self._sender.send(request, doing="ask what the server serves").body

    def _json(
        self,
        method: Method,
        path: str,
        *,
        doing: str,
        query: Query = (),
        body: Any = None,
        content: str = "application/json",
        resend: bool = True,
        total_s: float = WRITE_S,
        most: int = 0,
    ) -> dict[str, Any]:
        headers = {"accept": "application/json"}
        payload = b""
        if body is not None:
            headers["content-type"] = content
            payload = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
        request = Request(
            method=method,
            path=path,
            query=tuple(query),
            headers=headers,
            body=payload,
            total_s=min(total_s, self._most_s),
        )
        answer = self._sender.send(request, doing=doing, resend=resend, fence=self._fence, tries=self._tries)
        if most and len(answer.body) > most:
            raise _too_large(doing, most)
        found = json.loads(answer.body)
        return found if isinstance(found, dict) else {}


def _selectors(labels: str, fields: str) -> list[tuple[str, str]]:
    return [(key, value) for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value]


def _too_large(doing: str, most: int) -> Refused:
    return Refused(
        f"the answer is larger than {most >> 20} MiB: {clean(doing)}",
        code="MU7209",
        fix="make the object smaller, or leave it out of the runbook",
    )
