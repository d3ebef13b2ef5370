"""Which pods are control and which are canary, by what their running proxies say; finished pods are remembered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from meshup.gates.finding import ENDED, Shelf, all_pods, name_of, own_pods, ready, workloads
from meshup.gates.gate import Eyes
from meshup.model.objects import Object, dig
from meshup.model.samples import Pod

Arm = Literal["control", "canary", ""]
ARMS: tuple[Literal["control", "canary"], ...] = ("control", "canary")
GATEWAY = "ingress gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One pod of a service, or of the gateway, as far as it was ever seen.

    pod: namespace/name. arm: "" for another revision, or no proxy. word: what the mesh's metrics call its revision.
    began, last: Unix seconds of its start and of the last look that had it. restarts: of its proxy until then.
    restarts_before: those of before the comparison. serves: it is ready and stays.
    """

    pod: str
    uid: str
    service: str
    arm: Arm
    revision: str
    word: str
    address: str
    began: float | None
    last: float
    restarts: int | None
    restarts_before: int
    serves: bool


class Roll:
    """Every pod that was seen since a comparison began; names and addresses may have been of several."""

    def __init__(self, *, control: str, canary: str, began: float, known: Iterable[Member] = ()) -> None:
        """control, canary: revisions. began: Unix seconds. known: members that an earlier roll remembered."""
        self._arms: Mapping[str, Arm] = {control: "control", canary: "canary"} if control != canary else {}
        self.began = began
        self._members: dict[str, Member] = {each.uid: each for each in known}

    @property
    def members(self) -> tuple[Member, ...]:
        """All of them, by UID, to be remembered elsewhere."""
        return tuple(self._members[uid] for uid in sorted(self._members))

    def see(self, eyes: Eyes) -> None:
        """Look at the pods of every service of the runbook, and the gateway's: compared ones and their callers."""
        at = eyes.clock.now().timestamp()
        found = workloads(eyes.cluster, eyes.book.services)
        ingress = eyes.book.ingress
        namespaces = {each.namespace for each in eyes.book.services} | ({ingress.namespace} if ingress else set())
        pods = all_pods(eyes.cluster, namespaces)
        for each in eyes.book.services:
            self.put(eyes, each.id, _every(found.get(each.id), pods.get(each.namespace)), at=at)
        if ingress is not None:
            taken = {uid for uid, each in self._members.items() if each.last == at}
            gateways = [
                pod
                for pod in pods.get(ingress.namespace, ())
                if eyes.driver.proxy(pod) is not None and dig(pod, "metadata", "uid") not in taken
            ]
            self.put(eyes, GATEWAY, gateways, at=at)

    def put(self, eyes: Eyes, service: str, pods: Iterable[Object], *, at: float) -> None:
        """Remember pods as they are at a moment: from a list, or from a watch while nobody lists."""
        for pod in pods:
            made = self._made(eyes, service, pod, at)
            before = self._members.get(made.uid)
            if before is not None:
                # A pod that is over may have lost its address and its proxy's state: what it was stays true of it.
                made = replace(
                    made,
                    arm=before.arm or made.arm,
                    address=made.address or before.address,
                    restarts=made.restarts if made.restarts is not None else before.restarts,
                    restarts_before=before.restarts_before,
                )
            self._members[made.uid] = made

    def _made(self, eyes: Eyes, service: str, pod: Object, at: float) -> Member:
        proxy = eyes.driver.proxy(pod)
        began, restarts = _began(pod), _restarts(pod, proxy.container if proxy else "")
        over = bool(dig(pod, "metadata", "deletionTimestamp")) or dig(pod, "status", "phase") in ENDED
        return Member(
            pod=name_of(pod),
            uid=str(dig(pod, "metadata", "uid")),
            service=service,
            arm=self._arms.get(proxy.revision, "") if proxy else "",
            revision=proxy.revision if proxy else "",
            word=eyes.driver.split_word(pod),
            address=str(dig(pod, "status", "podIP") or ""),
            began=began,
            last=at,
            restarts=restarts,
            restarts_before=(restarts or 0) if began is not None and began < self.began else 0,
            serves=proxy is not None and ready(pod) and not over,
        )

    def index(self) -> Index:
        """Give the roll by name, address and service, for one look."""
        return Index(self.members)


