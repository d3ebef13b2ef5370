"""Bodies in the API's binary form, which kubectl sends for reviews and for `create`: the kinds it makes, no others.

Field numbers are those of generated.proto in k8s.io/api and k8s.io/apimachinery, Kubernetes 1.34. What is not in the
tables is refused, never dropped; a field that is there with its zero value says nothing and is passed over.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from meshup.simulate.api.problems import bad_request, not_here
from meshup.simulate.api.store import Obj

CONTENT = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"


@dataclass(frozen=True, slots=True)
class Part:
    """One field. shape: text, bytes, flag, number, time, quantity, a Message; many: a list; keyed: a map of text.

    kept: a zero is said on purpose (a pointer in Go).
    """

    name: str
    shape: str | Message
    many: bool = False
    keyed: bool = False
    kept: bool = False


Message: TypeAlias = Mapping[int, Part]

NAMES: Message = {1: Part("name", "text")}
META: Message = {
    1: Part("name", "text"),
    2: Part("generateName", "text"),
    3: Part("namespace", "text"),
    5: Part("uid", "text"),
    6: Part("resourceVersion", "text"),
    7: Part("generation", "number"),
    8: Part("creationTimestamp", "time"),
    11: Part("labels", "text", keyed=True),
    12: Part("annotations", "text", keyed=True),
    14: Part("finalizers", "text", many=True),
}
RESOURCE: Message = {
    number: Part(name, "text")
    for number, name in enumerate(("namespace", "verb", "group", "version", "resource", "subresource", "name"), 1)
}
PATH: Message = {1: Part("path", "text"), 2: Part("verb", "text")}
ACCESS: Message = {1: Part("resourceAttributes", RESOURCE), 2: Part("nonResourceAttributes", PATH)}
FOR_SOMEBODY: Message = {
    **ACCESS,
    3: Part("user", "text"),
    4: Part("groups", "text", many=True),
    6: Part("uid", "text"),
}
ALLOWED: Message = {
    1: Part("allowed", "flag"),
    2: Part("reason", "text"),
    3: Part("evaluationError", "text"),
    4: Part("denied", "flag"),
}
RULES: Message = {3: Part("incomplete", "flag"), 4: Part("evaluationError", "text")}
USER: Message = {1: Part("userInfo", {1: Part("username", "text"), 2: Part("uid", "text")})}
SELECTOR: Message = {
    1: Part("matchLabels", "text", keyed=True),
    2: Part(
        "matchExpressions",
        {1: Part("key", "text"), 2: Part("operator", "text"), 3: Part("values", "text", many=True)},
        many=True,
    ),
}
PORT: Message = {
    1: Part("name", "text"),
    2: Part("hostPort", "number"),
    3: Part("containerPort", "number"),
    4: Part("protocol", "text"),
    5: Part("hostIP", "text"),
}
CONTAINER: Message = {
    1: Part("name", "text"),
    2: Part("image", "text"),
    3: Part("command", "text", many=True),
    4: Part("args", "text", many=True),
    5: Part("workingDir", "text"),
    6: Part("ports", PORT, many=True),
    7: Part("env", {1: Part("name", "text"), 2: Part("value", "text")}, many=True),
    8: Part("resources", {1: Part("limits", "quantity", keyed=True), 2: Part("requests", "quantity", keyed=True)}),
    13: Part("terminationMessagePath", "text"),
    14: Part("imagePullPolicy", "text"),
}
POD: Message = {
    2: Part("containers", CONTAINER, many=True),
    3: Part("restartPolicy", "text"),
    6: Part("dnsPolicy", "text"),
    7: Part("nodeSelector", "text", keyed=True),
    8: Part("serviceAccountName", "text"),
    10: Part("nodeName", "text"),
    14: Part("securityContext", {}),
    20: Part("initContainers", CONTAINER, many=True),
}
TEMPLATE: Message = {1: Part("metadata", META), 2: Part("spec", POD)}
DEPLOYMENT: Message = {
    1: Part("replicas", "number", kept=True),
    2: Part("selector", SELECTOR),
    3: Part("template", TEMPLATE),
    4: Part("strategy", {1: Part("type", "text")}),
    5: Part("minReadySeconds", "number"),
    6: Part("revisionHistoryLimit", "number", kept=True),
    7: Part("paused", "flag"),
    9: Part("progressDeadlineSeconds", "number", kept=True),
}
COUNTS: Message = {
    number: Part(name, "number")
    for number, name in (
        (1, "observedGeneration"),
        (2, "replicas"),
        (3, "updatedReplicas"),
        (4, "availableReplicas"),
        (5, "unavailableReplicas"),
        (7, "readyReplicas"),
    )
}

RBAC = "rbac.authorization.k8s.io/v1"
RULE: Message = {
    number: Part(name, "text", many=True)
    for number, name in enumerate(("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"), 1)
}
SUBJECT: Message = {
    number: Part(name, "text") for number, name in enumerate(("kind", "apiGroup", "name", "namespace"), 1)
}
BINDING: Message = {
    1: Part("metadata", META),
    2: Part("subjects", SUBJECT, many=True),
    3: Part("roleRef", {1: Part("apiGroup", "text"), 2: Part("kind", "text"), 3: Part("name", "text")}),
}


def _whole(spec: Message | None = None, status: Message | None = None) -> Message:
    found: dict[int, Part] = {1: Part("metadata", META)}
    if spec is not None:
        found[2] = Part("spec", spec)
    if status is not None:
        found[3] = Part("status", status)
    return found


KINDS: Mapping[tuple[str, str], Message] = {
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"): _whole(ACCESS, ALLOWED),
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview"): _whole({1: Part("namespace", "text")}, RULES),
    ("authorization.k8s.io/v1", "SubjectAccessReview"): _whole(FOR_SOMEBODY, ALLOWED),
    ("authentication.k8s.io/v1", "SelfSubjectReview"): {1: Part("metadata", META), 2: Part("status", USER)},
    ("v1", "Namespace"): _whole({1: Part("finalizers", "text", many=True)}, {1: Part("phase", "text")}),
    ("v1", "ConfigMap"): {
        1: Part("metadata", META),
        2: Part("data", "text", keyed=True),
        3: Part("binaryData", "bytes", keyed=True),
        4: Part("immutable", "flag", kept=True),
    },
    ("v1", "Secret"): {
        1: Part("metadata", META),
        2: Part("data", "bytes", keyed=True),
        3: Part("type", "text"),
        4: Part("stringData", "text", keyed=True),
        5: Part("immutable", "flag", kept=True),
    },
    ("v1", "ServiceAccount"): {
        1: Part("metadata", META),
        2: Part("secrets", {3: Part("name", "text")}, many=True),
        3: Part("imagePullSecrets", NAMES, many=True),
        4: Part("automountServiceAccountToken", "flag", kept=True),
    },
    ("apps/v1", "Deployment"): _whole(DEPLOYMENT, COUNTS),
    (RBAC, "Role"): {1: Part("metadata", META), 2: Part("rules", RULE, many=True)},
    (RBAC, "ClusterRole"): {
        1: Part("metadata", META),
        2: Part("rules", RULE, many=True),
        3: Part("aggregationRule", {1: Part("clusterRoleSelectors", SELECTOR, many=True)}),
    },
    (RBAC, "RoleBinding"): BINDING,
    (RBAC, "ClusterRoleBinding"): BINDING,
    ("policy/v1", "Eviction"): _whole({1: Part("gracePeriodSeconds", "number", kept=True)}),
}


def decoded(body: bytes) -> Obj:
    """Give the object that a binary body describes. Raises Refusal: 400 for nonsense, 501 for what is not in the tables."""
    if not body.startswith(MAGIC):
        raise bad_request("the body does not begin as the API's binary form does")
    try:
        said = {number: value for number, _, value in _fields(body[len(MAGIC) :])}
        typed = {number: value.decode() for number, _, value in _fields(said.get(1, b""))}
        kind = (typed.get(1, ""), typed.get(2, ""))
        if kind not in KINDS:
            raise not_here(f"{kind[1] or 'this kind'} of {kind[0] or '?'} in binary form; send JSON")
        found = _message(said.get(2, b""), KINDS[kind], kind[1])
    except (ValueError, IndexError, AttributeError) as error:
        raise bad_request(f"the body is no message of the API's binary form: {error}") from error
    return {"apiVersion": kind[0], "kind": kind[1], **found}


def _varint(data: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _fields(data: Any) -> Iterator[tuple[int, int, Any]]:
    """Yield (number, wire type, value): whole numbers for type 0, bytes for type 2. Raises ValueError."""
    if not isinstance(data, bytes):
        raise ValueError("a number stands where a message should be")
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, sort = tag >> 3, tag & 7
        if sort == 0:
            value, at = _varint(data, at)
            yield number, sort, value
        elif sort == 2:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise ValueError("it ends too early")
            yield number, sort, data[at : at + length]
            at += length
        else:
            raise ValueError(f"wire type {sort} is not used by the API")


def _message(data: bytes, parts: Message, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, _, raw in _fields(data):
        part = parts.get(number)
        if part is None:
            if not _is_nothing(raw):
                raise not_here(f"field {number} of {where} in binary form; send JSON")
            continue
        if part.keyed:
            pair = {key: value for key, _, value in _fields(raw)}
            found.setdefault(part.name, {})[pair.get(1, b"").decode()] = _value(pair.get(2, b""), part, where)
            continue
        value = _value(raw, part, f"{where}.{part.name}")
        if part.many:
            found.setdefault(part.name, []).append(value)
        elif part.kept or value:
            found[part.name] = value
    return found


def _value(raw: Any, part: Part, where: str) -> Any:
    match part.shape:
        case "text":
            return raw.decode()
        case "bytes":
            return base64.b64encode(raw).decode()
        case "flag":
            return bool(raw)
        case "number":
            return raw - (1 << 64) if raw >> 63 else raw
        case "quantity":
            return next((value.decode() for _, _, value in _fields(raw)), "0")
        case "time":
            # The server sets times itself; what a client sends here is the zero time.
            return None
        case str():
            raise ValueError(f"{where} has no shape")
        case parts:
            return _message(raw, parts, where)


def _is_nothing(raw: Any) -> bool:
    """Tell whether a field holds only zero values, however deep."""
    if isinstance(raw, int):
        return raw == 0
    if not raw:
        return True
    try:
        return all(_is_nothing(value) for _, _, value in _fields(raw))
    except (ValueError, IndexError):
        return False
