"""Nodes: pods are placed, start after a while, become ready, and end; programs of ours run in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from meshup.model.clock import Clock
from meshup.model.objects import dig
from meshup.model.program import Program
from meshup.model.transport import Transport
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.store import Change, Obj
from meshup.simulate.api.users import service_account
from meshup.simulate.world.bits import condition

Fetch = Callable[[str, str, str], tuple[int, str]]
"""(pod IP, URL, host) -> (status, body)."""


PROXY = "istio-proxy"
RESTART_S = 3.0
"""How long a proxy that was killed takes until its pod is ready again."""
KILLED: Mapping[str, object] = {"exitCode": 137, "reason": "OOMKilled"}


class PodOfOurs:
    """What a program has around it: see meshup/model/program.py."""

    def __init__(self, transport: Transport, clock: Clock, *, ip: str, fetch: Fetch, log: deque[str]) -> None:
        self.transport, self.clock = transport, clock
        self._ip, self._fetch, self._log = ip, fetch, log

    def fetch(self, url: str, host: str) -> tuple[int, str]:
        """GET a URL with a Host header."""
        return self._fetch(self._ip, url, host)

    def say(self, line: str) -> None:
        """Write one line to the pod's log."""
        self._log.append(line)


class Nodes:
    """Scheduler and kubelets. trouble: pod -> (reason, message) while it can't run; slow: pod -> extra seconds."""

    def __init__(self, server: ApiServer, programs: Mapping[str, Program], fetch: Fetch) -> None:
        self._server, self._objects, self._programs, self._fetch = server, server.objects, programs, fetch
        self.logs: dict[str, deque[str]] = {}
        self.trouble: Callable[[Obj], tuple[str, str] | None] = lambda _pod: None
        self.slow: Callable[[Obj], float] = lambda _pod: 0.0
        self.leaving: Callable[[Obj], None] = lambda _pod: None
        self._address = 20
        self._turn = 0
        self._begun: set[str] = set()
        self._ending: set[str] = set()
        self._restarts: dict[str, int] = {}
        self._warned: set[str] = set()

    def see(self, change: Change) -> None:
        """Take notice of a pod."""
        if change.key != ("", "pods"):
            return
        if change.new is None or change.kind == "DELETED":
            uid = str((change.old or {}).get("metadata", {}).get("uid"))
            self._begun.discard(uid)
            self._ending.discard(uid)
            self.logs.pop(uid, None)
            self._restarts.pop(uid, None)
            self._warned.discard(uid)
            return
        meta = change.new["metadata"]
        uid = meta["uid"]
        if meta.get("deletionTimestamp") and uid not in self._ending:
            self._ending.add(uid)
            self.leaving(change.new)
            grace = min(float(meta.get("deletionGracePeriodSeconds") or 0), 3.0)
            self._server.clock.call_later(grace, lambda: self._end(change.namespace, change.name, uid))
        elif uid not in self._begun:
            self._begun.add(uid)
            self._server.clock.call_later(0.1, lambda: self._place(change.namespace, change.name, uid))

    def _pod(self, namespace: str, name: str, uid: str) -> Obj | None:
        pod = self._objects.get("pods", namespace, name)
        if pod is None or pod["metadata"]["uid"] != uid or pod["metadata"].get("deletionTimestamp"):
            return None
        return pod

    def _end(self, namespace: str, name: str, uid: str) -> None:
        pod = self._objects.get("pods", namespace, name)
        if pod is not None and pod["metadata"]["uid"] == uid:
            self._objects.delete("pods", namespace, name, options={"gracePeriodSeconds": 0})

    def _place(self, namespace: str, name: str, uid: str) -> None:
        pod = self._pod(namespace, name, uid)
        if pod is None:
            return
        if not pod["spec"].get("nodeName"):
            nodes = [each["metadata"]["name"] for each in self._objects.list("nodes")]
            if not nodes:
                self._server.clock.call_later(5.0, lambda: self._place(namespace, name, uid))
                return
            self._turn += 1
            pod = self._objects.update(
                "pods", {**pod, "spec": {**pod["spec"], "nodeName": nodes[self._turn % len(nodes)]}}
            )
        wait = (
            0.8 + self.slow(pod) + (0.7 if any(each.get("name") == "istio-proxy" for each in _containers(pod)) else 0.0)
        )
        self._server.clock.call_later(wait, lambda: self._start(namespace, name, uid))

    def _start(self, namespace: str, name: str, uid: str) -> None:
        pod = self._pod(namespace, name, uid)
        if pod is None:
            return
        self._address += 1
        ip = f"10.244.{self._address // 250}.{self._address % 250 + 1}"
        wrong = self.trouble(pod)
        if wrong is not None:
            self._troubled(pod, ip, wrong)
            self._server.clock.call_later(10.0, lambda: self._start(namespace, name, uid))
            return
        command: list[str] = list(dig(pod, "spec", "containers", 0, "command") or ())
        program = self._programs.get(str(command[1])) if len(command) > 1 and command[0] == "meshup" else None
        self._running(pod, ip, ready=program is not None)
        if program is not None:
            self._run(pod, ip, program, command[2:])
            return
        if pod["spec"].get("restartPolicy") in ("Never", "OnFailure"):
            lasts = float((pod["metadata"].get("annotations") or {}).get("simulator.meshup.dev/lasts", "20"))
            self._ready(namespace, name, uid)
            self._server.clock.call_later(lasts, lambda: self._finish(namespace, name, uid, "Succeeded"))
            return
        probe = dig(pod, "spec", "containers", 0, "readinessProbe")
        delay = 1.0 + float(dig(probe, "initialDelaySeconds") or 0) if probe else 0.2
        self._server.clock.call_later(delay, lambda: self._ready(namespace, name, uid))

    def _statuses(self, pod: Obj, *, ready: bool, state: Obj) -> tuple[list[Obj], list[Obj]]:
        def one(container: Obj, now: Obj, *, is_ready: bool) -> Obj:
            image = str(container.get("image", ""))
            times = self._restarts.get(pod["metadata"]["uid"], 0) if container["name"] == PROXY else 0
            return {
                "name": container["name"],
                "image": image,
                "imageID": image,
                "ready": is_ready,
                "started": is_ready,
                "restartCount": times,
                "state": now,
                **({"lastState": {"terminated": KILLED}} if times else {}),
            }

        inits = []
        for each in pod["spec"].get("initContainers") or ():
            native = each.get("restartPolicy") == "Always"
            done = {"terminated": {"exitCode": 0, "reason": "Completed"}}
            inits.append(one(each, state if native else done, is_ready=ready or not native))
        return [one(each, state, is_ready=ready) for each in pod["spec"].get("containers") or ()], inits

    def _write(self, pod: Obj, status: Obj) -> None:
        meta = pod["metadata"]
        self._objects.update_status(
            "pods",
            meta["namespace"],
            meta["name"],
            {"qosClass": dig(pod, "status", "qosClass") or "BestEffort", **status},
        )

    def _conditions(self, *, ready: bool, why: str = "") -> list[Obj]:
        time = self._server.writes.time()
        word = "True" if ready else "False"
        kinds = [
            ("PodReadyToStartContainers", "True"),
            ("Initialized", "True"),
            ("Ready", word),
            ("ContainersReady", word),
            ("PodScheduled", "True"),
        ]
        return [
            {
                "type": kind,
                "status": status,
                "lastProbeTime": None,
                "lastTransitionTime": time,
                **({"reason": why} if why and status == "False" else {}),
            }
            for kind, status in kinds
        ]

    def _running(self, pod: Obj, ip: str, *, ready: bool) -> None:
        state = {"running": {"startedAt": self._server.writes.time()}}
        containers, inits = self._statuses(pod, ready=ready, state=state)
        self._write(
            pod,
            {
                "phase": "Running",
                "podIP": ip,
                "podIPs": [{"ip": ip}],
                "hostIP": "10.243.0.2",
                "startTime": self._server.writes.time(),
                "conditions": self._conditions(ready=ready, why="ContainersNotReady"),
                "containerStatuses": containers,
                **({"initContainerStatuses": inits} if inits else {}),
            },
        )

    def _ready(self, namespace: str, name: str, uid: str) -> None:
        pod = self._pod(namespace, name, uid)
        if pod is None or dig(pod, "status", "phase") != "Running":
            return
        state = {"running": {"startedAt": dig(pod, "status", "startTime")}}
        containers, inits = self._statuses(pod, ready=True, state=state)
        self._write(
            pod,
            {
                **pod["status"],
                "conditions": self._conditions(ready=True),
                "containerStatuses": containers,
                **({"initContainerStatuses": inits} if inits else {}),
            },
        )

    def restart(self, pod: Obj) -> None:
        """Let the proxy of a running pod be killed by its memory limit and start again; the pod is not ready meanwhile."""
        meta = pod["metadata"]
        found = self._pod(meta["namespace"], meta["name"], meta["uid"])
        if found is None:
            return
        self._restarts[meta["uid"]] = self._restarts.get(meta["uid"], 0) + 1
        state = {"running": {"startedAt": self._server.writes.time()}}
        containers, inits = self._statuses(found, ready=False, state=state)
        conditions = self._conditions(ready=False, why="ContainersNotReady")
        self._write(
            found,
            {
                **found["status"],
                "conditions": conditions,
                "containerStatuses": containers,
                **({"initContainerStatuses": inits} if inits else {}),
            },
        )
        self._server.clock.call_later(RESTART_S, lambda: self._ready(meta["namespace"], meta["name"], meta["uid"]))

    def _troubled(self, pod: Obj, ip: str, wrong: tuple[str, str]) -> None:
        reason, message = wrong
        pulls = "Image" in reason or "Pull" in reason
        containers, inits = self._statuses(pod, ready=False, state={"waiting": {"reason": reason, "message": message}})
        uid = pod["metadata"]["uid"]
        if uid not in self._warned:
            self._warned.add(uid)
            self._warn(pod, *(("Failed", f"Failed to pull image: {message}") if pulls else ("BackOff", message)))
        if not pulls:
            self.logs.setdefault(uid, deque(maxlen=2000)).append("fatal: it ends as soon as it is started")
            ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
            containers = [{**each, "restartCount": 1, "lastState": ended} for each in containers]
        self._write(
            pod,
            {
                "phase": "Pending" if pulls else "Running",
                "podIP": ip,
                "podIPs": [{"ip": ip}],
                "hostIP": "10.243.0.2",
                "startTime": self._server.writes.time(),
                "conditions": self._conditions(ready=False, why="ContainersNotReady"),
                "containerStatuses": containers,
                **({"initContainerStatuses": inits} if inits else {}),
            },
        )

    def _warn(self, pod: Obj, reason: str, message: str) -> None:
        """Write the event that a kubelet writes about a pod."""
        meta, time = pod["metadata"], self._server.writes.time()
        about = {"apiVersion": "v1", "kind": "Pod", **{key: meta[key] for key in ("name", "namespace", "uid")}}
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{meta['name']}.", "namespace": meta["namespace"]},
            "involvedObject": about,
            "reason": reason,
            "message": message,
            "type": "Warning",
            "source": {"component": "kubelet"},
            "count": 1,
            "firstTimestamp": time,
            "lastTimestamp": time,
        }
        self._objects.create("events", body)

    def _finish(self, namespace: str, name: str, uid: str, phase: str) -> None:
        pod = self._pod(namespace, name, uid)
        if pod is None:
            return
        self.leaving(pod)
        code = 0 if phase == "Succeeded" else 1
        state = {
            "terminated": {
                "exitCode": code,
                "reason": "Completed" if code == 0 else "Error",
                "finishedAt": self._server.writes.time(),
            }
        }
        containers, inits = self._statuses(pod, ready=False, state=state)
        self._write(
            pod,
            {
                **pod["status"],
                "phase": phase,
                "conditions": self._conditions(ready=False, why="PodCompleted"),
                "containerStatuses": containers,
                **({"initContainerStatuses": inits} if inits else {}),
            },
        )

    def _run(self, pod: Obj, ip: str, program: Program, arguments: Sequence[str]) -> None:
        meta = pod["metadata"]
        namespace, name, uid = meta["namespace"], meta["name"], meta["uid"]
        log = self.logs.setdefault(uid, deque(maxlen=2000))
        user = service_account(namespace, str(pod["spec"].get("serviceAccountName") or "default"))
        around = PodOfOurs(self._server.as_user(user), self._server.clock, ip=ip, fetch=self._fetch, log=log)
        running = program(around, arguments)
        self._step(running, namespace, name, uid)

    def _step(self, running: Iterator[float], namespace: str, name: str, uid: str) -> None:
        if self._pod(namespace, name, uid) is None:
            return
        try:
            wait = next(running)
        except StopIteration:
            self._finish(namespace, name, uid, "Succeeded")
            return
        except Exception as error:  # noqa: BLE001 - a program that raises is a failed container
            self.logs.setdefault(uid, deque(maxlen=2000)).append(f"failed: {error}")
            self._finish(namespace, name, uid, "Failed")
            return
        self._server.clock.call_later(wait, lambda: self._step(running, namespace, name, uid))


def _containers(pod: Obj) -> list[Obj]:
    return [*(dig(pod, "spec", "containers") or ()), *(dig(pod, "spec", "initContainers") or ())]


def ready_condition(time: str) -> Obj:
    """Make the condition of a ready node."""
    return condition("Ready", "True", reason="KubeletReady", message="kubelet is posting ready status", time=time)
