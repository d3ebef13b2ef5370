"""Checks of the step to the release: how far it is, whether it may be gone to, and what it would not read any more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from meshup.gates.finding import ENDED
from meshup.gates.preflight.facts import Facts, Found, kind_of
from meshup.journal.release import KIND, from_body
from meshup.meshes.driver import Proxy
from meshup.model.objects import Object, dig, labels, matches


def skew(facts: Facts) -> Iterator[Found]:
    """Find proxies that the release's control plane may not serve, and such as are too far from their own now.

    A pod that is held by a pin, or not moved for another reason, is compared with the control plane it has.
    """
    release, proxied = facts.book.mesh.release, _Proxied(facts)
    for service, workload in facts.moving():
        for running in sorted(proxied.releases(workload)):
            why = facts.driver.skew(release, running)
            if why is None or why:
                because = why or f"nothing is known of {running or 'an unknown release'} under {release}"
                yield Found(object=str(service.workload), because=because, service=service.id, is_open=why is None)
    planes = facts.driver.installed(facts.snapshot)
    for pod, proxy in proxied.pods:
        plane = planes.get(proxy.revision, "")
        why = facts.driver.skew(plane, proxy.release) if plane else ""
        if why:
            what = f"Pod {dig(pod, 'metadata', 'namespace')}/{dig(pod, 'metadata', 'name')}"
            yield Found(object=what, because=f"its control plane, revision {proxy.revision}: {why}")


class _Proxied:
    """Pods with a proxy that have not ended, by each of their labels: a thousand services are found among thousands of pods."""

    def __init__(self, facts: Facts) -> None:
        self.pods: list[tuple[Object, Proxy]] = []
        self._by_label: dict[tuple[str, str, str], list[tuple[Object, Proxy]]] = defaultdict(list)
        for pod in facts.snapshot.of("Pod"):
            proxy = facts.driver.proxy(pod) if dig(pod, "status", "phase") not in ENDED else None
            if proxy is None:
                continue
            self.pods.append((pod, proxy))
            for key, value in labels(pod).items():
                self._by_label[str(dig(pod, "metadata", "namespace")), key, value].append((pod, proxy))

    def releases(self, workload: Object) -> set[str]:
        """Give the releases that a workload's pods run."""
        selector, namespace = dig(workload, "spec", "selector") or {}, str(dig(workload, "metadata", "namespace"))
        exact = selector.get("matchLabels") or {}
        near = min((self._by_label[namespace, key, value] for key, value in exact.items()), key=len, default=None)
        if near is None:
            near = [each for each in self.pods if dig(each[0], "metadata", "namespace") == namespace]
        return {proxy.release for pod, proxy in near if selector and matches(selector, labels(pod))}


def allowed(facts: Facts) -> Iterator[Found]:
    """Find a release that is blocked, deprecated or out of support, where somebody would still go to it."""
    release, mesh = facts.book.mesh.release, facts.book.mesh
    arriving = mesh.revision not in facts.driver.installed(facts.snapshot) or any(True for _ in facts.moving())
    for each in facts.snapshot.of(KIND) if arriving else ():
        if dig(each, "spec", "version") != release:
            continue
        found = from_body(each)
        last = found.decided
        by = f", {last.words}" if last is not None else ""
        if found.state in ("blocked", "deprecated"):
            yield Found(object=f"{KIND} {release}", because=f"it is {found.state}{by}")
        elif found.has_ended(facts.snapshot.taken_at):
            yield Found(object=f"{KIND} {release}", because=f"its support ended {found.ends:%Y-%m-%d}")


def bundles(facts: Facts) -> Iterator[Found]:
    """Find shared definitions whose objects the release would silently ignore."""
    for ref, why in facts.driver.kinds_ignored(facts.snapshot, facts.book.mesh.release).items():
        definition = facts.snapshot.get(ref)
        _, kind = kind_of(definition or {})
        if kind in facts.unread:
            yield Found(object=str(ref), because=f"{why}; whether there are any is not known", is_open=True)
        elif any(True for _ in facts.snapshot.of(kind)):
            yield Found(object=str(ref), because=why)
