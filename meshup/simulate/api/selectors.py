"""Label and field selectors as query parameters, with the server's own complaints."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from meshup.model.objects import dig
from meshup.simulate.api.problems import bad_request
from meshup.simulate.api.store import Obj

Test: TypeAlias = Callable[[Obj], bool]

TOKEN = re.compile(r"\s*(==|!=|=|\(|\)|,|!|<|>|[^\s=!,()<>]+)")
FIELDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "pods"): (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    ("", "events"): (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    ("", "nodes"): ("spec.unschedulable",),
    ("", "namespaces"): ("status.phase",),
    ("", "secrets"): ("type",),
    ("", "services"): ("spec.clusterIP", "spec.type"),
    ("apps", "replicasets"): ("status.replicas",),
    ("batch", "jobs"): ("status.successful",),
}
WORDED_APART = frozenset({("", "pods"), ("", "events"), ("", "nodes"), ("", "namespaces"), ("", "secrets")})


def labels(text: str) -> Test | None:
    """Read a label selector; None when it selects all. Raises Refusal."""
    if not text.strip():
        return None
    tokens = TOKEN.findall(text)
    tests: list[Callable[[dict[str, str]], bool]] = []
    at = 0

    def peek() -> str:
        return tokens[at] if at < len(tokens) else ""

    while at < len(tokens):
        negated = peek() == "!"
        if negated:
            at += 1
        key = peek()
        if not key or key in ("=", "==", "!=", ",", "(", ")", "<", ">"):
            raise bad_request(f"found '{key}', expected: !, identifier, or 'end of string'")
        at += 1
        word = peek()
        if word in ("", ","):
            tests.append(_absent(key) if negated else _present(key))
        elif word in ("=", "==", "!="):
            at += 1
            value = "" if peek() in ("", ",") else peek()
            if value:
                at += 1
            tests.append(_differs(key, value) if word == "!=" else _equals(key, value))
        elif word in ("in", "notin"):
            at += 1
            if peek() != "(":
                raise bad_request(f"unable to parse requirement: found '{peek()}' expected: '('")
            at += 1
            values: set[str] = set()
            while peek() not in (")", ""):
                if peek() != ",":
                    values.add(peek())
                at += 1
            at += 1
            tests.append(_among(key, frozenset(values), wanted=word == "in"))
        else:
            raise bad_request(f"unable to parse requirement: found '{word}', expected: in, notin, =, ==, !=, gt, lt")
        if peek() not in ("", ","):
            raise bad_request(f"found '{peek()}', expected: ',' or 'end of string'")
        at += 1

    def test(obj: Obj) -> bool:
        found = obj["metadata"].get("labels") or {}
        return all(each(found) for each in tests)

    return test


def _present(key: str) -> Callable[[dict[str, str]], bool]:
    return lambda found: key in found


def _absent(key: str) -> Callable[[dict[str, str]], bool]:
    return lambda found: key not in found


def _equals(key: str, value: str) -> Callable[[dict[str, str]], bool]:
    return lambda found: found.get(key) == value


def _differs(key: str, value: str) -> Callable[[dict[str, str]], bool]:
    return lambda found: found.get(key) != value


def _among(key: str, values: frozenset[str], *, wanted: bool) -> Callable[[dict[str, str]], bool]:
    return lambda found: (found.get(key, None if values else "") in values) == wanted


def fields(text: str, group: str, plural: str, *, custom: bool = False) -> Test | None:
    """Read a field selector; None when it selects all. Raises Refusal."""
    if not text:
        return None
    known = FIELDS.get((group, plural), ())
    tests: list[tuple[str, str, bool]] = []
    for part in text.split(","):
        if not part:
            continue
        for sign, wanted in (("!=", False), ("==", True), ("=", True)):  # noqa: B007 - read after the break
            key, found, value = part.partition(sign)
            if found:
                break
        else:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        if key not in ("metadata.name", "metadata.namespace") and key not in known:
            if custom or (group, plural) in WORDED_APART:
                raise bad_request(f"field label not supported: {key}")
            raise bad_request(
                f'"{key}" is not a known field selector: only "metadata.name", "metadata.namespace"'
                + "".join(f', "{each}"' for each in known)
            )
        tests.append((key, value, wanted))

    def test(obj: Obj) -> bool:
        return all((_value(obj, key) == value) == wanted for key, value, wanted in tests)

    return test


def _value(obj: Obj, key: str) -> str:
    if key == "source":
        return str(dig(obj, "source", "component") or obj.get("reportingComponent") or "")
    found = dig(obj, *key.split("."))
    if found is None:
        return "false" if key in ("spec.unschedulable", "spec.hostNetwork") else ""
    if isinstance(found, bool):
        return str(found).lower()
    return str(found)


def both(first: Test | None, second: Test | None) -> Test | None:
    """Join two tests."""
    if first is None or second is None:
        return first or second
    return lambda obj: first(obj) and second(obj)


def exact_name(text: str) -> str | None:
    """Give the name that a field selector picks alone, so that a list need not look further."""
    found = re.fullmatch(r"metadata\.name==?([^,=!]+)", text)
    return found.group(1) if found else None
