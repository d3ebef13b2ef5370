"""quota-fits: quotas and limit ranges hold a sidecar for every pod the autoscaler may make, and the surge of a rollout."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal

from meshup.gates.preflight.facts import Facts, Found
from meshup.model.objects import Object, containers, dig, labels, matches, template
from meshup.model.quantity import quantity
from meshup.model.runbook import Service

NAMES = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
SAME = {"cpu": "requests.cpu", "memory": "requests.memory", "count/pods": "pods"}
"""Other spellings of a quota's resources."""

NEVER = frozenset({"BestEffort", "Terminating", "CrossNamespacePodAffinity"})
"""Scopes of quotas that a pod with a sidecar, which has requests and no deadline, does not count towards."""

Chosen = list[tuple[Service, Object]]


def fits(facts: Facts) -> Iterator[Found]:
    """Compare, per namespace, what is left with what the move takes."""
    spaces: dict[str, Chosen] = {}
    for service, workload in facts.services():
        spaces.setdefault(service.namespace, []).append((service, workload))
    for namespace, chosen in spaces.items():
        ranges = list(facts.snapshot.of("LimitRange", namespace))
        for each in facts.snapshot.of("ResourceQuota", namespace):
            yield from _quota(facts, each, [pair for pair in chosen if _counts(each, pair[1])], ranges)
        for each in ranges:
            for service, workload in chosen:
                yield from _range(facts, each, service, workload)


def _counts(quota: Object, workload: Object) -> bool:
    """Tell whether a workload's pods count towards a quota: its scopes say."""
    priority = str(dig(template(workload), "spec", "priorityClassName") or "")
    if NEVER & set(dig(quota, "spec", "scopes") or ()):
        return False
    for rule in dig(quota, "spec", "scopeSelector", "matchExpressions") or ():
        scope, values = rule.get("scopeName"), rule.get("values") or ()
        if scope in NEVER:
            return False
        if scope != "PriorityClass":
            continue
        match rule.get("operator"):
            case "In" if priority not in values:
                return False
            case "NotIn" if priority in values:
                return False
            case "Exists" if not priority:
                return False
            case "DoesNotExist" if priority:
                return False
    return True


def _quota(facts: Facts, quota: Object, chosen: Chosen, ranges: list[Object]) -> Iterator[Found]:
    what = f"ResourceQuota {dig(quota, 'metadata', 'namespace')}/{dig(quota, 'metadata', 'name')}"
    need: dict[str, Decimal] = dict.fromkeys((*NAMES, "pods"), Decimal(0))
    for _, workload in chosen:
        for name, amount in _takes(facts, workload).items():
            need[name] += amount
    hard, used = dig(quota, "status", "hard") or dig(quota, "spec", "hard") or {}, dig(quota, "status", "used")
    for key, limit in hard.items():
        name = SAME.get(key, key)
        if name not in need:
            continue
        unset = [each.id for each, workload in chosen if name in NAMES and _unset(facts, workload, name, ranges)]
        if unset:
            why = f"{key}: the sidecar of {unset[0]} states no {name}, so that its pods are refused"
            yield Found(object=what, because=why, service=unset[0])
        elif not need[name]:
            continue
        elif used is None or key not in used:
            yield Found(object=what, because=f"{key}: the server does not say yet what is used", is_open=True)
        elif need[name] > (left := quantity(limit) - quantity(used[key])):
            why = f"{key}: sidecars and surge may need {_text(name, need[name])}, {_text(name, left)} are left"
            yield Found(object=what, because=why)


def _takes(facts: Facts, workload: Object) -> dict[str, Decimal]:
    """Give what one workload's move takes: sidecars for all pods it may have, less those it has, and its pods' surge."""
    surge = rolling(facts, workload)
    pods = most_pods(facts, workload) + surge - _with_sidecar(facts, workload)
    asked = facts.driver.sidecar_resources(workload, facts.book.mesh)
    found = {name: amount * max(0, pods) + _own(workload, name) * surge for name, amount in asked.items()}
    return {**found, "pods": Decimal(surge)}


def _own(workload: Object, name: str) -> Decimal:
    block, _, resource = name.partition(".")
    spec = dig(template(workload), "spec") or {}
    stated = [dig(each, "resources", block, resource) for each in containers(spec)]
    return sum((quantity(each) for each in stated if each is not None), Decimal(0))


