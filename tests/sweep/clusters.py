"""Clusters for a sweep: served by processes of their own, forked at will, compared field by field."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wire import ask

HERE = Path(__file__).resolve().parent
MESHUP = Path(sys.executable).parent / "meshup"
OWN = "meshup-system"
PASSING = frozenset(
    {"Pod", "ReplicaSet", "ControllerRevision", "Event", "Endpoints", "EndpointSlice", "Lease", "PodMetrics", "Node"}
)
"""Kinds that controllers make and unmake, or that tell the time; what matters of them follows from their owners."""
STAMPS = ("meshup.dev/run", "meshup.dev/step", "meshup.dev/epoch")
"""Annotations whose values name the run; that they are there is compared, their values are not."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One call of the program. code: negative = ended by that signal."""

    arguments: tuple[str, ...]
    code: int
    said: str

    def __str__(self) -> str:
        return f"$ meshup {' '.join(self.arguments)}\n{self.said}\nexit {self.code}"


class Cluster:
    """One served cluster and a folder with its kubeconfig; work: where runbook and plan are."""

    def __init__(self, url: str, folder: Path, work: Path, server: subprocess.Popen[str] | None = None) -> None:
        self.url, self.folder, self.work, self._server = url, folder, work, server
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "simulator",
            "clusters": [{"name": "simulator", "cluster": {"server": url}}],
            "users": [{"name": "admin", "user": {"token": "simulator-admin"}}],
            "contexts": [{"name": "simulator", "context": {"cluster": "simulator", "user": "admin"}}],
        }
        (folder / "kubeconfig").write_text(json.dumps(config))

    def fork(self, name: str) -> Cluster:
        """Give a second cluster that is what this one is now."""
        made = ask(self.url, {"sweep": "fork"})
        return Cluster(made["url"], self.folder.parent / name, self.work)

    def end(self) -> None:
        """Stop serving it; a process that ends before its answer is through has ended all the same."""
        with contextlib.suppress(OSError):
            ask(self.url, {"sweep": "end"})
        if self._server is not None:
            self._server.wait(10)
            if self._server.stdout is not None:
                self._server.stdout.close()

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a call of the program."""
        env = {**os.environ, "KUBECONFIG": str(self.folder / "kubeconfig"), "HOME": str(self.folder), "CI": "true"}
        return subprocess.Popen(
            [str(MESHUP), *arguments],
            cwd=self.work,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, timeout: float = 180.0) -> Ran:
        """Call the program and wait for its end."""
        return self.wait(self.begin(*arguments), arguments, timeout=timeout)

    @staticmethod
    def wait(process: subprocess.Popen[str], arguments: Sequence[str], *, timeout: float = 180.0) -> Ran:
        """Wait for the end of a call."""
        try:
            said, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            said += f"\nstill under way after {timeout:.0f} s"
        return Ran(tuple(arguments), process.returncode, said)

    def killed(self, number: int, when: str, *arguments: str) -> Ran:
        """Call the program and kill it at its mutating request of that number."""
        process = self.begin(*arguments)
        ask(self.url, {"sweep": "rule", "number": number, "when": when, "pid": process.pid})
        return self.wait(process, arguments)

    def frozen(self, number: int, when: str, *arguments: str) -> subprocess.Popen[str]:
        """Begin a call and freeze it at its mutating request of that number; SIGCONT lets it go on."""
        process = self.begin(*arguments)
        ask(self.url, {"sweep": "rule", "number": number, "when": when, "pid": process.pid, "freeze": True})
        for _ in range(600):
            if process.poll() is not None or ask(self.url, {"sweep": "seen"})["fired"]:
                break
            time.sleep(0.05)
        return process

    def writes(self) -> list[str]:
        """Give what was written since the fork, or since a rule was set."""
        return list(ask(self.url, {"sweep": "seen"})["seen"])

    def forget_writes(self) -> None:
        """Begin the list of writes anew."""
        ask(self.url, {"sweep": "rule", "number": 0, "when": "before", "pid": 0})

    def advance(self, seconds: float) -> None:
        """Let the cluster's clock go on."""
        body = json.dumps({"advance_s": seconds}).encode()
        request = urllib.request.Request(f"{self.url}/simulator/clock", data=body, method="POST")
        with urllib.request.urlopen(request, timeout=120):
            pass

    def post(self, path: str, body: Mapping[str, Any]) -> None:
        """Make an object as the administrator."""
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers, method="POST")
        with urllib.request.urlopen(request, timeout=60):
            pass

    def objects(self) -> list[Mapping[str, Any]]:
        """Give everything that is there."""
        return list(ask(self.url, {"sweep": "objects"})["objects"])

    def state(self) -> dict[str, Any]:
        """Give everything that is there and stays, by name, without times, versions and identities."""
        found = {}
        for each in self.objects():
            meta = each["metadata"]
            made_by_a_controller = any(owner.get("controller") for owner in meta.get("ownerReferences") or ())
            journal = each.get("kind") == "ConfigMap" and meta.get("namespace") == OWN
            if each.get("kind") in PASSING or journal or made_by_a_controller:
                continue
            found[f"{each.get('kind')} {meta.get('namespace', '')}/{meta['name']}"] = lasting(each)
        return found


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a run between two places. before, after: the cluster at both ends. writes: what it sent."""

    through: str
    arguments: tuple[str, ...]
    before: Cluster
    after: Cluster
    writes: tuple[str, ...]
    code: int


def lasting(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Give what of an object does not depend on when and by which process it was written."""
    meta = obj["metadata"]
    notes = {key: "*" if key in STAMPS else value for key, value in (meta.get("annotations") or {}).items()}
    owners = sorted(
        (
            each["manager"],
            each["operation"],
            each.get("subresource", ""),
            json.dumps(each.get("fieldsV1"), sort_keys=True),
        )
        for each in meta.get("managedFields") or ()
        if not each.get("subresource")
    )
    kept = {key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion")}
    kept["metadata"] = {
        "labels": meta.get("labels") or {},
        "annotations": notes,
        "finalizers": meta.get("finalizers") or [],
        "owners": owners,
    }
    return kept


LEFT = ("Namespace /meshup-system", "ServiceAccount meshup-system/default")
LEFT += ("Namespace /istio-ingress", "ServiceAccount istio-ingress/default", "ConfigMap istio-ingress/kube-root-ca.crt")
TAKEN = ("Deployment shop/cart",)
EXCEPTIONS = (
    "namespaces that the run made stay, as others may use them by then, with what the cluster puts into each",
    "what minimise removed is made again by this run, so it carries its marks and meshup owns them",
    "a label that was taken from another manager has its old value back, and meshup as its owner",
)


def taken_back(state: Mapping[str, Any]) -> dict[str, Any]:
    """Give a state without what a way back may leave: EXCEPTIONS, and nothing beyond them."""
    found = {}
    for name, each in state.items():
        if name in LEFT:
            continue
        meta = each["metadata"]
        if meta["labels"].get("meshup.dev/managed-by") == "meshup":
            notes = {key: value for key, value in meta["annotations"].items() if key not in STAMPS}
            meta = {**meta, "annotations": notes, "owners": []}
        elif name in TAKEN:
            meta = {**meta, "owners": []}
        found[name] = {**each, "metadata": meta}
    return found


def with_pins(state: Mapping[str, Any]) -> dict[str, Any]:
    """Give a state with pins named by their service and number, without their times: their names hold a nonce. So are copies.

    An owner's words on joining keep their names, which follow from what was said, and lose their times.
    """
    found: dict[str, Any] = {}
    for name, each in state.items():
        if name.startswith("OptIn "):
            found[name] = {**each, "spec": {key: value for key, value in each["spec"].items() if key != "at"}}
            continue
        if not name.startswith("MeshPin "):
            found[name] = each
            continue
        spec = {key: value for key, value in each["spec"].items() if key not in ("since", "until")}
        kind = "MeshPin"
        if "copyOf" in spec:
            kind, spec = "Copy", {**spec, "copyOf": spec["copyOf"]["namespace"]}
        number = sum(1 for other in found if other.startswith(f"{kind} {spec['service']} "))
        found[f"{kind} {spec['service']} {number}"] = {**each, "spec": spec}
    return found


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Name what is in one state and not so in the other, at most 12."""
    found = [f"only in the first: {each}" for each in sorted(one.keys() - other.keys())]
    found += [f"only in the second: {each}" for each in sorted(other.keys() - one.keys())]
    for name in sorted(one.keys() & other.keys()):
        found += [f"{name}{path}" for path in _paths(one[name], other[name])]
    return found[:12]


def _paths(one: Any, other: Any, path: str = "") -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            each
            for key in sorted(one.keys() | other.keys())
            for each in _paths(one.get(key), other.get(key), f"{path}.{key}")
        ]
    return [] if one == other else [f"{path}: {str(one)[:160]} / {str(other)[:160]}"]


def serve(folder: Path, *arguments: str) -> Cluster:
    """Start the scenario's cluster in a process of its own."""
    server = subprocess.Popen(
        [sys.executable, str(HERE / "scenario.py"), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    assert url.startswith("http://"), "the cluster did not come up"
    work = folder / "work"
    work.mkdir()
    return Cluster(url, folder / "first", work, server)
