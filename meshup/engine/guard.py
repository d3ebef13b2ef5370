"""The guard: puts permissive back when meshup falls silent (commit-confirmed; RELIABILITY section 5).

It is a generator that yields the seconds to wait, so that the same program runs in a real pod and on virtual time.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshup.model.objects import dig
from meshup.model.program import Pod
from meshup.model.transport import Request, TransportFailure

LOOK_S = 5.0
AGAIN_S = 1.0
FIRST_BEAT_S = 20.0
REQUEST_S = 5.0
MANAGER = "meshup-guard"
DISARMED = "meshup.dev/disarmed"
REVERTED = "meshup.dev/reverted"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/{}"
MOVED = 409
MARKED = (200, 404)
"""Statuses after which nobody is left who could take the wave for held: marked, or no Lease to mark."""
GONE: Mapping[str, Any] = {}
"""What a read gives when the server says that the object is not there; None means that nobody could say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a guard was told.

    lease: namespace/name. after_s: silence that triggers it. policies: API paths of the objects to put back. field:
    where the mode is in them. back: the value that is put back; any other value counts as strict.
    """

    lease: str
    after_s: float
    policies: tuple[str, ...]
    field: tuple[str, ...]
    back: str


def orders(arguments: Sequence[str]) -> Orders:
    """Read the arguments. Raises ValueError."""
    lease, after, policies, field, back = "", 120.0, [], "", ""
    rest = list(arguments)
    while rest:
        flag = rest.pop(0)
        if not rest:
            raise ValueError(f"{flag} needs a value")
        value = rest.pop(0)
        match flag:
            case "--lease":
                lease = value
            case "--after":
                after = float(value)
            case "--policy":
                policies.append(value)
            case "--back":
                field, _, back = value.partition("=")
            case _:
                raise ValueError(f"unknown flag {flag}")
    if lease.count("/") != 1 or not policies or any(each[:6] != "/apis/" for each in policies) or not after > 0:
        raise ValueError("--lease NAMESPACE/NAME, --after SECONDS and at least one --policy API-PATH are needed")
    if not field or not back:
        raise ValueError("--back FIELD=VALUE is needed, such as spec.mode=permissive")
    return Orders(lease=lease, after_s=after, policies=tuple(policies), field=tuple(field.split(".")), back=back)


def guard(pod: Pod, arguments: Sequence[str]) -> Iterator[float]:
    """Watch the Lease; end when it is disarmed, or when all is seen to be permissive again after a silence.

    A pod that starts (again) waits only FIRST_BEAT_S for a beat. Silence is measured on this pod's own clock: a Lease
    that can't be read is silent too, as permissive is the safe side.
    """
    told = orders(arguments)
    seen: str | None = None
    seen_at, beaten = pod.clock.elapsed(), False
    pod.say(f"armed: {len(told.policies)} policies, silence of {told.after_s:g} s")
    while True:
        lease = _get(pod, LEASE.format(*told.lease.split("/")))
        if lease and dig(lease, "metadata", "annotations", DISARMED) == "true":
            pod.say("disarmed")
            return
        beat = str(dig(lease, "spec", "renewTime") or "")
        now = pod.clock.elapsed()
        if beat and beat != seen:
            # What stood there before the first look may be old; only a change is a beat.
            beaten = beaten or seen is not None
            seen, seen_at = beat, now
        limit = told.after_s if beaten else min(told.after_s, FIRST_BEAT_S)
        version = str(dig(lease, "metadata", "resourceVersion") or "")
        if now - seen_at >= limit and (yield from _reverted(pod, told, version)):
            pod.say(f"reverted after {now - seen_at:.0f} s of silence")
            return
        yield LOOK_S


def _reverted(pod: Pod, told: Orders, version: str) -> Generator[float, None, bool]:
    """Put every policy back and read it back until all is surely so; true when something had to be put back.

    The Lease is marked before the first write, so that a meshup that comes back does not take its wave for held. The
    first mark asks for the version of the Lease that was silent: one that was beaten or disarmed meanwhile refuses it,
    and nothing is put back. What can't be read is not sure. A policy that is gone, or names no mode, refuses nobody.
    """
    acted = marked = False
    while True:
        fine = True
        for path in told.policies:
            found = _get(pod, path)
            if found is not None and dig(found, *told.field) in (told.back, None):
                continue
            fine = False
            if found is not None:
                status = 200 if marked else _mark(pod, told, "" if acted else version)
                if status == MOVED and not acted:
                    return False
                marked = status in MARKED
                acted |= _put_back(pod, path, found, told)
        marked = marked or not acted or _mark(pod, told) in MARKED
        if fine and marked:
            return acted
        yield AGAIN_S


def _mark(pod: Pod, told: Orders, version: str = "") -> int:
    """Say on the Lease that the guard acts, if it is of that version ("" = any); give the answer's status."""
    meta: dict[str, Any] = {"annotations": {REVERTED: f"{pod.clock.now():%Y-%m-%dT%H:%M:%SZ}"}}
    body = {"metadata": {**meta, "resourceVersion": version} if version else meta}
    return _write(pod, LEASE.format(*told.lease.split("/")), body, kind="merge-patch+json")


def _put_back(pod: Pod, policy: str, found: Mapping[str, Any], told: Orders) -> bool:
    """Force the one field of a policy that was just read; true when the server took it."""
    inner: Any = told.back
    for key in reversed(told.field):
        inner = {key: inner}
    meta = {"name": found["metadata"]["name"], "namespace": found["metadata"]["namespace"]}
    body = {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": meta, **inner}
    status = _write(pod, policy, body, kind="apply-patch+yaml")
    taken = 200 <= status < 300
    if status:
        pod.say(f"{policy}: {told.back + ' again' if taken else f'answered {status}; again'}")
    return taken


def _write(pod: Pod, path: str, body: Mapping[str, Any], *, kind: str) -> int:
    """Send one patch as the guard; the status, 0 when no answer came."""
    query = (("fieldManager", MANAGER), *((("force", "true"),) if kind.startswith("apply") else ()))
    headers = {"content-type": f"application/{kind}", "accept": "application/json"}
    request = Request(
        method="PATCH", path=path, query=query, headers=headers, body=json.dumps(body).encode(), total_s=REQUEST_S
    )
    try:
        return pod.transport.send(request).status
    except TransportFailure as failed:
        pod.say(f"{path}: {failed}; again")
        return 0


def _get(pod: Pod, path: str) -> Mapping[str, Any] | None:
    """Read one object; GONE when the server says so, None when no answer says anything."""
    request = Request(method="GET", path=path, headers={"accept": "application/json"}, total_s=REQUEST_S)
    try:
        answer = pod.transport.send(request)
        if answer.status == 404:
            return GONE
        found = json.loads(answer.body) if answer.status == 200 else None
    except (TransportFailure, ValueError):
        return None
    return found if isinstance(found, dict) else None
