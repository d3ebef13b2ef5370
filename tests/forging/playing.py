"""Attempts to forge a record, as data: performed by one runner on any server, each denied by the policy or role it names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from meshup.model.duration import parse
from meshup.model.transport import Request, Response, Transport

CASES = Path(__file__).parent.parent / "cases" / "forging"
TEMPLATES = Path(__file__).parents[2] / "templates"
WORLD = Path(__file__).parent / "world.yaml"
PEOPLE = ("alice", "bob", "platform", "operator", "keeper", "ci", "nobody")
CONTENT = {"PATCH": "application/merge-patch+json", "APPLY": "application/apply-patch+yaml"}
DIGEST = "sha256:" + "a" * 64
OURS = "/apis/meshup.dev/v1"
PATIENCE_S = 60.0
EVERY_S = 0.5
POLICY = "ValidatingAdmissionPolicy '"


def cases() -> list[Path]:
    return sorted(CASES.glob("*.yaml"))


def load(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Server:
    """One server with its people. now: its time. pause: lets time pass."""

    admin: Transport
    people: Mapping[str, Transport]
    now: Callable[[], datetime]
    pause: Callable[[float], None]

    def send(
        self, who: str, method: str, path: str, body: Any = None, *, query: Any = (), headers: Any = None
    ) -> Response:
        """Send one request as somebody."""
        transport = self.admin if who == "admin" else self.people[who]
        kind = CONTENT.get(method, "application/json")
        return transport.send(
            Request(
                method="PATCH" if method == "APPLY" else method,
                path=path,
                query=tuple(query),
                headers={"accept": "application/json", "content-type": kind, "user-agent": "forger", **(headers or {})},
                body=b"" if body is None else json.dumps(body).encode(),
            )
        )

    def made(self, path: str, body: Any) -> None:
        """Create something as the administrator, waiting until its kind is served and the policies let it."""
        for _ in range(int(PATIENCE_S / EVERY_S)):
            answer = self.send("admin", "POST", path, body)
            if answer.status in (201, 409):
                return
            self.pause(EVERY_S)
        raise AssertionError(answer.body)

    def who(self, name: str) -> dict[str, str]:
        """Give somebody as the server authenticates them, in the form of requestedBy."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = self.send(name, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
        if answer.status != 201:
            return {"username": "system:anonymous"}
        found = json.loads(answer.body)["status"]["userInfo"]
        return {key: found[key] for key in ("username", "uid") if found.get(key)}


