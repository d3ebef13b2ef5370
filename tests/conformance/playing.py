"""Conformance cases: requests and the answers a real API server gave, normalised so that two servers can be compared."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from meshup.model.transport import Request, Response, Transport

CASES = Path(__file__).parent.parent / "cases" / "conformance"
DIFFERENCES = CASES / "known-differences.yaml"

UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
ADDRESS = re.compile(r"\b10\.\d+\.\d+\.\d+\b")
SUFFIX = re.compile(r"kube-api-access-[a-z0-9]{5}")
AGE = re.compile(r"^(\d+[smhd])+$|^<unknown>$|^<invalid>$")
VERSIONS = frozenset({"resourceVersion", "observedGeneration"})
PLACE = {
    "continue": "<token>",
    "token": "<token>",
    "remainingItemCount": None,
    "nodePort": "<port>",
    "healthCheckNodePort": "<port>",
    "description": "<text>",
    "deployment.kubernetes.io/revision": None,
    "storageVersionHash": None,
    "caBundle": None,
}
CONTROLLERS = "kube-controller-manager"
"""Their writes come at any time, so they are no part of an answer."""
UNORDERED = frozenset({"causes", "resourceRules", "nonResourceRules"})
LONGEST_S = 45.0
"""A new kind is looked up by the policies of a real server up to half a minute after it is served."""
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"
CONTENT = {
    "json": "application/json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "jsonpatch": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}


def cases() -> list[Path]:
    return sorted(path for path in CASES.glob("*.yaml") if path != DIFFERENCES)


def load(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def known() -> dict[str, str]:
    return (load(DIFFERENCES) or {}) if DIFFERENCES.exists() else {}


class Play:
    """One case on one server. pause: lets time pass while a step waits for something."""

    def __init__(self, transport: Transport, namespace: str, pause: Callable[[float], None]) -> None:
        self.transport, self.namespace, self.pause = transport, namespace, pause
        self.kept: dict[str, str] = {"NS": namespace, "TAG": namespace.rpartition("-")[2]}

    def filled(self, value: Any) -> Any:
        if isinstance(value, str):
            for name, text in self.kept.items():
                value = value.replace(f"${name}$", text)
            return value
        if isinstance(value, dict):
            return {self.filled(key): self.filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.filled(inner) for inner in value]
        return value

    def request(self, ask: dict[str, Any]) -> Request:
        ask = self.filled(ask)
        headers = {
            "accept": {"table": TABLE, "partial": PARTIAL}.get(
                ask.get("accept"), ask.get("accept") or "application/json"
            )
        }
        headers["user-agent"] = "meshup"
        if "as" in ask:
            headers["impersonate-user"] = ask["as"]
        if "group" in ask:
            headers["impersonate-group"] = ask["group"]
        if "uid" in ask:
            headers["impersonate-uid"] = ask["uid"]
        body = ask.get("body")
        data = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        if data:
            headers["content-type"] = CONTENT.get(ask.get("content", "json"), ask.get("content", "json"))
        return Request(
            method=ask["method"],
            path=ask["path"],
            query=tuple((key, str(value)) for key, value in (ask.get("query") or {}).items()),
            headers=headers,
            body=data,
            stream="events" in ask,
        )

    def step(self, step: dict[str, Any]) -> dict[str, Any]:
        """Perform one step and give the normalised answer."""
        ask = step["ask"]
        response = self.transport.send(self.request(ask))
        wanted = step.get("until")
        waited = 0.0
        while wanted is not None and response.status != wanted and waited < LONGEST_S:
            self.pause(0.25)
            waited += 0.25
            response = self.transport.send(self.request(ask))
        if response.lines is not None and "events" in ask and response.status == 200:
            return {"status": response.status, "events": self._events(response.lines, ask["events"])}
        if "events" in ask:
            return {"status": response.status}
        raw = _read(response)
        for name, path in (step.get("keep") or {}).items():
            self.kept[name] = _dig(raw, path)
        if step.get("settle"):
            self.pause(float(step["settle"]))
        answer: dict[str, Any] = {"status": response.status}
        warning = response.headers.get("warning")
        if warning:
            answer["warning"] = self._text(warning)
        if not step.get("quiet"):
            body = self.normal(raw)
            for path in step.get("ignore") or ():
                _drop(body, path.split("."))
            only = step.get("only")
            answer["body"] = {path: _dig(body, path) for path in only} if only else body
        return answer

    def _events(self, lines: Iterator[bytes], count: int) -> list[Any]:
        found = []
        for line in lines:
            if line.strip():
                found.append(self.normal(json.loads(line)))
            if len(found) == count:
                break
        close = getattr(lines, "close", None)
        if close is not None:
            close()
        return found

    def _text(self, text: str) -> str:
        text = text.replace(self.namespace, "$NS$").replace(self.kept["TAG"], "$TAG$")
        for name, value in self.kept.items():
            if name.startswith("RV"):
                text = re.sub(rf"\b{re.escape(value)}\b", f"${name}$", text)
        text = SUFFIX.sub("kube-api-access-<suffix>", text)
        return ADDRESS.sub("<address>", TIME.sub("<time>", UID.sub("<uid>", text)))

    def normal(self, value: Any, key: str = "") -> Any:
        if key in PLACE:
            return PLACE[key]
        if isinstance(value, dict):
            made = {self._text(name): self.normal(inner, name) for name, inner in value.items()}
            return {name: inner for name, inner in made.items() if not (name in PLACE and inner is None)}
        if key == "managedFields" and isinstance(value, list):
            value = [each for each in value if each.get("manager") != CONTROLLERS]
            # rows are in order of time, to the second: whether two steps fall into one second is chance
            value = sorted(value, key=lambda each: (each.get("operation", ""), each.get("manager", "")))
        if isinstance(value, list):
            several = [self.normal(inner, key) for inner in value]
            return sorted(several, key=lambda each: json.dumps(each, sort_keys=True)) if key in UNORDERED else several
        if key == "message" and isinstance(value, str):
            value = re.sub(
                r"too old resource version: (\d+) \(\d+\)", r"too old resource version: \1 (<version>)", value
            )
        if key == "resourceVersion" and isinstance(value, str) and value:
            known = next((name for name, kept in self.kept.items() if name.startswith("RV") and kept == value), "")
            return f"${known}$" if known else "<version>"
        if isinstance(value, str):
            if key == "cells" and AGE.match(value):
                return "<age>"
            return self._text(value)
        return value


def _read(response: Response) -> Any:
    try:
        return json.loads(response.body)
    except ValueError:
        return response.body.decode(errors="replace").strip()


def _dig(value: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(value, list):
            value = value[int(step)] if int(step) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value


def _drop(value: Any, path: list[str]) -> None:
    if path[0].isdigit() and isinstance(value, list):
        if int(path[0]) < len(value):
            _drop(value[int(path[0])], path[1:])
    elif path[0] == "*":
        for each in value if isinstance(value, list) else value.values():
            _drop(each, path[1:])
    elif isinstance(value, dict) and path[0] in value:
        if len(path) == 1:
            del value[path[0]]
        else:
            _drop(value[path[0]], path[1:])


def prepare(transport: Transport, namespace: str, pause: Callable[[float], None]) -> None:
    """Make a fresh namespace whose default service account is there."""
    headers = {"accept": "application/json", "content-type": "application/json", "user-agent": "meshup"}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    transport.send(Request(method="POST", path="/api/v1/namespaces", headers=headers, body=json.dumps(body).encode()))
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    for _ in range(50):
        if transport.send(Request(method="GET", path=path, headers=headers)).status == 200:
            return
        pause(0.1)
    raise AssertionError("the namespace has no service account")


def play(
    case: dict[str, Any], transport: Transport, namespace: str, pause: Callable[[float], None] = time.sleep
) -> list[Any]:
    """Perform a whole case in a fresh namespace; give its answers."""
    prepare(transport, namespace, pause)
    playing = Play(transport, namespace, pause)
    answers = [playing.step(step) for step in case["steps"]]
    for path in case.get("cleanup") or ():
        transport.send(Request(method="DELETE", path=playing.filled(path), headers={"accept": "application/json"}))
    return answers