def _unset(facts: Facts, workload: Object, name: str, ranges: list[Object]) -> bool:
    """Tell whether nobody states a resource for the sidecar that a quota wants stated; a limit stands for its request."""
    asked = facts.driver.sidecar_resources(workload, facts.book.mesh)
    block, _, resource = name.partition(".")
    if name in asked or (block == "requests" and f"limits.{resource}" in asked):
        return False
    given = ("default",) if block == "limits" else ("defaultRequest", "default")
    items = [each for one in ranges for each in dig(one, "spec", "limits") or () if each.get("type") == "Container"]
    return not any(dig(each, key, resource) is not None for each in items for key in given)


def _with_sidecar(facts: Facts, workload: Object) -> int:
    selector = dig(workload, "spec", "selector")
    if workload.get("kind") == "CronJob" or selector is None:
        return 0
    pods = facts.snapshot.of("Pod", str(dig(workload, "metadata", "namespace")))
    return sum(
        matches(selector, labels(each))
        and dig(each, "status", "phase") not in ("Succeeded", "Failed")
        and facts.driver.proxy(each) is not None
        for each in pods
    )


def most_pods(facts: Facts, workload: Object) -> int:
    """Give how many pods a workload may have: what its autoscaler may make, or what it wants now."""
    wanted = facts.pods(workload)
    for each in facts.snapshot.of("HorizontalPodAutoscaler", str(dig(workload, "metadata", "namespace"))):
        target = dig(each, "spec", "scaleTargetRef") or {}
        if target.get("name") == dig(workload, "metadata", "name") and target.get("kind") == workload.get("kind"):
            return max(wanted, int(dig(each, "spec", "maxReplicas") or 1))
    return wanted


def rolling(facts: Facts, workload: Object) -> int:
    """Give how many pods a rolling update adds for a while; a share of pods is rounded up."""
    kind = workload.get("kind")
    if kind not in ("Deployment", "DaemonSet") or dig(workload, "spec", "strategy", "type") == "Recreate":
        return 0
    block = "strategy" if kind == "Deployment" else "updateStrategy"
    raw = dig(workload, "spec", block, "rollingUpdate", "maxSurge")
    usual = "25%" if kind == "Deployment" else 0
    return share(usual if raw is None else raw, most_pods(facts, workload), up=True)


def share(raw: int | str, pods: int, *, up: bool) -> int:
    """Read a number of pods, or a share of them such as 25%."""
    if isinstance(raw, str) and raw.endswith("%"):
        exact = Decimal(pods) * Decimal(raw[:-1]) / 100
        return math.ceil(exact) if up else math.floor(exact)
    return int(raw)


def _range(facts: Facts, limits: Object, service: Service, workload: Object) -> Iterator[Found]:
    """Find limits for one container, or one pod, that the sidecar breaks: the server refuses such pods."""
    what = f"LimitRange {service.namespace}/{dig(limits, 'metadata', 'name')}"
    asked = facts.driver.sidecar_resources(workload, facts.book.mesh)
    for each in dig(limits, "spec", "limits") or ():
        whole = each.get("type") == "Pod"
        if not whole and each.get("type") != "Container":
            continue
        for resource, most in (each.get("max") or {}).items():
            name = f"limits.{resource}"
            stated = asked.get(name)
            if stated is not None and (total := stated + (_own(workload, name) if whole else 0)) > quantity(most):
                why = f"a {each['type'].lower()} may have {_text(name, quantity(most))} {resource}, "
                why += f"{'the pod with its sidecar' if whole else 'the sidecar'} has {_text(name, total)}"
                yield Found(object=what, because=why, service=service.id)
        for resource, ratio in ({} if whole else each.get("maxLimitRequestRatio") or {}).items():
            wide = _ratio(asked, resource)
            if wide is not None and wide > quantity(ratio):
                why = f"{resource}: a limit may be {ratio} times its request, the sidecar's is {wide:.3g} times"
                yield Found(object=what, because=why, service=service.id)


def _ratio(asked: Mapping[str, Decimal], resource: str) -> Decimal | None:
    limit, request = asked.get(f"limits.{resource}"), asked.get(f"requests.{resource}")
    return limit / request if limit is not None and request else None


def _text(name: str, amount: Decimal) -> str:
    return f"{amount / 2**20:.0f}Mi" if name.endswith("memory") else f"{amount.normalize():f}"
