"""Quantities, ResourceQuota and LimitRange."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from meshup.simulate.api.store import Obj, Store, copied

UNITS = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
}
QUOTAS = ("", "resourcequotas")
PODS = ("", "pods")
COUNTED = {
    "pods": "pods",
    "services": "services",
    "configmaps": "configmaps",
    "secrets": "secrets",
    "persistentvolumeclaims": "persistentvolumeclaims",
    "replicationcontrollers": "replicationcontrollers",
}


def quantity(text: Any) -> Decimal:
    """Read a quantity such as 100m, 1Gi, 2. Raises ValueError."""
    raw = str(text)
    for size in (2, 1, 0):
        unit = raw[len(raw) - size :] if size else ""
        if unit in UNITS and (size == 0 or unit):
            try:
                return Decimal(raw[: len(raw) - size] or "x") * UNITS[unit]
            except InvalidOperation:
                continue
    raise ValueError(f"{raw!r} is no quantity")


def shown(value: Decimal, like: str) -> str:
    """Write a quantity in the unit family of another."""
    if value == 0:
        return "0"
    if like.endswith("i"):
        for unit in ("Gi", "Mi", "Ki"):
            if value % UNITS[unit] == 0:
                return f"{int(value / UNITS[unit])}{unit}"
    if value == value.to_integral_value():
        return str(int(value))
    return f"{int(value * 1000)}m"


def asked(spec: Obj) -> dict[str, Decimal]:
    """Give what a pod counts for in quotas: the larger of its containers together and its largest init step."""
    totals: dict[str, Decimal] = {"pods": Decimal(1), "count/pods": Decimal(1)}
    for kind in ("requests", "limits"):
        for name in ("cpu", "memory", "ephemeral-storage"):
            running = sum((_one(each, kind, name) for each in spec.get("containers") or ()), Decimal(0))
            natives = Decimal(0)
            peak = Decimal(0)
            for each in spec.get("initContainers") or ():
                if each.get("restartPolicy") == "Always":
                    natives += _one(each, kind, name)
                else:
                    peak = max(peak, natives + _one(each, kind, name))
            value = max(running + natives, peak)
            totals[f"{kind}.{name}"] = value
            if kind == "requests":
                totals[name] = value
    return totals


def _one(container: Obj, kind: str, name: str) -> Decimal:
    raw = ((container.get("resources") or {}).get(kind) or {}).get(name)
    return quantity(raw) if raw is not None else Decimal(0)


def used(store: Store, namespace: str, hard: dict[str, str]) -> dict[str, Decimal]:
    """Sum up what a namespace uses of each limit of a quota."""
    totals = {name: Decimal(0) for name in hard}
    alive = [
        each
        for each in store.list(PODS, namespace)
        if (each.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    ]
    for pod in alive:
        for name, value in asked(pod["spec"]).items():
            if name in totals:
                totals[name] += value
    for name in hard:
        counted = name.removeprefix("count/")
        if name != "pods" and counted in COUNTED and counted != "pods":
            totals[name] = Decimal(sum(1 for _ in store.list(("", counted), namespace)))
    return totals


def refusal(store: Store, namespace: str, plural: str, spec: Obj) -> str:
    """Give the message a new object is refused with; "" when quotas allow it."""
    for quota in store.list(QUOTAS, namespace):
        hard = (quota.get("spec") or {}).get("hard") or {}
        name = quota["metadata"]["name"]
        wants = asked(spec) if plural == "pods" else {plural: Decimal(1), f"count/{plural}": Decimal(1)}
        relevant = {key: value for key, value in wants.items() if key in hard}
        if not relevant:
            continue
        if plural == "pods":
            unset = [key for key in hard if _must_be_set(key) and not _is_set(spec, key)]
            if unset:
                parts = "; ".join(f"{key} for: {','.join(_missing(spec, key))}" for key in sorted(unset))
                return f"failed quota: {name}: must specify {parts}"
        now = used(store, namespace, hard)
        over = sorted(key for key, value in relevant.items() if value and now[key] + value > quantity(hard[key]))
        if over:
            asked_text = ",".join(f"{key}={shown(relevant[key], str(hard[key]))}" for key in over)
            used_text = ",".join(f"{key}={shown(now[key], str(hard[key]))}" for key in over)
            hard_text = ",".join(f"{key}={hard[key]}" for key in over)
            return f"exceeded quota: {name}, requested: {asked_text}, used: {used_text}, limited: {hard_text}"
    return ""


def _must_be_set(key: str) -> bool:
    return key in ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")


def _missing(spec: Obj, key: str) -> list[str]:
    kind, _, name = key.rpartition(".")
    return [
        each["name"]
        for each in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
        if ((each.get("resources") or {}).get(kind or "requests") or {}).get(name) is None
    ]


def _is_set(spec: Obj, key: str) -> bool:
    return not _missing(spec, key)


def limited(store: Store, namespace: str, pod: Obj) -> Obj:
    """Give a pod with the default requests and limits of the namespace's LimitRanges."""
    ranges = list(store.list(("", "limitranges"), namespace))
    if not ranges:
        return pod
    made: Obj = copied(pod)
    told: list[str] = []
    for limit_range in ranges:
        for each in (limit_range.get("spec") or {}).get("limits") or ():
            if each.get("type") != "Container":
                continue
            for container in [*(made["spec"].get("containers") or ()), *(made["spec"].get("initContainers") or ())]:
                resources = container.setdefault("resources", {})
                for sort, title, field in (("requests", "request", "defaultRequest"), ("limits", "limit", "default")):
                    for name, value in (each.get(field) or {}).items():
                        if name not in resources.setdefault(sort, {}):
                            resources[sort][name] = value
                            told.append(f"{name} {title} for container {container['name']}")
    if told:
        notes = {**(made["metadata"].get("annotations") or {})}
        notes["kubernetes.io/limit-ranger"] = "LimitRanger plugin set: " + "; ".join(told)
        made["metadata"] = {**made["metadata"], "annotations": notes}
    return made


