"""Install the ledger: what is missing is shown, written, and seen to deny forged records before it counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from meshup.cluster.errors import Denied, Invalid, NotFound
from meshup.cluster.ports import Reader, Writer
from meshup.engine.session import Session
from meshup.journal.definitions import CRD, definition, ensure
from meshup.journal.enforcement import (
    BOUNDS,
    STAMPS,
    Enforcement,
    as_served,
    enforcement,
    fingerprint,
    identities,
    policies,
    required,
    unlike,
)
from meshup.journal.home import MANAGED
from meshup.model.clock import Clock
from meshup.model.moment import stamp
from meshup.model.objects import Object, Ref, dig, labels, ref_of
from meshup.model.problem import DeadlinePassed, Refused

KINDS = ("meshledgers", "meshreleases", "meshpins", "optins", "meshruns")
ROUNDS, EVERY_S, LIMIT_S = 10, 0.6, 90.0
"""A policy is denied for by each API server on its own, some time after it was made; one that reads a new kind, half a
minute after that. Ten denials in a row over more than 5 s (RELIABILITY 6)."""
FORGED = "meshup-forged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One object that the ledger needs. how: new, or changed back to what is shipped."""

    body: Object
    how: Literal["new", "changed"]

    @property
    def ref(self) -> Ref:
        """Which object it is."""
        return ref_of(self.body)


def missing(cluster: Reader) -> tuple[Wanted, ...]:
    """Give what an installation would write, in order; empty when all is there. Raises Refused (MU2341)."""
    found: list[Wanted] = []
    for plural in KINDS:
        body: Object = definition(plural)
        there = cluster.find(ref_of(body))
        if there is not None:
            _not_newer(body, there)
        if there is None or not _covers(there["spec"], body["spec"]):
            found.append(Wanted(body=body, how="new" if there is None else "changed"))
    for body, there in unlike(cluster):
        if there is not None and labels(there).get("meshup.dev/managed-by") != "meshup":
            raise _refused(f"{ref_of(body)} is not meshup's", "it was made by somebody else, without meshup's label")
        found.append(Wanted(body=body, how="new" if there is None else "changed"))
    return tuple(found)


def install(session: Session, wanted: Sequence[Wanted], *, pause: Callable[[float], None]) -> Enforcement:
    """Write what is missing and prove that it denies. Safe to repeat: what is there and proven is not written again.

    Raises DeadlinePassed (MU2342) when forged records are still taken after 90 s.
    """
    cluster = session.cluster
    for each in wanted:
        if each.body["kind"] == "CustomResourceDefinition":
            _write(cluster, each, pause=pause)
            ensure(cluster, str(dig(each.body, "spec", "names", "plural")), pause=pause)
    cluster.forget_kinds()
    for each in wanted:
        if each.body["kind"] != "CustomResourceDefinition":
            _write(cluster, each, pause=pause)
    prove(cluster, session.clock, pause=pause)
    return _mark(cluster, session.clock)


def prove(cluster: Writer, clock: Clock, *, pause: Callable[[float], None]) -> None:
    """Return once forged records were denied ten times in a row, each by its policy. Dry runs alone.

    Raises DeadlinePassed (MU2342).
    """
    began, row, last = clock.elapsed(), 0, ""
    while row < ROUNDS:
        last = _taken(cluster, clock)
        row = 0 if last else row + 1
        if row == ROUNDS:
            return
        if clock.elapsed() - began > LIMIT_S:
            raise DeadlinePassed(
                f"forged records are not denied {LIMIT_S:.0f} s after the policies were written",
                code="MU2342",
                why=last,
                fix="kubectl get validatingadmissionpolicies -o yaml, then: meshup ledger install",
                cluster="the policies are there; rows count as declared",
            )
        pause(EVERY_S)


def _taken(cluster: Writer, clock: Clock) -> str:
    """Send one forged record per policy; say which was not denied by its policy, "" when all were."""
    releases = list(cluster.list("meshup.dev/v1", "MeshRelease"))
    anywhere = "meshup-release-supported"
    for policy, body in _forgeries(cluster, clock, releases):
        try:
            cluster.create(body, dry_run=True)
        except (Invalid, Denied) as denied:
            said = denied.message
            # Without a release every record is denied by that policy too, and a server tells one denial alone.
            if f"'{policy}'" in said or (not releases and f"'{anywhere}'" in said):
                continue
            return f"{policy}: {said}"
        except NotFound as early:
            return early.message or early.what
        return f"{policy} let a forged record pass"
    return ""


