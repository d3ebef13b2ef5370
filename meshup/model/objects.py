"""API objects as plain mappings, and references to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

Object: TypeAlias = Mapping[str, Any]
"""One API object as the server sends it: open by nature, so `Any` is allowed here and narrowed where it is read."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Ref:
    """One object of the cluster by name. api_version: "v1" or "group/version". namespace: "" for cluster scope."""

    api_version: str
    kind: str
    namespace: str = ""
    name: str

    @property
    def group(self) -> str:
        """The API group; "" for core."""
        return self.api_version.rpartition("/")[0]

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {where}"


MANAGED = "meshup.dev/managed-by"
"""The label of what meshup made, with the value "meshup"."""


def ref_of(obj: Object) -> Ref:
    """Name an object. Raises KeyError when kind, apiVersion or metadata.name is absent."""
    meta = obj["metadata"]
    return Ref(api_version=obj["apiVersion"], kind=obj["kind"], namespace=meta.get("namespace", ""), name=meta["name"])


def dig(obj: Any, *path: str | int) -> Any:
    """Follow a path of keys and indexes; None as soon as one is absent."""
    for step in path:
        if type(obj) is dict:  # nearly always, and by far the quickest to ask; a path may lead past millions of objects
            obj = obj.get(step)
            if obj is None:
                return None
            continue
        if isinstance(step, int):
            if not isinstance(obj, Sequence) or isinstance(obj, str) or step >= len(obj):
                return None
        elif not isinstance(obj, Mapping) or step not in obj:
            return None
        obj = obj[step]
    return obj


def is_map(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Tell whether a value is a mapping. Nearly all are dicts, and asking for the abstract type takes ten times as long."""
    return type(value) is dict or isinstance(value, Mapping)


def labels(obj: Object) -> Mapping[str, str]:
    """Give metadata.labels; empty when there are none."""
    return dig(obj, "metadata", "labels") or {}


def stored(definition: Object) -> str:
    """Name the version that objects of a CustomResourceDefinition are stored in, "" = it names none."""
    return next((str(each["name"]) for each in dig(definition, "spec", "versions") or () if each.get("storage")), "")


def is_managed(obj: Object | None) -> bool:
    """Tell whether meshup made an object, as its label says; what is not there is nobody's."""
    return obj is not None and labels(obj).get(MANAGED) == "meshup"


def annotated(obj: Object) -> Mapping[str, str]:
    """Give metadata.annotations; empty when there are none."""
    return dig(obj, "metadata", "annotations") or {}


TEMPLATE_PATH: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Where each workload kind keeps its pod template."""


def owners(obj: Object) -> tuple[tuple[str, str], ...]:
    """Give (kind, name) of each owner that an object names, in its own namespace."""
    return tuple(
        (str(each.get("kind")), str(each.get("name"))) for each in dig(obj, "metadata", "ownerReferences") or ()
    )


def template(obj: Object) -> Object:
    """Give a workload's pod template; empty when the kind has none."""
    return dig(obj, *TEMPLATE_PATH.get(obj.get("kind", ""), ("-",))) or {}


def containers(pod_spec: Object) -> Iterator[Object]:
    """Yield every container that keeps running: containers, and native sidecars among the init containers."""
    yield from pod_spec.get("containers") or ()
    for init in pod_spec.get("initContainers") or ():
        if init.get("restartPolicy") == "Always":
            yield init


def matches(selector: Object | None, found: Mapping[str, str]) -> bool:
    """Tell whether labels satisfy a LabelSelector (matchLabels, matchExpressions). None matches nothing, {} all."""
    if selector is None:
        return False
    for key, value in (selector.get("matchLabels") or {}).items():
        if found.get(key) != value:
            return False
    for rule in selector.get("matchExpressions") or ():
        key, values = rule["key"], rule.get("values") or ()
        match rule["operator"]:
            case "In":
                holds = found.get(key) in values
            case "NotIn":
                holds = found.get(key) not in values
            case "Exists":
                holds = key in found
            case "DoesNotExist":
                holds = key not in found
            case _:
                holds = False
        if not holds:
            return False
    return True