def canonical(text: Any) -> Any:
    """Write a quantity in its shortest form, as the real server stores it: 0.5 -> 500m, 1024Mi -> 1Gi."""
    if not isinstance(text, str | int | float) or isinstance(text, bool):
        return text
    try:
        value = quantity(text)
    except ValueError:
        return text
    raw = str(text)
    if value == 0:
        return "0"
    if raw.endswith("i"):
        if value == value.to_integral_value():
            for unit in ("Pi", "Ti", "Gi", "Mi", "Ki"):
                if value % UNITS[unit] == 0:
                    return f"{int(value / UNITS[unit])}{unit}"
            return str(int(value))
        return f"{int(value * 1000)}m"
    for unit in ("P", "T", "G", "M", "k", "", "m", "u", "n"):
        if value % UNITS[unit] == 0:
            return f"{int(value / UNITS[unit])}{unit}"
    return raw


def out_of_bounds(store: Store, namespace: str, spec: Obj) -> str:
    """Say where a pod leaves the bounds of a LimitRange; "" when it does not."""
    for each in store.list(("", "limitranges"), namespace):
        for limit in (each.get("spec") or {}).get("limits") or ():
            if limit.get("type") != "Container":
                continue
            for container in spec.get("containers") or ():
                found = _outside(container.get("resources") or {}, limit)
                if found:
                    return found
    return ""


def _outside(resources: Obj, limit: Obj) -> str:
    asked_for, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for name, least in (limit.get("min") or {}).items():
        if name not in asked_for:
            return f"minimum {name} usage per Container is {least}.  No request is specified"
        if quantity(asked_for[name]) < quantity(least):
            return f"minimum {name} usage per Container is {least}, but request is {asked_for[name]}"
    for name, most in (limit.get("max") or {}).items():
        if name not in limits:
            return f"maximum {name} usage per Container is {most}.  No limit is specified"
        if quantity(limits[name]) > quantity(most):
            return f"maximum {name} usage per Container is {most}, but limit is {limits[name]}"
    return ""
