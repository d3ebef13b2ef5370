"""What stands in the columns of built-in kinds after the name, after the real server's printers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

from meshup.model.objects import dig
from meshup.simulate.api.store import Obj

Cells: TypeAlias = Callable[[Obj, datetime], list[Any]]
NONE = "<none>"


def age(time: Any, now: datetime) -> str:
    """Write how long ago a time was, as kubectl does: 5s, 3m20s, 2h, 4d."""
    if not time:
        return "<unknown>"
    try:
        then = datetime.fromisoformat(str(time)).astimezone(UTC)
    except ValueError:
        return "<invalid>"
    return duration((now - then).total_seconds())


def duration(seconds: float) -> str:
    """Write seconds in at most two units, after duration.HumanDuration."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    if total < 0:
        return "0s"
    if total < 120:
        return f"{total}s"
    minutes, rest = divmod(total, 60)
    if minutes < 10:
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return f"{hours // 24}d{hours % 24}h" if hours % 24 else f"{hours // 24}d"
    days = hours // 24
    if days < 730:
        return f"{days}d"
    years = days // 365
    return f"{years}y{days % 365}d" if years < 8 and days % 365 else f"{years}y"


def _age(obj: Obj, now: datetime) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _join(values: Any, empty: str = NONE) -> str:
    found = [str(each) for each in values]
    return ",".join(found) if found else empty


def selector(found: Any) -> str:
    """Write a label selector in one line."""
    if found is None:
        return NONE
    parts = [f"{key}={value}" for key, value in sorted((found.get("matchLabels") or {}).items())]
    for rule in found.get("matchExpressions") or ():
        values = ",".join(sorted(rule.get("values") or ()))
        match rule["operator"]:
            case "In":
                parts.append(f"{rule['key']} in ({values})")
            case "NotIn":
                parts.append(f"{rule['key']} notin ({values})")
            case "Exists":
                parts.append(rule["key"])
            case _:
                parts.append(f"!{rule['key']}")
    return ",".join(parts) if parts else NONE


def _wide(template: Any) -> list[str]:
    several = dig(template, "spec", "containers") or ()
    return [_join((each["name"] for each in several), ""), _join((each.get("image", "") for each in several), "")]


def pod_reason(pod: Obj) -> tuple[int, int, int, str]:
    """Give ready and total containers, restarts, and the word kubectl shows for a pod's state."""
    status = pod.get("status") or {}
    reason = status.get("reason") or status.get("phase") or "Unknown"
    for each in dig(pod, "status", "conditions") or ():
        if each.get("type") == "PodScheduled" and each.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    inits = {each["name"]: each for each in dig(pod, "spec", "initContainers") or ()}
    sidecars = {name for name, each in inits.items() if each.get("restartPolicy") == "Always"}
    total = len(dig(pod, "spec", "containers") or ()) + len(sidecars)
    ready = restarts = 0
    starting = False
    for number, each in enumerate(status.get("initContainerStatuses") or ()):
        if each["name"] in sidecars:
            restarts += each.get("restartCount", 0)
        state = each.get("state") or {}
        ended = state.get("terminated")
        if ended is not None and ended.get("exitCode") == 0:
            continue
        if each["name"] in sidecars and each.get("started"):
            ready += bool(each.get("ready"))
            continue
        waiting = state.get("waiting") or {}
        if ended is not None:
            reason = f"Init:{ended.get('reason') or 'ExitCode:' + str(ended.get('exitCode'))}"
        elif waiting.get("reason") and waiting["reason"] != "PodInitializing":
            reason = f"Init:{waiting['reason']}"
        else:
            reason = f"Init:{number}/{len(inits)}"
        starting = True
        break
    if not starting:
        running = False
        for each in reversed(status.get("containerStatuses") or ()):
            restarts += each.get("restartCount", 0)
            state = each.get("state") or {}
            if dig(state, "waiting", "reason"):
                reason = state["waiting"]["reason"]
            elif "terminated" in state:
                ended = state["terminated"]
                reason = ended.get("reason") or f"ExitCode:{ended.get('exitCode')}"
            elif each.get("ready") and "running" in state:
                running = True
                ready += 1
        if reason == "Completed" and running:
            fine = any(
                each.get("type") == "Ready" and each.get("status") == "True" for each in status.get("conditions") or ()
            )
            reason = "Running" if fine else "NotReady"
    if pod["metadata"].get("deletionTimestamp"):
        reason = "Terminating"
    return ready, total, restarts, str(reason)


