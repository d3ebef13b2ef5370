"""The guard: puts permissive back when meshup falls silent (commit-confirmed; RELIABILITY section 5).

It is a generator that yields the seconds to wait, so that the same program runs in a real pod and on virtual time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from meshup.model.objects import dig
from meshup.model.program import Pod
from meshup.model.transport import Request, TransportFailure

LOOK_S = 5.0
AGAIN_S = 1.0
FIRST_BEAT_S = 20.0
REQUEST_S = 5.0
MANAGER = "meshup-guard"
DISARMED = "meshup.dev/disarmed"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/{}"
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
        if now - seen_at >= limit:
            acted = False
            while not (fine := _round(pod, told)).all:
                acted |= fine.acted
                yield AGAIN_S
            if acted:
                pod.say(f"reverted after {now - seen_at:.0f} s of silence")
                return
        yield LOOK_S


class Round(NamedTuple):
    """One pass over the policies. all: each was seen not to be strict. acted: the server took at least one write."""

    all: bool
    acted: bool


def _round(pod: Pod, told: Orders) -> Round:
    """Read each policy and put it back at once if it is strict. What can't be read is not sure, so it is not fine.

    A policy that is gone, or names no mode, refuses nobody.
    """
    fine, acted = True, False
    for path in told.policies:
        found = _get(pod, path)
        if found is not None and dig(found, *told.field) in (told.back, None):
            continue
        fine = False
        acted |= found is not None and _put_back(pod, path, found, told)
    return Round(all=fine, acted=acted)


def _put_back(pod: Pod, policy: str, found: Mapping[str, Any], told: Orders) -> bool:
    """Force the one field of a policy that was just read; true when the server took it."""
    inner: Any = told.back
    for key in reversed(told.field):
        inner = {key: inner}
    meta = {"name": found["metadata"]["name"], "namespace": found["metadata"]["namespace"]}
    body = {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": meta, **inner}
    request = Request(
        method="PATCH",
        path=policy,
        query=(("fieldManager", MANAGER), ("force", "true")),
        headers={"content-type": "application/apply-patch+yaml", "accept": "application/json"},
        body=json.dumps(body).encode(),
        total_s=REQUEST_S,
    )
    try:
        status = pod.transport.send(request).status
    except TransportFailure as failed:
        pod.say(f"{policy}: {failed}; again")
        return False
    pod.say(f"{policy}: {told.back + ' again' if status < 300 else f'answered {status}; again'}")
    return status < 300


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
