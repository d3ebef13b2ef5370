"""What the server refuses by the meaning of a built-in kind, as far as rollouts run into it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from meshup.simulate.api.podsecurity import LEVELS
from meshup.simulate.api.policies import binding_rules, policy_rules
from meshup.simulate.api.problems import cause
from meshup.simulate.api.store import Obj
from meshup.simulate.api.validate import labels

CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
CONFIG_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
DNS_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


def built_in(obj: Obj, old: Obj | None, kind: str) -> Iterator[dict[str, str]]:
    """Yield what is wrong with the spec of a built-in kind, as far as rollouts run into it."""
    if kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"):
        yield from _workload(obj.get("spec") or {}, old)
    elif kind in RULES:
        yield from RULES[kind](obj, old)


def _workload(spec: Obj, old: Obj | None) -> Iterator[dict[str, str]]:
    template = spec.get("template") or {}
    if int(spec.get("replicas") or 0) < 0:
        message = f"Invalid value: {spec['replicas']}: must be greater than or equal to 0"
        yield cause("FieldValueInvalid", message, "spec.replicas")
    yield from _selector(spec, template)
    yield from labels((template.get("metadata") or {}).get("labels") or {}, "spec.template.labels")
    yield from _containers((template.get("spec") or {}), "spec.template.spec")
    if old is not None and (old.get("spec") or {}).get("selector") != spec.get("selector"):
        shown = _go(spec.get("selector"))
        yield cause("FieldValueInvalid", f"Invalid value: {shown}: field is immutable", "spec.selector")


def _pod(obj: Obj, old: Obj | None) -> Iterator[dict[str, str]]:
    yield from _containers(obj.get("spec") or {}, "spec")
    if old is not None:
        yield from _pod_update(obj, old)


def _job(obj: Obj, old: Obj | None) -> Iterator[dict[str, str]]:
    template = (obj.get("spec") or {}).get("template") or {}
    yield from _containers((template.get("spec") or {}), "spec.template.spec")
    if (template.get("spec") or {}).get("restartPolicy") == "Always":
        message = 'Required value: valid values: "OnFailure", "Never"'
        yield cause("FieldValueRequired", message, "spec.template.spec.restartPolicy")
    if old is not None and (old.get("spec") or {}).get("template") != template:
        message = "Invalid value: core.PodTemplateSpec{}: field is immutable"
        yield cause("FieldValueInvalid", message, "spec.template")


def _cron_job(obj: Obj, old: Obj | None) -> Iterator[dict[str, str]]:
    schedule = str((obj.get("spec") or {}).get("schedule", ""))
    if not schedule:
        yield cause("FieldValueRequired", "Required value", "spec.schedule")
        return
    parts = schedule.split()
    if not schedule.startswith("@") and len(parts) != 5:
        told = f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]"
        yield cause("FieldValueInvalid", f'Invalid value: "{schedule}": {told}', "spec.schedule")


def _service(obj: Obj, old: Obj | None) -> Iterator[dict[str, str]]:
    spec = obj.get("spec") or {}
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        yield cause("FieldValueRequired", "Required value", "spec.ports")
    names: set[str] = set()
    for number, port in enumerate(ports):
        name = port.get("name", "")
        if not name and len(ports) > 1:
            yield cause("FieldValueRequired", "Required value", f"spec.ports[{number}].name")
        elif name and name in names:
            yield cause("FieldValueDuplicate", f'Duplicate value: "{name}"', f"spec.ports[{number}].name")
        names.add(name)
    address = ((old or {}).get("spec") or {}).get("clusterIP")
    if address and spec.get("clusterIP") != address and spec.get("type") != "ExternalName":
        message = f'Invalid value: ["{spec.get("clusterIP")}"]: may not change once set'
        yield cause("FieldValueInvalid", message, "spec.clusterIPs[0]")


def _budget(obj: Obj, old: Obj | None) -> Iterator[dict[str, str]]:
    spec = obj.get("spec") or {}
    if "minAvailable" in spec and "maxUnavailable" in spec:
        shown = json.dumps(
            {
                "MinAvailable": spec["minAvailable"],
                "Selector": spec.get("selector"),
                "MaxUnavailable": spec["maxUnavailable"],
                "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
            },
            separators=(",", ":"),
        )
        yield cause(
            "FieldValueInvalid", f"Invalid value: {shown}: minAvailable and maxUnavailable cannot be both set", "spec"
        )


def _binding(obj: Obj, old: Obj | None) -> Iterator[dict[str, str]]:
    ref = obj.get("roleRef") or {}
    if old is not None and old.get("roleRef") != ref:
        shown = json.dumps(
            {"APIGroup": ref.get("apiGroup", ""), "Kind": ref.get("kind", ""), "Name": ref.get("name", "")},
            separators=(",", ":"),
        )
        yield cause("FieldValueInvalid", f"Invalid value: {shown}: cannot change roleRef", "roleRef")


def _hooks(obj: Obj, old: Obj | None) -> Iterator[dict[str, str]]:
    for number, hook in enumerate(obj.get("webhooks") or ()):
        at = f"webhooks[{number}]"
        name = str(hook.get("name", ""))
        if name.count(".") < 2:
            message = f'Invalid value: "{name}": should be a domain with at least three segments separated by dots'
            yield cause("FieldValueInvalid", message, f"{at}.name")
        seconds = int(hook.get("timeoutSeconds") or 0)
        if not 1 <= seconds <= 30:
            message = f"Invalid value: {seconds}: the timeout value must be between 1 and 30 seconds"
            yield cause("FieldValueInvalid", message, f"{at}.timeoutSeconds")
        policy = hook.get("failurePolicy")
        if policy not in ("Fail", "Ignore"):
            message = f'Unsupported value: "{policy}": supported values: "Fail", "Ignore"'
            yield cause("FieldValueNotSupported", message, f"{at}.failurePolicy")
        effects = hook.get("sideEffects")
        if effects is None:
            yield cause(
                "FieldValueRequired", "Required value: must specify one of None, NoneOnDryRun", f"{at}.sideEffects"
            )
        elif effects not in ("None", "NoneOnDryRun"):
            message = f'Unsupported value: "{effects}": supported values: "None", "NoneOnDryRun"'
            yield cause("FieldValueNotSupported", message, f"{at}.sideEffects")
        if not hook.get("admissionReviewVersions"):
            yield cause(
                "FieldValueRequired", "Required value: must specify one of v1, v1beta1", f"{at}.admissionReviewVersions"
            )


def _definition(obj: Obj, old: Obj | None) -> Iterator[dict[str, str]]:
    spec = obj.get("spec") or {}
    name = obj["metadata"].get("name", "")
    if name != f"{(spec.get('names') or {}).get('plural')}.{spec.get('group')}":
        message = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
        yield cause("FieldValueInvalid", message, "metadata.name")
    versions = spec.get("versions") or []
    if sum(bool(each.get("storage")) for each in versions) != 1:
        shown = "Invalid value: must have exactly one version marked as storage version"
        yield cause("FieldValueInvalid", shown, "spec.versions")
    for number, each in enumerate(versions):
        if not (each.get("schema") or {}).get("openAPIV3Schema"):
            message = "Required value: schemas are required"
            yield cause("FieldValueRequired", message, f"spec.versions[{number}].schema.openAPIV3Schema")


def _frozen(obj: Obj, old: Obj | None) -> Iterator[dict[str, str]]:
    if old is None or not old.get("immutable"):
        return
    if obj.get("data") != old.get("data") or obj.get("binaryData") != old.get("binaryData"):
        yield cause("FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set", "data")


def _plain_keys(obj: Obj, old: Obj | None) -> Iterator[dict[str, str]]:
    for key in obj.get("data") or ():
        if not CONFIG_KEY.fullmatch(key) or key in (".", ".."):
            yield cause("FieldValueInvalid", f'Invalid value: "{key}": {CONFIG_TEXT}', f"data[{key}]")
    size = sum(len(str(value)) for name in ("data", "binaryData") for value in (obj.get(name) or {}).values())
    if size > LARGEST:
        yield cause("FieldValueTooLong", f"Too long: may not be more than {LARGEST} bytes", "[]")
    yield from _frozen(obj, old)


def _lease(obj: Obj, old: Obj | None) -> Iterator[dict[str, str]]:
    spec = obj.get("spec") or {}
    seconds, moves = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        message = f"Invalid value: {seconds}: must be greater than 0"
        yield cause("FieldValueInvalid", message, "spec.leaseDurationSeconds")
    if moves is not None and moves < 0:
        message = f"Invalid value: {moves}: must be greater than or equal to 0"
        yield cause("FieldValueInvalid", message, "spec.leaseTransitions")


def _namespace(obj: Obj, old: Obj | None) -> Iterator[dict[str, str]]:
    labels = obj["metadata"].get("labels") or {}
    for mode in ("enforce", "audit", "warn"):
        key = f"pod-security.kubernetes.io/{mode}"
        if key in labels and labels[key] not in LEVELS:
            message = f'Invalid value: "{labels[key]}": must be one of {", ".join(LEVELS)}'
            yield cause("FieldValueInvalid", message, f"metadata.labels[{key}]")


LARGEST = 1024 * 1024
"""Bytes that a ConfigMap or a Secret may hold together."""
RULES: dict[str, Callable[[Obj, Obj | None], Iterator[dict[str, str]]]] = {
    "Pod": _pod,
    "Job": _job,
    "CronJob": _cron_job,
    "Service": _service,
    "PodDisruptionBudget": _budget,
    "RoleBinding": _binding,
    "ClusterRoleBinding": _binding,
    "MutatingWebhookConfiguration": _hooks,
    "ValidatingWebhookConfiguration": _hooks,
    "CustomResourceDefinition": _definition,
    "ConfigMap": _plain_keys,
    "Secret": _plain_keys,
    "Lease": _lease,
    "Namespace": _namespace,
    "ValidatingAdmissionPolicy": policy_rules,
    "ValidatingAdmissionPolicyBinding": binding_rules,
}


def _selector(spec: Obj, template: Obj) -> Iterator[dict[str, str]]:
    selector = spec.get("selector")
    if not selector:
        yield cause("FieldValueRequired", "Required value", "spec.selector")
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not selector:
        message = f"Invalid value: {_go(labels)}: `selector` does not match template `labels`"
        yield cause("FieldValueInvalid", message, "spec.template.metadata.labels")
        return
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            shown = _go(labels)
            message = f"Invalid value: {shown}: `selector` does not match template `labels`"
            yield cause("FieldValueInvalid", message, "spec.template.metadata.labels")
            return


def _go(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _containers(spec: Obj, path: str) -> Iterator[dict[str, str]]:
    several = spec.get("containers") or []
    if not several:
        yield cause("FieldValueRequired", "Required value", f"{path}.containers")
    names: set[str] = set()
    for where in ("initContainers", "containers"):
        for number, each in enumerate(spec.get(where) or ()):
            at = f"{path}.{where}[{number}]"
            name = each.get("name", "")
            if not name:
                yield cause("FieldValueRequired", "Required value", f"{at}.name")
            elif len(name) > 63 or not DNS_LABEL.fullmatch(name):
                yield cause("FieldValueInvalid", f'Invalid value: "{name}": {DNS_LABEL_TEXT}', f"{at}.name")
            elif name in names:
                yield cause("FieldValueDuplicate", f'Duplicate value: "{name}"', f"{at}.name")
            names.add(name)
            if not each.get("image"):
                yield cause("FieldValueRequired", "Required value", f"{at}.image")


MAY_CHANGE = ("image",)


def _pod_update(obj: Obj, old: Obj) -> Iterator[dict[str, str]]:
    new, before = dict(obj.get("spec") or {}), dict(old.get("spec") or {})
    for name in (
        "activeDeadlineSeconds",
        "tolerations",
        "terminationGracePeriodSeconds",
        "schedulingGates",
        "nodeName",
    ):
        new.pop(name, None)
        before.pop(name, None)
    for name in ("containers", "initContainers"):
        for side in (new, before):
            side[name] = [{k: v for k, v in each.items() if k not in MAY_CHANGE} for each in side.get(name) or ()]
    if new != before:
        message = (
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
            "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
        )
        yield cause("FieldValueForbidden", message, "spec")
