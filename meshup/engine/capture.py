"""What failing workloads show, read before they are taken back: conditions, warnings, last log lines, the proxies' signs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from meshup.cluster.ports import Reader
from meshup.engine.session import Session
from meshup.gates.gate import Blind
from meshup.gates.likely import OOM
from meshup.meshes.driver import Driver
from meshup.model.masked import masked
from meshup.model.objects import Object, Ref, dig, matches
from meshup.model.plan import Plan, PlannedWave
from meshup.model.problem import MeshupError
from meshup.model.rollout import trouble
from meshup.model.scene import Witness
from meshup.model.text import clean
from meshup.model.verdict import Verdict

T = TypeVar("T")

EACH_S = 2.0
"""No request takes longer, and none is sent again: the way back must not wait."""
WITHIN_S = 4.0
"""Nothing more is asked once this much has passed, so that all of it takes WITHIN_S and EACH_S at most."""
MOST_WORKLOADS = 3
PODS_EACH = 2
LINES_EACH = 10
LINES_READ = 200
"""Of these the last ones are kept, and before them those that speak of trouble: a proxy's log is mostly requests that went well."""
EVENTS_EACH = 5
EVENTS_READ = 500
LOG_BYTES = 64 * 1024
TROUBLE = re.compile(r"(?i)error|warn|fail|fatal|panic|exception|denied|refused|timed? ?out|reset|\" [45]\d\d ")
ODD = (Blind, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What code of ours raises over an answer that is not what it should be."""
LINE = 240
"""Characters of one line, as they are kept."""


def suspects(plan: Plan, wave: PlannedWave, verdict: Verdict) -> list[tuple[str, Ref]]:
    """Name what to look at: the pod or the workloads that the verdict is about, else those of the wave's services."""
    kind, _, name = verdict.object.partition(" ")
    namespace, _, name = name.partition("/")
    if kind == "Pod" and name:
        return [("", Ref(api_version="v1", kind="Pod", namespace=namespace, name=name))]
    known = {each.id: each.workload for each in plan.book.services}
    named = [each.change.on for each in wave.changes if str(each.change.on) == verdict.object]
    found = [("", ref) for ref in named if ref not in known.values()]
    found += [(name, known[name]) for name in verdict.names if name in known]
    return found or [(name, known[name]) for name in wave.services if name in known]


def capture(
    session: Session, driver: Driver, workloads: Sequence[tuple[str, Ref]], *, revision: str
) -> tuple[Witness, ...]:
    """Read what a few failing workloads show; what can't be read is said and never raised.

    workloads: (service, its workload), the ones that failed first; MOST_WORKLOADS of them are looked at, with PODS_EACH pods:
    those that suffer first, then those of the revision. Empty = nothing could be read of any.
    """
    try:
        return _captured(session, driver, workloads, revision)
    except ODD:
        return ()


def _captured(
    session: Session, driver: Driver, workloads: Sequence[tuple[str, Ref]], revision: str
) -> tuple[Witness, ...]:
    until = session.clock.elapsed() + WITHIN_S
    asker = _Asker(cluster=session.cluster.once(most_s=EACH_S), over=lambda: session.clock.elapsed() > until)
    cluster = asker.cluster
    chosen = list(dict.fromkeys(workloads))[:MOST_WORKLOADS]
    spaces = sorted({ref.namespace for _, ref in chosen})
    found = asker.gather([partial(cluster.find, ref) for _, ref in chosen])
    told = asker.gather([partial(_warnings, cluster, space) for space in spaces])
    listed = asker.gather([partial(_pods, cluster, ref, one) for (_, ref), one in zip(chosen, found, strict=True)])
    warnings = dict(zip(spaces, told, strict=True))
    witnesses: list[Witness] = []
    for (service, ref), workload, pods in zip(chosen, found, listed, strict=True):
        if isinstance(workload, _Unread) or workload is None:
            continue
        if ref.kind != "Pod":
            witnesses.append(_of_workload(service, ref, workload, warnings[ref.namespace]))
        several = [] if isinstance(pods, _Unread) else _worst(pods, driver, revision)
        seen = partial(_of_pod, asker, driver, service, warnings=warnings[ref.namespace])
        witnesses += cluster.gather([partial(seen, pod) for pod in several])
    return tuple(each for each in witnesses if each.conditions or each.events or each.log or each.signs or each.unread)


class _Unread(str):
    """Why something could not be read."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asker:
    """Asks once. Nothing that a cluster answers, and nothing that it does not answer in time, may stop the way back."""

    cluster: Reader
    over: Callable[[], bool]

    def ask(self, call: Callable[[], T]) -> T | _Unread:
        """Give the answer, or why there is none."""
        if self.over():
            return _Unread("not asked any more: the way back does not wait for it")
        try:
            return call()
        except MeshupError as failed:
            return _Unread(_line(f"{failed.what}: {failed.why}" if failed.why else failed.what))
        except ODD as odd:
            return _Unread(_line(f"the answer can't be read: {odd}"))

    def gather(self, calls: Sequence[Callable[[], T]]) -> Sequence[T | _Unread]:
        """Ask side by side."""
        return self.cluster.gather([partial(self.ask, each) for each in calls])


def _line(text: object) -> str:
    """Make one line of what somebody else wrote: clean, masked, and cut after that, so that no half of a secret stays."""
    return clean(masked(clean(text)).strip(), limit=LINE)


def _pods(cluster: Reader, ref: Ref, workload: Object | _Unread | None) -> list[Object]:
    if workload is None or isinstance(workload, _Unread):
        return []
    if ref.kind == "Pod":
        return [workload]
    selector = dig(workload, "spec", "selector") or {}
    labels = ",".join(f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items()))
    wanted = cluster.list("v1", "Pod", namespace=ref.namespace, labels=labels)
    return [
        pod
        for pod in islice(wanted, EVENTS_READ)
        if matches(selector, dig(pod, "metadata", "labels") or {}) and not dig(pod, "metadata", "deletionTimestamp")
    ]


def _warnings(cluster: Reader, namespace: str) -> list[Object]:
    """Give the first page of warnings of a namespace, newest first."""
    several = list(islice(cluster.list("v1", "Event", namespace=namespace, fields="type=Warning"), EVENTS_READ))
    return sorted(several, key=_moment, reverse=True)


def _moment(event: Object) -> str:
    return str(
        dig(event, "series", "lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or dig(event, "metadata", "creationTimestamp")
        or ""
    )


def _events(warnings: list[Object] | _Unread, is_about: Callable[[str, str], bool]) -> tuple[str, ...]:
    if isinstance(warnings, _Unread):
        return ()
    found = []
    for each in warnings:
        about = each.get("involvedObject") or {}
        if not is_about(str(about.get("kind")), str(about.get("name"))):
            continue
        times = dig(each, "series", "count") or each.get("count") or 1
        found.append(_line(f"{_moment(each)[:19]} {each.get('reason')} x{times}: {each.get('message') or ''}"))
    return tuple(dict.fromkeys(found))[:EVENTS_EACH]


def _of_workload(service: str, ref: Ref, workload: Object, warnings: list[Object] | _Unread) -> Witness:
    """Give what a workload says itself; warnings about its ReplicaSets, which can't make pods, are its own."""
    bad = {"ReplicaFailure": "True"}
    conditions = [
        each
        for each in dig(workload, "status", "conditions") or ()
        if str(each.get("status")) == bad.get(str(each.get("type")), "False")
    ]

    def is_about(kind: str, name: str) -> bool:
        if kind == ref.kind:
            return name == ref.name
        return kind == "ReplicaSet" and name.rpartition("-")[0] == ref.name

    return Witness(
        object=str(ref),
        service=service,
        conditions=tuple(map(_condition, conditions)),
        events=_events(warnings, is_about),
        unread=(f"events: {warnings}",) if isinstance(warnings, _Unread) else (),
    )


def _condition(each: Mapping[str, Any]) -> str:
    words = ": ".join(str(each[key]) for key in ("reason", "message") if each.get(key))
    return _line(f"{each.get('type')} is {each.get('status')}" + (f": {words}" if words else ""))


def _worst(pods: Sequence[Object], driver: Driver, revision: str) -> list[Object]:
    """Choose the pods to look at: those that suffer, then those that are not ready, then those of the revision, newest first."""

    def rank(pod: Object) -> tuple[bool, bool, bool]:
        proxy = driver.proxy(pod)
        is_new = proxy is not None and (not revision or proxy.revision == revision)
        return not trouble(pod), _is_ready(pod), not is_new

    newest = sorted(pods, key=lambda pod: str(dig(pod, "metadata", "creationTimestamp") or ""), reverse=True)
    return sorted(newest, key=rank)[:PODS_EACH]


def _is_ready(pod: Object) -> bool:
    conditions = dig(pod, "status", "conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def _statuses(pod: Object) -> Iterator[Mapping[str, Any]]:
    for key in ("initContainerStatuses", "containerStatuses"):
        yield from dig(pod, "status", key) or ()


def _of_pod(asker: _Asker, driver: Driver, service: str, pod: Object, *, warnings: list[Object] | _Unread) -> Witness:
    namespace, name = str(dig(pod, "metadata", "namespace")), str(dig(pod, "metadata", "name"))
    unread: list[str] = []
    proxy = driver.proxy(pod)
    container = proxy.container if proxy is not None else ""
    signs: dict[str, float] = {}
    if proxy is not None and proxy.ready and "proxy-counters" in driver.capabilities:
        told = asker.ask(partial(_signs, asker.cluster, driver, namespace, name))
        if isinstance(told, _Unread):
            unread.append(f"the proxy's counters: {told}")
        else:
            signs.update(told)
    lines: list[str] = []
    for each in _logged(pod, container):
        previous = not dig(each, "state", "running") and bool(each.get("restartCount"))
        ask = partial(_log, asker.cluster, namespace, name, str(each["name"]), previous=previous)
        told_lines = asker.ask(ask)
        if isinstance(told_lines, _Unread):
            unread.append(f"the log of {each['name']}: {told_lines}")
        else:
            lines += told_lines
    for each in _statuses(pod):
        if each.get("name") == container and _ended(each).get("reason") == "OOMKilled":
            signs[OOM] = float(each.get("restartCount") or 1)
    return Witness(
        object=f"Pod {namespace}/{name}",
        service=service,
        conditions=(*filter(None, map(_container, _statuses(pod))), *map(_condition, _not_true(pod))),
        events=_events(warnings, lambda kind, about: (kind, about) == ("Pod", name)),
        log=tuple(lines),
        signs=signs,
        unread=tuple(unread),
    )


def _log(cluster: Reader, namespace: str, name: str, container: str, *, previous: bool) -> list[str]:
    """Give the lines worth keeping, in order: half of them may be older ones that speak of trouble."""
    text = cluster.logs(namespace, name, container=container, previous=previous, tail=LINES_READ, most=LOG_BYTES)
    every = [line for line in masked(text).splitlines() if line.strip()]
    troubled = [at for at, line in enumerate(every) if TROUBLE.search(line)][-(LINES_EACH // 2) :]
    newest = range(max(0, len(every) - LINES_EACH + len(troubled)), len(every))
    return [f"{container}: {_line(every[at])}" for at in sorted({*troubled, *newest})]


def _signs(cluster: Reader, driver: Driver, namespace: str, name: str) -> Mapping[str, float]:
    source = driver.counters()
    answer = cluster.pod_proxy(namespace, name, port=source.port, path=source.path)
    if answer.status != 200:
        raise Blind(f"they answered {answer.status}")
    return driver.read_counters(answer.body.decode("utf-8", "replace")).signs


def _not_true(pod: Object) -> list[Mapping[str, Any]]:
    """Give the conditions that do not hold; ContainersReady says what Ready says."""
    several = dig(pod, "status", "conditions") or ()
    return [each for each in several if each.get("status") != "True" and each.get("type") != "ContainersReady"]


def _logged(pod: Object, proxy: str) -> list[Mapping[str, Any]]:
    """Choose the containers whose log tells something: the proxy, and those that are not ready or were started again.

    An application that runs has nothing to say here, and its log is not for whoever may read the journal.
    """
    several = [
        each
        for each in _statuses(pod)
        if each.get("name") == proxy or not each.get("ready", True) or each.get("restartCount")
    ]
    began = [each for each in several if dig(each, "state", "running") or each.get("restartCount") or _ended(each)]
    done = [each for each in began if dig(each, "state", "terminated", "exitCode") != 0]
    return sorted(done, key=lambda each: each.get("name") != proxy)[:2]


def _ended(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give how a container ended, now or the last time; empty = it never did."""
    return dig(status, "state", "terminated") or dig(status, "lastState", "terminated") or {}


def _container(status: Mapping[str, Any]) -> str:
    """Say what is wrong with one container, "" when nothing is."""
    words = []
    waiting, ended = dig(status, "state", "waiting") or {}, _ended(status)
    if waiting:
        message = f": {waiting['message']}" if waiting.get("message") else ""
        words.append(f"waits in {waiting.get('reason')}{message}")
    if status.get("restartCount"):
        words.append(f"was started again {status['restartCount']} times")
    if ended and ended.get("exitCode") != 0:
        words.append(f"ended with {ended.get('exitCode')}, {ended.get('reason') or 'no reason given'}")
    return _line(f"container {status.get('name')} {', '.join(words)}") if words else ""