def _forgeries(cluster: Reader, clock: Clock, releases: Sequence[Object]) -> list[tuple[str, Object]]:
    me = cluster.whoami()
    now = clock.now()
    right: dict[str, Any] = {
        "service": FORGED,
        "workload": {"apiVersion": "apps/v1", "kind": "Deployment", "name": FORGED, "uid": FORGED},
        "from": {"release": "", "revision": ""},
        "to": {"release": FORGED, "revision": FORGED},
        "requestedBy": {"username": me.user, **({"uid": me.uid} if me.uid else {})},
        "reason": "a forged record, to see that it is denied",
        "since": stamp(now),
        "until": stamp(now + timedelta(hours=1)),
    }
    some = str(dig(releases[0], "spec", "version")) if releases else FORGED
    wrong: Mapping[str, Mapping[str, Any]] = {
        "meshup-requester": {"requestedBy": {"username": f"{me.user}-{FORGED}"}},
        "meshup-form": {"reason": " "},
        "meshup-copies": {"copyOf": {"namespace": FORGED, "uid": FORGED}},
        "meshup-lifetime": {"until": "2999-01-01T00:00:00Z"},
        "meshup-release-supported": {"to": {"release": some, "revision": FORGED, "digest": FORGED}},
    }
    served = cluster.kinds()
    if any(each["kind"] in STAMPS and as_served(each, served) for each in policies()):
        wrong = {key: value for key, value in wrong.items() if key != "meshup-requester"}
    head = {"apiVersion": "meshup.dev/v1", "kind": "MeshPin"}
    meta = {"name": FORGED, "namespace": "default"}
    return [(policy, {**head, "metadata": meta, "spec": {**right, **change}}) for policy, change in wrong.items()]


def _mark(cluster: Writer, clock: Clock) -> Enforcement:
    """Record that the policies were proven, unless that is on record for just these objects."""
    found = enforcement(cluster)
    if found.state != "unproven":
        return found
    live = [cluster.get(ref_of(each)) for each in required()]
    status = {
        "enforcedSince": stamp(clock.now()),
        "policies": fingerprint(live),
        "objects": identities(live),
    }
    cluster.update_status(BOUNDS, status)
    return enforcement(cluster)


def _write(cluster: Writer, each: Wanted, *, pause: Callable[[float], None]) -> None:
    body = {**each.body, "metadata": {**each.body["metadata"], "labels": {**labels(each.body), **MANAGED}}}
    if each.how == "changed":
        # Not applied: what somebody else added to a set (a binding that only warns) would stay beside ours.
        there = cluster.get(each.ref)["metadata"]
        kept = {key: value for key, value in there.items() if key != "managedFields"}
        cluster.replace({**body, "metadata": {**kept, "labels": {**labels({"metadata": there}), **MANAGED}}})
        return
    for left in range(20, 0, -1):
        try:
            cluster.apply(body)
            return
        except NotFound:
            # A definition is served a moment after it says that it is.
            if left == 1:
                raise
            pause(EVERY_S)


def _covers(there: Any, wanted: Any) -> bool:
    """Tell whether all that is wanted is there; more may be."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(
            key in there and _covers(there[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(there, list)
            and len(there) == len(wanted)
            and all(_covers(a, b) for a, b in zip(there, wanted, strict=True))
        )
    return bool(there == wanted)


def _not_newer(body: Object, there: Object) -> None:
    ours = {each["name"] for each in dig(body, "spec", "versions") or ()}
    more = [each["name"] for each in dig(there, "spec", "versions") or () if each["name"] not in ours]
    if more:
        name = dig(body, "metadata", "name")
        raise _refused(f"{CRD.partition('/')[0]} {name} has the version {more[0]}", "a newer meshup has installed it")


def _refused(what: str, why: str) -> Refused:
    return Refused(
        what,
        code="MU2341",
        why=why,
        fix="use the meshup that installed it, or rename what is there",
        cluster="nothing was changed",
    )
