"""The guard: puts permissive back when meshup falls silent (commit-confirmed; RELIABILITY section 5).

It is a generator that yields the seconds to wait, so that the same program runs in a real pod and on virtual time.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from meshup.model.objects import dig
from meshup.model.program import Pod
from meshup.model.transport import Request, TransportFailure

LOOK_S = 5.0
FIRST_BEAT_S = 20.0
MANAGER = "meshup-guard"
DISARMED = "meshup.dev/disarmed"
POLICY = "/apis/security.istio.io/v1/namespaces/{}/peerauthentications/{}"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a guard was told. lease: namespace/name. after_s: silence that triggers it. policies: namespace/name."""

    lease: str
    after_s: float
    policies: tuple[str, ...]


def orders(arguments: Sequence[str]) -> Orders:
    """Read the arguments. Raises ValueError."""
    lease, after, policies = "", 120.0, []
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
            case _:
                raise ValueError(f"unknown flag {flag}")
    if "/" not in lease or not policies or any("/" not in each for each in policies) or after <= 0:
        raise ValueError("--lease NAMESPACE/NAME, --after SECONDS and at least one --policy NAMESPACE/NAME are needed")
    return Orders(lease=lease, after_s=after, policies=tuple(policies))


def guard(pod: Pod, arguments: Sequence[str]) -> Iterator[float]:
    """Watch the Lease; end when it is disarmed, or when every policy is permissive again after a silence."""
    told = orders(arguments)
    started = pod.clock.elapsed()
    seen: str | None = None
    seen_at, beaten = started, False
    pod.say(f"armed: {len(told.policies)} policies, silence of {told.after_s:g} s")
    while True:
        lease = _get(pod, LEASE.format(*told.lease.split("/", 1)))
        if lease is not None and (dig(lease, "metadata", "annotations") or {}).get(DISARMED) == "true":
            pod.say("disarmed")
            return
        beat = str(dig(lease, "spec", "renewTime") or "") if lease is not None else ""
        now = pod.clock.elapsed()
        if beat and beat != seen:
            # What stood there before the first look may be old; only a change is a beat.
            beaten = beaten or seen is not None
            seen, seen_at = beat, now
        limit = told.after_s if beaten else min(told.after_s, FIRST_BEAT_S)
        if now - seen_at >= limit and (yield from _reverted(pod, told)):
            pod.say(f"reverted after {now - seen_at:.0f} s of silence")
            return
        yield LOOK_S


def _reverted(pod: Pod, told: Orders) -> Generator[float, None, bool]:
    """Put permissive back and read it back, until all of it is so; true when something had to be put back."""
    acted = False
    while True:
        left = [each for each in told.policies if _is_strict(pod, each)]
        if not left:
            return acted
        acted = True
        for each in left:
            _put_back(pod, each)
        yield 1.0


def _is_strict(pod: Pod, policy: str) -> bool:
    found = _get(pod, POLICY.format(*policy.split("/", 1)))
    return dig(found, "spec", "mtls", "mode") == "STRICT"


def _put_back(pod: Pod, policy: str) -> None:
    namespace, name = policy.split("/", 1)
    body = {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"mtls": {"mode": "PERMISSIVE"}},
    }
    request = Request(
        method="PATCH",
        path=POLICY.format(namespace, name),
        query=(("fieldManager", MANAGER), ("force", "true")),
        headers={"content-type": "application/apply-patch+yaml", "accept": "application/json"},
        body=json.dumps(body).encode(),
    )
    try:
        answer = pod.transport.send(request)
    except TransportFailure as failed:
        pod.say(f"{policy}: {failed}; again")
        return
    pod.say(f"{policy}: {'permissive again' if answer.status < 300 else f'answered {answer.status}; again'}")


def _get(pod: Pod, path: str) -> dict[str, Any] | None:
    try:
        answer = pod.transport.send(Request(method="GET", path=path, headers={"accept": "application/json"}))
    except TransportFailure:
        return None
    if answer.status != 200:
        return None
    found: dict[str, Any] = json.loads(answer.body)
    return found
