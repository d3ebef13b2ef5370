"""Install the ledger: what is missing is shown, written, and seen to deny forged records before it counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from meshup.cluster.errors import NotFound
from meshup.cluster.ports import Reader, Writer
from meshup.engine.marks import in_place_of
from meshup.engine.session import Session
from meshup.journal.definitions import ensure
from meshup.journal.enforcement import Enforcement, enforcement, fingerprint, identities, required
from meshup.journal.forging import Round, sent
from meshup.journal.home import MANAGED
from meshup.model.clock import Clock
from meshup.model.lacking import BOUNDS, DEFINITION, Wanted, lacking
from meshup.model.moment import stamp
from meshup.model.objects import dig, labels, ref_of
from meshup.model.problem import DeadlinePassed, Problem, Refused
from meshup.runbook.templates import of_the_ledger

ROUNDS, EVERY_S, LIMIT_S = 10, 0.6, 90.0
"""A policy is denied for by each API server on its own, some time after it was made; one that reads a new kind, half a
minute after that. Ten denials in a row over more than 5 s (RELIABILITY 6)."""


def missing(cluster: Reader) -> tuple[Wanted, ...]:
    """Give what an installation would write, in order; empty when all is there. Raises Refused (MU2341)."""
    found: list[Wanted] = []
    for each in lacking(of_the_ledger(), cluster.find, cluster.kinds()):
        if isinstance(each, Problem):
            raise Refused(each.what, code=each.code, why=each.why, fix=each.fix, cluster="nothing was changed")
        found.append(each)
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """How far the ledger's policies can be relied on now. unasked: (policy, why) of those the proof could not ask."""

    enforcement: Enforcement
    unasked: tuple[tuple[str, str], ...] = ()


def install(session: Session, wanted: Sequence[Wanted], *, pause: Callable[[float], None]) -> Installed:
    """Write what is missing and prove that it denies. Safe to repeat: what is there and proven is not written again.

    Raises DeadlinePassed (MU2342) when forged records are still taken after 90 s.
    """
    cluster = session.cluster
    for each in wanted:
        if each.body["kind"] == DEFINITION:
            _write(cluster, each, pause=pause)
            ensure(cluster, str(dig(each.body, "spec", "names", "plural")), pause=pause)
    cluster.forget_kinds()
    for each in wanted:
        if each.body["kind"] != DEFINITION:
            _write(cluster, each, pause=pause)
    proof = prove(cluster, session.clock, pause=pause)
    return Installed(enforcement=mark(cluster, session.clock), unasked=proof.unasked)


def prove(cluster: Writer, clock: Clock, *, pause: Callable[[float], None]) -> Round:
    """Give the last round once forged records were denied ten times in a row, each by its policy. Dry runs alone.

    Raises DeadlinePassed (MU2342).
    """
    began, row = clock.elapsed(), 0
    while True:
        last = sent(cluster, clock)
        row = 0 if last.let else row + 1
        if row == ROUNDS:
            return last
        if clock.elapsed() - began > LIMIT_S:
            raise DeadlinePassed(
                f"forged records are not denied {LIMIT_S:.0f} s after the policies were written",
                code="MU2342",
                why=last.let,
                fix="kubectl get validatingadmissionpolicies -o yaml, then: meshup ledger install",
                cluster="the policies are there; rows count as declared",
            )
        pause(EVERY_S)


def mark(cluster: Writer, clock: Clock) -> Enforcement:
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
        cluster.replace(in_place_of(cluster.get(each.ref), body))
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