def templates(folder: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a folder of templates that every server serves."""
    for path in sorted((TEMPLATES / folder).glob("*.yaml")):
        for each in yaml.safe_load_all(path.read_text("utf-8")):
            if not each["kind"].startswith("MutatingAdmission"):
                yield each


def prepare(server: Server) -> None:
    """Make what world.yaml says, roles and policies included, and wait until a forged record is denied."""
    world = load(WORLD)
    for each in [*templates("rbac"), *templates("crds"), *world["objects"]]:
        if each["metadata"]["name"] == "meshup-owner-releases":
            each["rules"][0]["resourceNames"] = world["pinnable"]
        server.made(collection(each), each)
    for number, (name, bound) in enumerate(world["roles"].items()):
        for scope, roles in bound.items():
            for role in roles:
                server.made(*binding(f"w{number}-{role}", name, role, "" if scope == "cluster" else scope))
    for version, state in world["releases"].items():
        spec = {"mesh": "istio", "version": version, "state": state, "digest": DIGEST}
        body = {"apiVersion": "meshup.dev/v1", "kind": "MeshRelease", "metadata": {"name": version}, "spec": spec}
        server.made(f"{OURS}/meshreleases", body)
    for each in templates("policies"):
        server.made(collection(each), each)
    ready(server)


def ready(server: Server) -> None:
    """Wait until a right record is taken and a forged one denied, by every policy that an attempt names."""
    play = Play(server, "ready")
    server.made("/api/v1/namespaces/shop/configmaps", MARKED)
    for act in ({"who": "alice", "pin": {}, "until": {"status": 201}}, FORGED, *LATE):
        found = play.act({**act, "dry": True})
        assert found["status"] == act["until"]["status"], found


MARKED = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "ready", "namespace": "shop", "annotations": {"meshup.dev/epoch": "7"}},
}
LATE = (
    {
        "who": "platform",
        "ask": {
            "method": "PATCH",
            "path": f"{OURS}/meshreleases/1.29.4",
            "body": {"spec": {"digest": "sha256:" + "c" * 64}},
        },
        "until": {"status": 422},
    },
    {
        "who": "admin",
        "ask": {
            "method": "PATCH",
            "path": "/api/v1/namespaces/shop/configmaps/ready",
            "body": {"metadata": {"annotations": {"meshup.dev/epoch": "6"}}},
        },
        "query": {"fieldManager": "meshup"},
        "until": {"status": 403},
    },
)
"""What the policies that are written last deny: a server takes up new policies in turn, and these after the others."""
FORGED = {"who": "alice", "pin": {"requestedBy.username": "bob"}, "until": {"status": 403}}


def collection(body: dict[str, Any]) -> str:
    """Give the path under which an object is created."""
    group, version = body["apiVersion"].rpartition("/")[::2]
    plural = {"ClusterRole": "clusterroles"}.get(body["kind"], body["kind"].lower() + "s")
    plural = plural.replace("policys", "policies")
    where = f"/namespaces/{body['metadata']['namespace']}" if body["metadata"].get("namespace") else ""
    return f"{f'/apis/{group}/{version}' if group else '/api/v1'}{where}/{plural}"


def binding(name: str, who: str, role: str, namespace: str) -> tuple[str, dict[str, Any]]:
    """Give path and body of a binding of a cluster role."""
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    subject: dict[str, Any] = {"kind": "User", "name": who, "apiGroup": "rbac.authorization.k8s.io"}
    if who.startswith("system:serviceaccount:"):
        subject = {"kind": "ServiceAccount", "name": who.split(":")[3], "namespace": who.split(":")[2]}
    body = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }
    return collection(body), body


class Play:
    """One case on one server. Names of its pins are the case's."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name = server, name

    def act(self, act: dict[str, Any]) -> dict[str, Any]:
        """Perform one act and give its answer, normalised; with `until`, again until the answer has that status."""
        wanted = (act.get("until") or {}).get("status")
        found = self._once(act)
        for _ in range(int(PATIENCE_S / EVERY_S)):
            if wanted is None or found["status"] == wanted:
                break
            self.server.pause(EVERY_S)
            found = self._once(act)
        return found

    def _once(self, act: dict[str, Any]) -> dict[str, Any]:
        who, space = act["who"], act.get("in", "shop")
        name = act.get("name", self.name)
        pins = f"{OURS}/namespaces/{space}/meshpins"
        one = f"{pins}/{name}"
        query = [(key, str(value)) for key, value in (act.get("query") or {}).items()]
        query += [("dryRun", "All")] if act.get("dry") else []
        more: dict[str, Any] = {"query": query, "headers": act.get("headers")}
        match act:
            case {"pin": changes}:
                return self._told(self.server.send(who, "POST", pins, self._pin(who, space, name, changes), **more))
            case {"apply": changes}:
                more["query"] = [*query, ("fieldManager", "forger")]
                return self._told(self.server.send(who, "APPLY", one, self._pin(who, space, name, changes), **more))
            case {"opt-in": changes}:
                body = self._opt_in(who, space, name, changes)
                return self._told(self.server.send(who, "POST", f"{OURS}/namespaces/{space}/optins", body, **more))
            case {"status": status}:
                return self._told(self.server.send(who, "PATCH", f"{one}/status", {"status": status}, **more))
            case {"patch": patch}:
                return self._told(self.server.send(who, "PATCH", one, patch, **more))
            case {"put": changes}:
                body = json.loads(self.server.send("admin", "GET", one).body)
                return self._told(self.server.send(who, "PUT", one, self._changed(body, changes), **more))
            case {"delete": _}:
                return self._told(self.server.send(who, "DELETE", one, **more))
            case {"delete-all": _}:
                return self._told(self.server.send(who, "DELETE", pins, **more))
            case {"restore": title}:
                body = next(
                    each for each in templates("policies") if f"{each['kind']}/{each['metadata']['name']}" == title
                )
                return self._told(self.server.send(who, "POST", collection(body), body, **more))
            case {"ask": ask}:
                path = ask["path"].replace("$NAME$", name)
                body = json.loads(json.dumps(ask.get("body")).replace("$NAME$", name))
                return self._told(self.server.send(who, ask["method"], path, body, **more))
        raise AssertionError(f"no act: {act}")

    def _pin(self, who: str, space: str, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        workload = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart", "uid": "u1"}
        spec = {
            "service": "cart",
            "workload": workload,
            "from": {"release": "1.30.1", "revision": "1-30-1"},
            "to": {"release": "1.29.4", "revision": "1-29-4", "digest": DIGEST},
            "requestedBy": self.server.who(who),
            "reason": "timeouts to ledger",
            "since": "now",
            "until": "now+7d",
        }
        body = {
            "apiVersion": "meshup.dev/v1",
            "kind": "MeshPin",
            "metadata": {"name": name, "namespace": space},
            "spec": spec,
        }
        return self._changed(body, {f"spec.{key}": value for key, value in changes.items()})

    def _opt_in(self, who: str, space: str, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        spec = {"service": "cart", "joins": True, "requestedBy": self.server.who(who), "at": "now", "reason": "ready"}
        body = {
            "apiVersion": "meshup.dev/v1",
            "kind": "OptIn",
            "metadata": {"name": name, "namespace": space},
            "spec": spec,
        }
        return self._changed(body, {f"spec.{key}": value for key, value in changes.items()})

    def _changed(self, body: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
        for path, value in changes.items():
            *steps, last = path.split(".")
            at = body
            for step in steps:
                at = at.setdefault(step, {})
            if value is None:
                at.pop(last, None)
            else:
                at[last] = value
        for key in ("since", "until", "at", "notBefore"):
            if str(body["spec"].get(key, "")).startswith("now"):
                body["spec"][key] = self._moment(body["spec"][key])
        return body

    def _moment(self, text: str) -> str:
        sign, length = text[3:4], text[4:]
        apart = timedelta(seconds=parse(length) if length else 0)
        at = self.server.now() + (apart if sign != "-" else -apart)
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")

    def _told(self, answer: Response) -> dict[str, Any]:
        """Give status and, of a refusal, who it is by (policy, role, or server) and the policy's own words."""
        if answer.status < 300:
            return {"status": answer.status}
        body = json.loads(answer.body)
        said = str(body.get("message", ""))
        if POLICY in said:
            policy = said.partition(POLICY)[2].partition("'")[0]
            return {"status": answer.status, "by": policy, "says": said.partition("denied request: ")[2]}
        by = "role" if " cannot " in said and answer.status == 403 else "server"
        return {"status": answer.status, "by": by, "reason": body.get("reason")}


def answers(server: Server, path: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Perform a case; give (wanted, found) of every act. An act without an answer must succeed."""
    case = load(path)
    play = Play(server, path.stem)
    found = []
    try:
        for act in case["acts"]:
            answer = play.act(act)
            wanted = act.get("answer") or act.get("until")
            found.append((wanted, answer) if wanted else ({"status": "2xx"}, {**answer, "status": _class(answer)}))
    finally:
        for act in case.get("after") or ():
            play.act(act)
    return [(wanted, {key: answer.get(key) for key in wanted}) for wanted, answer in found]


def _class(answer: dict[str, Any]) -> str:
    return "2xx" if answer["status"] < 300 else str(answer)