class Index:
    """Members by pod, address and UID. One key may stand for several, and then it is nobody's."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.by_pod: dict[str, list[Member]] = {}
        self.by_address: dict[str, list[Member]] = {}
        self.by_service: dict[str, list[Member]] = {}
        for each in members:
            self.by_pod.setdefault(each.pod, []).append(each)
            self.by_service.setdefault(each.service, []).append(each)
            if each.address:
                self.by_address.setdefault(each.address, []).append(each)
        self.newest = max((each.last for each in members), default=0.0)
        self.words = {service: _words(several) for service, several in self.by_service.items()}

    def of(self, service: str, arm: Arm) -> tuple[Member, ...]:
        """Give the members of one arm of a service."""
        return tuple(each for each in self.by_service.get(service, ()) if each.arm == arm)

    def pods(self, service: str, arm: Arm, at: float) -> tuple[Pod, ...]:
        """Give the pods of an arm that serve at the newest look, as a look names them. at: Unix seconds for their ages."""
        return tuple(
            Pod(name=each.pod, revision=each.revision, age_s=None if each.began is None else at - each.began)
            for each in self.of(service, arm)
            if each.serves and each.last == self.newest
        )

    def pod(self, name: str) -> tuple[str, Arm]:
        """Give (service, arm) of a pod that was scraped; "" for what is not known or of several."""
        return _one(self.by_pod.get(name, ()))

    def address(self, host: str, service: str) -> Arm:
        """Give the arm of an address among the pods of one service; "" for what is not known, or was in both arms.

        An address that once was of another service's pod is no doubt: the row names the service.
        """
        found = [each for each in self.by_address.get(host, ()) if each.service == service]
        return _one(found)[1]

    def revision(self, service: str, word: str) -> Arm:
        """Give the arm that the mesh's metrics mean by a revision; "" where both arms, or none, are called so."""
        return self.words.get(service, {}).get(word, "")

    def is_split(self, service: str) -> bool:
        """Tell whether the mesh's metrics call the arms of a service by different names."""
        return {arm for arm in self.words.get(service, {}).values() if arm} == set(ARMS)


def _one(several: Iterable[Member]) -> tuple[str, Arm]:
    found = {(each.service, each.arm) for each in several}
    services = {service for service, _ in found}
    if len(found) == 1:
        return next(iter(found))
    return (next(iter(services)) if len(services) == 1 else "", "")


def _words(members: Iterable[Member]) -> Mapping[str, Arm]:
    """Give word -> arm; a word that pods of several arms have, or of none, is nobody's."""
    found: dict[str, set[Arm]] = {}
    for each in members:
        found.setdefault(each.word, set()).add(each.arm)
    return {word: next(iter(arms)) if len(arms) == 1 else "" for word, arms in found.items()}


def _every(workload: Object | None, pods: Shelf | None) -> Iterator[Object]:
    """Yield the pods of a workload, those that are finished or on their way out among them."""
    if workload is None or pods is None:
        return
    yield from own_pods(workload, pods, ended=True)
    leaving = {str(dig(pod, "metadata", "uid")): pod for pod in pods if dig(pod, "metadata", "deletionTimestamp")}
    for pod in own_pods(workload, Shelf(_stays(pod) for pod in leaving.values()), ended=True):
        yield leaving[str(dig(pod, "metadata", "uid"))]


def _stays(pod: Object) -> Object:
    """Give a pod without the mark that it is leaving, so that its owner is found by the same rule."""
    return {**pod, "metadata": {key: each for key, each in pod["metadata"].items() if key != "deletionTimestamp"}}


def _began(pod: Object) -> float | None:
    try:
        return datetime.fromisoformat(str(dig(pod, "status", "startTime") or "")).timestamp()
    except ValueError:
        return None


def _restarts(pod: Object, container: str) -> int | None:
    """Give how often the proxy's container was restarted; None when the kubelet has not said."""
    status: Mapping[str, Any] = pod.get("status") or {}
    for where in ("containerStatuses", "initContainerStatuses"):
        for each in status.get(where) or ():
            if each.get("name") == container and isinstance(each.get("restartCount"), int):
                return int(each["restartCount"])
    return None
