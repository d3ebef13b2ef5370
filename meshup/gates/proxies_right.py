"""proxies-right: every live pod of each moved workload runs the proxy it should, read from the pod and never a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from meshup.gates.finding import ENDED, name_of, pods_by_service
from meshup.gates.gate import Eyes, Terms
from meshup.gates.judging import careful
from meshup.model.objects import Object, annotated, dig, labels, template
from meshup.model.verdict import Answer, Patience, Reading, Verdict

PODLESS = frozenset({"CronJob", "Job"})


class ProxiesRight:
    """A label for a revision that is not there starts bare pods without an error; only the pod itself tells.

    A pod keeps the proxy it was born with. One of the template as it is now that asks for the revision by name, and has no
    proxy or another one, is a fail: waiting can't mend it. One that asks for another revision and has that was moved by
    somebody else: unknown, and not waited for. One of an earlier template is on its way out: unknown.
    """

    kind: ClassVar[str] = "proxies-right"
    title: ClassVar[str] = "every pod runs a proxy of the right revision and release"
    reads: ClassVar[str] = "containers, native sidecars and annotations of each live pod"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {
        "release": (str, "", "release to find instead of the runbook's; none = no proxy at all"),
        "revision": (str, "", "revision to find instead of the runbook's"),
    }
    needs: ClassVar[frozenset[str]] = frozenset({"sidecars"})
    patience: ClassVar[Patience] = Patience(limit_s=180, every_s=5, in_a_row=2)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Give, per service, the proxy of each of its live pods. asks: the revision it names, if it is new."""
        found: dict[str, Any] = {}
        services = {each.id: each for each in eyes.services}
        for service_id, (workload, every) in pods_by_service(eyes, ended=True).items():
            service = services[service_id]
            if service.workload.kind in PODLESS:
                pods = sorted(every, key=lambda pod: str(dig(pod, "metadata", "creationTimestamp")))[-1:]
            else:
                pods = [pod for pod in every if dig(pod, "status", "phase") not in ENDED]
            seen = []
            for pod in pods:
                proxy = eyes.driver.proxy(pod)
                seen.append(
                    {
                        "pod": name_of(pod),
                        "asks": eyes.driver.asks(pod) if _is_current(pod, workload) else "",
                        "release": proxy.release if proxy else None,
                        "revision": proxy.revision if proxy else None,
                        "ready": (proxy.ready or dig(pod, "status", "phase") in ENDED) if proxy else None,
                    }
                )
            found[service_id] = {
                "podless": service.workload.kind in PODLESS,
                "there": workload is not None,
                "pods": seen,
            }
        want_none = terms.params.get("release") == "none" or eyes.revision == ""
        return {
            "services": found,
            "release": "" if want_none else str(terms.params.get("release") or eyes.book.mesh.release),
            "revision": "" if want_none else str(terms.params.get("revision") or eyes.revision),
        }

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Decide from the newest reading. No pods is unknown; a periodic job is judged by its newest run."""
        del terms
        data = readings[-1].data if readings else {}
        found, revision, release = data.get("services"), data.get("revision"), data.get("release")
        if not isinstance(found, Mapping) or not isinstance(revision, str) or not isinstance(release, str):
            return Verdict(answer=Answer.UNKNOWN, because="no pod was seen")
        count = 0
        for name, state in found.items():
            pods = state.get("pods") if isinstance(state, Mapping) else None
            if not isinstance(pods, list | tuple) or state.get("there") is not True:
                return Verdict(answer=Answer.UNKNOWN, because=f"{name}: its workload was not seen", names=(str(name),))
            if not pods:
                if state.get("podless") is True:
                    return Verdict(
                        answer=Answer.UNKNOWN,
                        because=f"{name}: it has not run yet; it waits for the next run",
                        names=(str(name),),
                    )
                return Verdict(
                    answer=Answer.UNKNOWN, because=f"{name}: no pods; zero pods satisfy nothing", names=(str(name),)
                )
            for pod in pods:
                wrong = _wrong(pod, revision, release)
                if wrong:
                    never = bool(revision) and pod.get("asks") == revision and not _is_right(pod, revision, release)
                    elsewhere = _asked_elsewhere(pod, revision)
                    because = f"{name}: pod {pod.get('pod')} {wrong}"
                    return Verdict(
                        answer=Answer.FAIL if never else Answer.UNKNOWN,
                        because=because + (f"; {elsewhere}" if elsewhere else ""),
                        object=f"Pod {pod.get('pod')}",
                        names=(str(name),),
                        hopeless=bool(elsewhere),
                    )
                count += 1
        if not count:
            return Verdict(answer=Answer.UNKNOWN, because="no pod was seen; nothing seen is not a pass")
        what = f"on {release}, revision {revision}" if revision else "without a proxy"
        return Verdict(answer=Answer.PASS, because=f"{count} pods {what}")


def _is_current(pod: Object, workload: Object | None) -> bool:
    """Tell whether a pod was made from its workload's template as it is now; what admission added does not matter."""
    meta = template(workload).get("metadata") if workload is not None else None
    if not isinstance(meta, Mapping):
        return False
    wanted = ((meta.get("labels") or {}, labels(pod)), (meta.get("annotations") or {}, annotated(pod)))
    return all(found.get(key) == value for asked, found in wanted for key, value in asked.items())


def _is_right(pod: Mapping[str, Any], revision: str, release: str) -> bool:
    return pod.get("revision") == revision and pod.get("release") == release


def _asked_elsewhere(pod: Mapping[str, Any], revision: str) -> str:
    """Say that a pod got what its workload asks for, by name, and that this is another revision; "" = it is not so."""
    asks = str(pod.get("asks") or "")
    if not revision or not asks or asks == revision or pod.get("revision") != asks:
        return ""
    return f"its workload asks for {asks}, which somebody set after the plan was made: a new plan takes it along"


def _wrong(pod: Mapping[str, Any], revision: str, release: str) -> str:
    if not revision:
        return "still has a proxy" if pod.get("release") is not None else ""
    if pod.get("release") is None:
        return "has no proxy"
    if pod.get("revision") != revision:
        return f"is on revision {pod.get('revision') or 'unknown'}, wanted {revision}"
    if pod.get("release") != release:
        return f"runs {pod.get('release') or 'an unknown release'}, wanted {release}"
    return "" if pod.get("ready") is True else "has a proxy that is not ready"
