"""What stands in the columns of built-in kinds after the name, after the real server's printers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from meshup.model.objects import dig
from meshup.simulate.api import workload_cells as work
from meshup.simulate.api.ages import NONE, age, age_of, joined, selector
from meshup.simulate.api.store import Obj

Cells: TypeAlias = Callable[[Obj, datetime], list[Any]]


def _service(obj: Obj, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    sort = spec.get("type", "ClusterIP")
    outside = [*(spec.get("externalIPs") or ())]
    if sort == "ExternalName":
        outside = [spec.get("externalName", "")]
    elif sort == "LoadBalancer":
        found = dig(obj, "status", "loadBalancer", "ingress") or ()
        outside = [each.get("ip") or each.get("hostname", "") for each in found] + outside or ["<pending>"]
    ports = []
    for each in spec.get("ports") or ():
        node = f":{each['nodePort']}" if each.get("nodePort") else ""
        ports.append(f"{each['port']}{node}/{each.get('protocol', 'TCP')}")
    chosen = spec.get("selector") or {}
    return [
        sort,
        spec.get("clusterIP") or NONE,
        joined(outside),
        joined(ports),
        age_of(obj, now),
        joined(f"{key}={value}" for key, value in sorted(chosen.items())),
    ]


def _ingress(obj: Obj, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    hosts = [each["host"] for each in spec.get("rules") or () if each.get("host")]
    shown = joined(hosts[:3], "*") + (f" + {len(hosts) - 3} more..." if len(hosts) > 3 else "")
    found = dig(obj, "status", "loadBalancer", "ingress") or ()
    addresses = joined((each.get("ip") or each.get("hostname", "") for each in found), "")
    return [
        spec.get("ingressClassName") or NONE,
        shown,
        addresses,
        "80, 443" if spec.get("tls") else "80",
        age_of(obj, now),
    ]


def _autoscaler(obj: Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    current = status.get("currentMetrics") or []
    shown = []
    for number, metric in enumerate(spec.get("metrics") or ()):
        sort = metric["type"][0].lower() + metric["type"][1:]
        wanted = dig(metric, sort, "target") or {}
        seen = dig(current, number, sort, "current") or {}
        name = dig(metric, sort, "name") or dig(metric, sort, "metric", "name") or ""
        if "averageUtilization" in wanted:
            now_text = f"{seen['averageUtilization']}%" if "averageUtilization" in seen else "<unknown>"
            shown.append(f"{name}: {now_text}/{wanted['averageUtilization']}%")
        else:
            value = wanted.get("averageValue") or wanted.get("value")
            shown.append(f"{name}: {seen.get('averageValue') or seen.get('value') or '<unknown>'}/{value}")
    return [
        f"{target.get('kind')}/{target.get('name')}",
        ", ".join(shown) or NONE,
        str(spec["minReplicas"]) if spec.get("minReplicas") is not None else "<unset>",
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age_of(obj, now),
    ]


def _budget(obj: Obj, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    allowed = dig(obj, "status", "disruptionsAllowed") or 0
    return [
        str(least) if least is not None else "N/A",
        str(most) if most is not None else "N/A",
        allowed,
        age_of(obj, now),
    ]


def _node(obj: Obj, now: datetime) -> list[Any]:
    status = obj.get("status") or {}
    ready = next((each["status"] for each in status.get("conditions") or () if each["type"] == "Ready"), "Unknown")
    state = "Ready" if ready == "True" else "NotReady" if ready == "False" else "Unknown"
    if dig(obj, "spec", "unschedulable"):
        state += ",SchedulingDisabled"
    stem = "node-role.kubernetes.io/"
    roles = sorted(each.removeprefix(stem) for each in obj["metadata"].get("labels") or {} if each.startswith(stem))
    found = {each["type"]: each["address"] for each in status.get("addresses") or ()}
    told = status.get("nodeInfo") or {}
    return [
        state,
        joined(roles),
        age_of(obj, now),
        told.get("kubeletVersion", ""),
        found.get("InternalIP", NONE),
        found.get("ExternalIP", NONE),
        told.get("osImage") or "<unknown>",
        told.get("kernelVersion") or "<unknown>",
        told.get("containerRuntimeVersion") or "<unknown>",
    ]


def _event(obj: Obj, now: datetime) -> list[Any]:
    about = obj.get("involvedObject") or {}
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    last = dig(obj, "series", "lastObservedTime") or obj.get("lastTimestamp") or first
    source = dig(obj, "source", "component") or obj.get("reportingComponent") or ""
    host = dig(obj, "source", "host")
    return [
        age(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}",
        about.get("fieldPath", ""),
        f"{source}, {host}" if host else source,
        str(obj.get("message", "")).strip(),
        age(first, now),
        dig(obj, "series", "count") or obj.get("count") or 1,
        obj["metadata"]["name"],
    ]


def _binding(obj: Obj, now: datetime) -> list[Any]:
    ref = obj.get("roleRef") or {}
    by: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for each in obj.get("subjects") or ():
        name = f"{each.get('namespace', '')}/{each['name']}" if each["kind"] == "ServiceAccount" else each["name"]
        by.setdefault(each["kind"], []).append(name)
    shown = [", ".join(by[each]) for each in ("User", "Group", "ServiceAccount")]
    return [f"{ref.get('kind')}/{ref.get('name')}", age_of(obj, now), *shown]


def _claim(obj: Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    bound = bool(spec.get("volumeName"))
    return [
        status.get("phase", ""),
        spec.get("volumeName", ""),
        dig(status, "capacity", "storage") or "" if bound else "",
        joined((short.get(each, each) for each in status.get("accessModes") or ()), "") if bound else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        age_of(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _endpoints(obj: Obj, now: datetime) -> list[Any]:
    found = []
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ({"port": ""},):
            found += [f"{each['ip']}:{port['port']}" for each in subset.get("addresses") or ()]
    shown = joined(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")
    return [shown, age_of(obj, now)]


def _slice(obj: Obj, now: datetime) -> list[Any]:
    ports = joined((each.get("port", "*") for each in obj.get("ports") or ()), "<unset>")
    found = [address for each in obj.get("endpoints") or () for address in each.get("addresses") or ()]
    shown = joined(found[:3], "<unset>") + (f" + {len(found) - 3} more..." if len(found) > 3 else "")
    return [obj.get("addressType", ""), ports, shown, age_of(obj, now)]


def _quota(obj: Obj, now: datetime) -> list[Any]:
    hard, used = dig(obj, "status", "hard") or {}, dig(obj, "status", "used") or {}
    pairs = [(key, f"{key}: {used.get(key, '0')}/{value}") for key, value in sorted(hard.items())]
    asked = ", ".join(text for key, text in pairs if not key.startswith("limits."))
    limits = ", ".join(text for key, text in pairs if key.startswith("limits."))
    return [asked, limits, age_of(obj, now)]


def _counting(field: str) -> Cells:
    return lambda obj, now: [len(obj.get(field) or ()), age_of(obj, now)]


BY_PLURAL: dict[tuple[str, str], Cells] = {
    ("", "pods"): work.pod,
    ("", "services"): _service,
    ("", "endpoints"): _endpoints,
    ("", "nodes"): _node,
    ("", "events"): _event,
    ("", "resourcequotas"): _quota,
    ("", "persistentvolumeclaims"): _claim,
    ("", "configmaps"): lambda obj, now: [
        len(obj.get("data") or ()) + len(obj.get("binaryData") or ()),
        age_of(obj, now),
    ],
    ("", "secrets"): lambda obj, now: [obj.get("type", ""), len(obj.get("data") or ()), age_of(obj, now)],
    ("", "namespaces"): lambda obj, now: [dig(obj, "status", "phase") or "", age_of(obj, now)],
    ("", "serviceaccounts"): _counting("secrets"),
    ("apps", "deployments"): work.deployment,
    ("apps", "replicasets"): work.replica_set,
    ("", "replicationcontrollers"): work.replica_set,
    ("apps", "statefulsets"): work.stateful_set,
    ("apps", "daemonsets"): work.daemon_set,
    ("apps", "controllerrevisions"): lambda obj, now: [
        next(
            (f"{each['kind'].lower()}.apps/{each['name']}" for each in obj["metadata"].get("ownerReferences") or ()),
            NONE,
        ),
        obj.get("revision", 0),
        age_of(obj, now),
    ],
    ("batch", "jobs"): work.job,
    ("batch", "cronjobs"): work.cron_job,
    ("autoscaling", "horizontalpodautoscalers"): _autoscaler,
    ("policy", "poddisruptionbudgets"): _budget,
    ("networking.k8s.io", "ingresses"): _ingress,
    ("networking.k8s.io", "networkpolicies"): lambda obj, now: [
        selector(dig(obj, "spec", "podSelector")),
        age_of(obj, now),
    ],
    ("networking.k8s.io", "ingressclasses"): lambda obj, now: [
        dig(obj, "spec", "controller") or "",
        NONE,
        age_of(obj, now),
    ],
    ("coordination.k8s.io", "leases"): lambda obj, now: [dig(obj, "spec", "holderIdentity") or "", age_of(obj, now)],
    ("discovery.k8s.io", "endpointslices"): _slice,
    ("rbac.authorization.k8s.io", "rolebindings"): _binding,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _binding,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): _counting("webhooks"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): _counting("webhooks"),
    ("scheduling.k8s.io", "priorityclasses"): lambda obj, now: [
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        age_of(obj, now),
        obj.get("preemptionPolicy", ""),
    ],
}