def _pod(pod: Obj, now: datetime) -> list[Any]:
    ready, total, restarts, reason = pod_reason(pod)
    gates = dig(pod, "spec", "readinessGates") or ()
    address = dig(pod, "status", "podIP") or NONE
    node = dig(pod, "spec", "nodeName") or NONE
    nominated = dig(pod, "status", "nominatedNodeName") or NONE
    passed = f"0/{len(gates)}" if gates else NONE
    return [f"{ready}/{total}", reason, str(restarts), _age(pod, now), address, node, nominated, passed]


def _deployment(obj: Obj, now: datetime) -> list[Any]:
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [
        ready,
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        _age(obj, now),
        *_wide(spec.get("template")),
        selector(spec.get("selector")),
    ]


def _replica_set(obj: Obj, now: datetime) -> list[Any]:
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    return [
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        _age(obj, now),
        *_wide(spec.get("template")),
        selector(spec.get("selector")),
    ]


def _stateful_set(obj: Obj, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    ready = f"{dig(obj, 'status', 'readyReplicas') or 0}/{spec.get('replicas', 0)}"
    return [ready, _age(obj, now), *_wide(spec.get("template"))]


def _daemon_set(obj: Obj, now: datetime) -> list[Any]:
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    names = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled")
    nodes = dig(spec, "template", "spec", "nodeSelector") or {}
    return [
        *(status.get(each, 0) for each in names),
        status.get("numberAvailable", 0),
        _join(f"{key}={value}" for key, value in sorted(nodes.items())),
        _age(obj, now),
        *_wide(spec.get("template")),
        selector(spec.get("selector")),
    ]


def _job(obj: Obj, now: datetime) -> list[Any]:
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    state = "Running"
    for each in status.get("conditions") or ():
        if each.get("status") == "True" and each.get("type") in ("Complete", "Failed", "Suspended"):
            state = each["type"]
    if spec.get("suspend") and state == "Running":
        state = "Suspended"
    done = status.get("succeeded", 0)
    asked = spec.get("completions")
    wanted = f"{done}/{asked}" if asked is not None else f"{done}/1 of {spec.get('parallelism', 1)}"
    took = ""
    if status.get("startTime"):
        end = status.get("completionTime")
        until = datetime.fromisoformat(end) if end else now
        took = age(status["startTime"], until)
    return [state, wanted, took, _age(obj, now), *_wide(spec.get("template")), selector(spec.get("selector"))]


def _cron_job(obj: Obj, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    last = dig(obj, "status", "lastScheduleTime")
    job = dig(spec, "jobTemplate", "spec") or {}
    return [
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        str(bool(spec.get("suspend"))),
        len(dig(obj, "status", "active") or ()),
        age(last, now) if last else NONE,
        _age(obj, now),
        *_wide(job.get("template")),
        selector(job.get("selector")),
    ]


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
        _join(outside),
        _join(ports),
        _age(obj, now),
        _join(f"{key}={value}" for key, value in sorted(chosen.items())),
    ]


def _ingress(obj: Obj, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    hosts = [each["host"] for each in spec.get("rules") or () if each.get("host")]
    shown = _join(hosts[:3], "*") + (f" + {len(hosts) - 3} more..." if len(hosts) > 3 else "")
    found = dig(obj, "status", "loadBalancer", "ingress") or ()
    addresses = _join((each.get("ip") or each.get("hostname", "") for each in found), "")
    return [
        spec.get("ingressClassName") or NONE,
        shown,
        addresses,
        "80, 443" if spec.get("tls") else "80",
        _age(obj, now),
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
        _age(obj, now),
    ]


def _budget(obj: Obj, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    allowed = dig(obj, "status", "disruptionsAllowed") or 0
    return [
        str(least) if least is not None else "N/A",
        str(most) if most is not None else "N/A",
        allowed,
        _age(obj, now),
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
        _join(roles),
        _age(obj, now),
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
    return [f"{ref.get('kind')}/{ref.get('name')}", _age(obj, now), *shown]


def _claim(obj: Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    bound = bool(spec.get("volumeName"))
    return [
        status.get("phase", ""),
        spec.get("volumeName", ""),
        dig(status, "capacity", "storage") or "" if bound else "",
        _join((short.get(each, each) for each in status.get("accessModes") or ()), "") if bound else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        _age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _endpoints(obj: Obj, now: datetime) -> list[Any]:
    found = []
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ({"port": ""},):
            found += [f"{each['ip']}:{port['port']}" for each in subset.get("addresses") or ()]
    shown = _join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")
    return [shown, _age(obj, now)]


def _slice(obj: Obj, now: datetime) -> list[Any]:
    ports = _join((each.get("port", "*") for each in obj.get("ports") or ()), "<unset>")
    found = [address for each in obj.get("endpoints") or () for address in each.get("addresses") or ()]
    shown = _join(found[:3], "<unset>") + (f" + {len(found) - 3} more..." if len(found) > 3 else "")
    return [obj.get("addressType", ""), ports, shown, _age(obj, now)]


def _quota(obj: Obj, now: datetime) -> list[Any]:
    hard, used = dig(obj, "status", "hard") or {}, dig(obj, "status", "used") or {}
    pairs = [(key, f"{key}: {used.get(key, '0')}/{value}") for key, value in sorted(hard.items())]
    asked = ", ".join(text for key, text in pairs if not key.startswith("limits."))
    limits = ", ".join(text for key, text in pairs if key.startswith("limits."))
    return [asked, limits, _age(obj, now)]


def _counting(field: str) -> Cells:
    return lambda obj, now: [len(obj.get(field) or ()), _age(obj, now)]


BY_PLURAL: dict[tuple[str, str], Cells] = {
    ("", "pods"): _pod,
    ("", "services"): _service,
    ("", "endpoints"): _endpoints,
    ("", "nodes"): _node,
    ("", "events"): _event,
    ("", "resourcequotas"): _quota,
    ("", "persistentvolumeclaims"): _claim,
    ("", "configmaps"): lambda obj, now: [
        len(obj.get("data") or ()) + len(obj.get("binaryData") or ()),
        _age(obj, now),
    ],
    ("", "secrets"): lambda obj, now: [obj.get("type", ""), len(obj.get("data") or ()), _age(obj, now)],
    ("", "namespaces"): lambda obj, now: [dig(obj, "status", "phase") or "", _age(obj, now)],
    ("", "serviceaccounts"): _counting("secrets"),
    ("apps", "deployments"): _deployment,
    ("apps", "replicasets"): _replica_set,
    ("", "replicationcontrollers"): _replica_set,
    ("apps", "statefulsets"): _stateful_set,
    ("apps", "daemonsets"): _daemon_set,
    ("apps", "controllerrevisions"): lambda obj, now: [
        next(
            (f"{each['kind'].lower()}.apps/{each['name']}" for each in obj["metadata"].get("ownerReferences") or ()),
            NONE,
        ),
        obj.get("revision", 0),
        _age(obj, now),
    ],
    ("batch", "jobs"): _job,
    ("batch", "cronjobs"): _cron_job,
    ("autoscaling", "horizontalpodautoscalers"): _autoscaler,
    ("policy", "poddisruptionbudgets"): _budget,
    ("networking.k8s.io", "ingresses"): _ingress,
    ("networking.k8s.io", "networkpolicies"): lambda obj, now: [
        selector(dig(obj, "spec", "podSelector")),
        _age(obj, now),
    ],
    ("networking.k8s.io", "ingressclasses"): lambda obj, now: [
        dig(obj, "spec", "controller") or "",
        NONE,
        _age(obj, now),
    ],
    ("coordination.k8s.io", "leases"): lambda obj, now: [dig(obj, "spec", "holderIdentity") or "", _age(obj, now)],
    ("discovery.k8s.io", "endpointslices"): _slice,
    ("rbac.authorization.k8s.io", "rolebindings"): _binding,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _binding,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): _counting("webhooks"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): _counting("webhooks"),
    ("scheduling.k8s.io", "priorityclasses"): lambda obj, now: [
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        _age(obj, now),
        obj.get("preemptionPolicy", ""),
    ],
}
