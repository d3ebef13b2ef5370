"""workloads-ready: every workload of the wave is rolled out and its pods are ready."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from meshup.gates.finding import name_of, pods_by_service, ready
from meshup.gates.gate import Eyes, Terms
from meshup.gates.judging import careful
from meshup.model.objects import Object, dig, labels, matches, ref_of, template
from meshup.model.rollout import rollout, trouble
from meshup.model.text import amount, clean
from meshup.model.verdict import Answer, Patience, Reading, Verdict

GATEWAY = "ingress-gateway"
"""Step of a stage that moves the gateway."""
PODLESS = frozenset({"CronJob", "Job"})


class WorkloadsReady:
    """Judges rollouts by the controllers' own status, and pods by what they say of themselves."""

    kind: ClassVar[str] = "workloads-ready"
    title: ClassVar[str] = "every workload is rolled out and its pods are ready"
    reads: ClassVar[str] = "the status of each workload and its pods"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {}
    needs: ClassVar[frozenset[str]] = frozenset()
    patience: ClassVar[Patience] = Patience(limit_s=300, every_s=5, in_a_row=2)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Give, per service, what its rollout and pods say."""
        del terms
        found: dict[str, Any] = {}
        extra = eyes.driver.render(eyes.book.mesh).ready if not eyes.services else ()
        for ref in extra:
            obj = eyes.cluster.find(ref)
            state = rollout(obj) if obj is not None else None
            found[str(ref)] = {
                "object": str(ref),
                "there": obj is not None,
                "done": bool(state and state.done),
                "podless": False,
                "because": state.because if state else "it is not there",
                "pods": 1,
                "ready": int(bool(state and state.done)),
                "hopeless": bool(state and state.hopeless),
                "trouble": "",
            }
        found.update({str(ref_of(each)): _of_gateway(each) for each in _behind_gateway(eyes)})
        services = {each.id: each for each in eyes.services}
        for service_id, (workload, pods) in pods_by_service(eyes).items():
            service = services[service_id]
            state = rollout(workload) if workload is not None else None
            suffering = [(name_of(pod), trouble(pod)) for pod in pods if trouble(pod)]
            found[service_id] = {
                "object": str(service.workload),
                "there": workload is not None,
                "done": bool(state and state.done),
                "because": state.because if state else "it is not there",
                "hopeless": bool(state and state.hopeless),
                "podless": service.workload.kind in PODLESS or dig(workload, "spec", "replicas") == 0,
                "pods": len(pods),
                "ready": sum(ready(pod) for pod in pods),
                "trouble": clean(f"pod {suffering[0][0]}: {suffering[0][1]}", limit=300) if suffering else "",
            }
        return {"workloads": found}

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Decide from the newest reading."""
        del terms
        found = readings[-1].data.get("workloads") if readings else None
        if not isinstance(found, Mapping) or not found:
            return Verdict(answer=Answer.UNKNOWN, because="no workload was seen; nothing seen is not a pass")
        waiting: list[tuple[str, Mapping[str, Any]]] = []
        for name, state in found.items():
            if not isinstance(state, Mapping) or not isinstance(state.get("pods"), int):
                return Verdict(answer=Answer.UNKNOWN, because=f"what was read of {name} is not complete")
            if state.get("hopeless") is True or (state.get("trouble") and not state.get("done")):
                text = str(state.get("trouble") or state.get("because"))
                return Verdict(
                    answer=Answer.FAIL,
                    because=f"{name}: {text}",
                    object=str(state.get("object")),
                    names=(str(name),),
                    hopeless=True,
                )
            has_pods = state.get("podless") is True or state["pods"] > 0
            if (
                state.get("there") is not True
                or state.get("done") is not True
                or not has_pods
                or (state["pods"] != state.get("ready") and state.get("podless") is not True)
            ):
                waiting.append((str(name), state))
        if waiting:
            name, state = waiting[0]
            because = (
                state.get("because")
                if state.get("done") is not True
                else f"{state.get('ready')}/{state['pods']} pods ready"
            )
            if state["pods"] == 0 and state.get("done") is True:
                because = "no pods; zero pods satisfy nothing"
            more = f" (+{len(waiting) - 1} more)" if len(waiting) > 1 else ""
            return Verdict(
                answer=Answer.UNKNOWN,
                because=f"{name}: {because}{more}",
                object=str(state.get("object")),
                names=tuple(each for each, _ in waiting),
            )
        total = sum(int(state["pods"]) for state in found.values())
        return Verdict(
            answer=Answer.PASS, because=f"{amount(len(found), 'workload')} rolled out, {amount(total, 'pod')} ready"
        )


def _behind_gateway(eyes: Eyes) -> Iterator[Object]:
    """Yield the Deployments whose pods the gateway's Service selects, in a stage that moves it."""
    ingress, name = eyes.book.ingress, eyes.place.partition("/")[0]
    moves = any(step.kind == GATEWAY for stage in eyes.book.stages if stage.name == name for step in stage.steps)
    service = eyes.cluster.find(eyes.driver.gateway_service(ingress)) if ingress is not None and moves else None
    selector = dig(service, "spec", "selector")
    for each in eyes.cluster.list("apps/v1", "Deployment", namespace=ingress.namespace) if ingress and selector else ():
        if matches({"matchLabels": selector}, labels(template(each))):
            yield each


def _of_gateway(deployment: Object) -> dict[str, Any]:
    state, wanted = rollout(deployment), dig(deployment, "spec", "replicas")
    return {
        "object": str(ref_of(deployment)),
        "there": True,
        "done": state.done,
        "podless": wanted == 0,
        "because": state.because,
        "pods": 1 if wanted is None else int(wanted),
        "ready": int(dig(deployment, "status", "readyReplicas") or 0),
        "hopeless": state.hopeless,
        "trouble": "",
    }
