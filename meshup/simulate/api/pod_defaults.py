"""What the server fills into pods and their templates, and what admission adds to a pod."""

from __future__ import annotations

from meshup.simulate.api.quota import canonical
from meshup.simulate.api.store import Obj


def _probe(probe: Obj) -> None:
    for name, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        probe.setdefault(name, value)
    if "httpGet" in probe:
        probe["httpGet"].setdefault("path", "/")
        probe["httpGet"].setdefault("scheme", "HTTP")


def _container(container: Obj) -> None:
    container.setdefault("resources", {})
    for name in ("limits", "requests"):
        if container["resources"].get(name) == {}:
            del container["resources"][name]
    for several in container["resources"].values():
        if isinstance(several, dict):
            for name in several:
                several[name] = canonical(several[name])
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    image = str(container.get("image", ""))
    if "imagePullPolicy" not in container:
        last = image.rpartition("/")[2]
        latest = "@" not in last and (":" not in last or last.endswith(":latest"))
        container["imagePullPolicy"] = "Always" if latest else "IfNotPresent"
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            _probe(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict) and "httpGet" in hook:
            hook["httpGet"].setdefault("path", "/")
            hook["httpGet"].setdefault("scheme", "HTTP")
    for env in container.get("env") or ():
        ref = (env.get("valueFrom") or {}).get("fieldRef")
        if ref is not None:
            ref.setdefault("apiVersion", "v1")


def pod_spec(spec: Obj) -> None:
    """Fill in a pod spec."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    if "serviceAccountName" in spec:
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    for several in ("initContainers", "containers", "ephemeralContainers"):
        for each in spec.get(several) or ():
            _container(each)
    for volume in spec.get("volumes") or ():
        _volume(volume)
    if spec.get("hostNetwork"):
        for each in spec.get("containers") or ():
            for port in each.get("ports") or ():
                port.setdefault("hostPort", port["containerPort"])


def _volume(volume: Obj) -> None:
    for name in ("configMap", "secret", "downwardAPI", "projected"):
        if name in volume:
            volume[name].setdefault("defaultMode", 420)
    for source in (volume.get("projected") or {}).get("sources") or ():
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        _field_refs(source.get("downwardAPI"))
    _field_refs(volume.get("downwardAPI"))
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    if set(volume) == {"name"}:
        volume["emptyDir"] = {}


def _field_refs(source: Obj | None) -> None:
    for each in (source or {}).get("items") or ():
        if "fieldRef" in each:
            each["fieldRef"].setdefault("apiVersion", "v1")


def pod(obj: Obj) -> None:
    """Fill in a Pod."""
    spec = obj.setdefault("spec", {})
    pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    for condition in (obj.get("status") or {}).get("conditions") or ():
        condition.setdefault("lastProbeTime", None)
        condition.setdefault("lastTransitionTime", None)
    for each in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        limits = each["resources"].get("limits")
        if limits:
            each["resources"]["requests"] = {**limits, **(each["resources"].get("requests") or {})}


def admit_pod(obj: Obj, suffix: str, *, mount: bool) -> None:
    """Fill in what admission adds to a pod: priority, account, tolerations, and the token volume when mounted."""
    spec = obj["spec"]
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    spec.setdefault(
        "tolerations",
        [
            {
                "effect": "NoExecute",
                "key": "node.kubernetes.io/not-ready",
                "operator": "Exists",
                "tolerationSeconds": 300,
            },
            {
                "effect": "NoExecute",
                "key": "node.kubernetes.io/unreachable",
                "operator": "Exists",
                "tolerationSeconds": 300,
            },
        ],
    )
    if mount and spec.get("automountServiceAccountToken") is not False:
        _token_volume(spec, f"kube-api-access-{suffix}")


MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def _token_volume(spec: Obj, name: str) -> None:
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    bare = [
        each
        for each in containers
        if not any(mount.get("mountPath") == MOUNT for mount in each.get("volumeMounts") or ())
    ]
    if not bare:
        return
    root = {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
    ref = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        root,
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": ref}]}},
    ]
    spec.setdefault("volumes", []).append({"name": name, "projected": {"sources": sources, "defaultMode": 420}})
    for each in bare:
        each.setdefault("volumeMounts", []).append({"name": name, "readOnly": True, "mountPath": MOUNT})


def fresh_status(obj: Obj) -> Obj:
    """Give the status of a pod that was created just now."""
    return {"phase": "Pending", "qosClass": _quality(obj["spec"])}


def _quality(spec: Obj) -> str:
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    asked = [(each.get("resources") or {}) for each in containers]
    if not any(each.get("requests") or each.get("limits") for each in asked):
        return "BestEffort"
    full = all(
        all((each.get("limits") or {}).get(name) is not None for name in ("cpu", "memory"))
        and (each.get("requests") or each.get("limits")) == each.get("limits")
        for each in asked
    )
    return "Guaranteed" if full else "Burstable"
