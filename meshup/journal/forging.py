"""Forged records, sent as dry runs: what each policy of the ledger is seen to deny, and what it could not be asked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from meshup.cluster.errors import Conflict, Denied, Forbidden, Invalid, NotFound
from meshup.cluster.ports import Reader, Writer
from meshup.journal.definitions import definition
from meshup.journal.enforcement import policies
from meshup.journal.home import EPOCH, epoch_of
from meshup.model.clock import Clock
from meshup.model.lacking import BOUNDS, STAMPS, as_served
from meshup.model.moment import stamp
from meshup.model.objects import Object, dig, ref_of

FORGED = "meshup-forged"
OURS = "meshup.dev/v1"
SUPPORTED = "meshup-release-supported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """One write that must be denied.

    policy: which must deny it. what: what it is, for messages. send: gives False when what it would remove is gone. new: it
    needs nothing that is there, so it can always be asked. beside: other policies that deny it too, as a server tells one
    denial alone.
    """

    policy: str
    what: str
    send: Callable[[Writer], object]
    new: bool = False
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What came of sending every forgery once.

    denied: (policy, what was forged), in the order of sending. let: the first that its policy did not deny, and why, ""
    when there was none; what follows it was not sent. unasked: what could not be forged, and why.
    """

    denied: tuple[tuple[str, str], ...]
    let: str = ""
    unasked: tuple[tuple[str, str], ...] = ()


def sent(cluster: Reader, clock: Clock) -> Round:
    """Send every forgery once, as dry runs alone. Raises what the door raises, Forbidden where no pin may be made.

    New records are forged whatever is there. A dry run of an update or a delete needs an object, and none is made for
    it, as it would stay behind: a changed spec, a phase moved back and a removal are forged on a pin that is there, a
    lower epoch on what a run wrote of the ledger. While the ledger is empty it has nothing to alter, and these are
    unasked; they are, too, where the role of whoever asks forbids them before a policy is asked.
    """
    pretends = cluster.pretending()
    denied: list[tuple[str, str]] = []
    unasked: list[tuple[str, str]] = []
    let = ""
    for each in _forgeries(cluster, clock):
        try:
            if each.send(pretends) is False:
                unasked.append((each.policy, f"{each.what}: it went meanwhile"))
            else:
                let = f"{each.policy} let {each.what} pass"
        except (Invalid, Denied) as answer:
            if any(f"'{policy}'" in answer.message for policy in (each.policy, *each.beside)):
                denied.append((each.policy, each.what))
            else:
                let = f"{each.policy}: {answer.message}"
        except (NotFound, Conflict, Forbidden) as answer:
            if each.new and not isinstance(answer, NotFound):
                raise
            if each.new:
                let = answer.message or answer.what
            else:
                unasked.append((each.policy, f"{each.what}: {answer.message or answer.what}"))
        if let:
            break
    asked = {policy for policy, _ in (*denied, *unasked)}
    unasked += [(policy, why) for policy, why in ALTERING.items() if policy not in asked and not let]
    return Round(denied=tuple(denied), let=let, unasked=tuple(unasked))


ALTERING = {
    "meshup-unchanged": "no pin is seen whose spec could be changed",
    "meshup-phases": "no pin is seen whose phase could go back",
    "meshup-kept": "no pin is seen that must be kept",
    "meshup-epoch": "no run has written an object of the ledger",
}
"""Policies of updates and deletes, and why one was not asked when nothing else says so."""


def _forgeries(cluster: Reader, clock: Clock) -> Iterator[Forgery]:
    try:
        releases = list(cluster.list(OURS, "MeshRelease"))
    except NotFound:
        releases = []
    yield from _new(cluster, clock, releases)
    yield from _altered(cluster)
    yield from _overtaken(cluster)


def _new(cluster: Reader, clock: Clock, releases: Sequence[Object]) -> Iterator[Forgery]:
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
        SUPPORTED: {"to": {"release": some, "revision": FORGED, "digest": FORGED}},
    }
    served = cluster.kinds()
    if any(each["kind"] in STAMPS and as_served(each, served) for each in policies()):
        wrong = {key: value for key, value in wrong.items() if key != "meshup-requester"}
    head = {"apiVersion": OURS, "kind": "MeshPin", "metadata": {"name": FORGED, "namespace": "default"}}
    # Without a release every record is denied by that policy too.
    beside = () if releases else (SUPPORTED,)
    for policy, change in wrong.items():
        yield _made(policy, "a forged record", {**head, "spec": {**right, **change}}, beside=beside)
    spec = {"mesh": FORGED, "version": f"{FORGED}-2", "state": "candidate", "digest": f"sha256:{'0' * 64}"}
    release = {"apiVersion": OURS, "kind": "MeshRelease", "metadata": {"name": FORGED}, "spec": spec}
    yield _made("meshup-releases", "a forged release", release)


def _made(policy: str, what: str, body: Object, *, beside: tuple[str, ...] = ()) -> Forgery:
    return Forgery(policy=policy, what=what, new=True, beside=beside, send=lambda cluster: cluster.create(body))


def _altered(cluster: Reader) -> Iterator[Forgery]:
    """Forge what must never come of a pin: another spec, a phase before the present one, a removal while it counts."""
    chosen = _chosen(cluster)
    if pin := chosen.get("meshup-unchanged"):
        spec = {"spec": {"reason": f"{FORGED}: {str(dig(pin, 'spec', 'reason'))[:200]}"}}
        yield _patched("meshup-unchanged", f"a changed spec of {ref_of(pin)}", pin, spec)
    if pin := chosen.get("meshup-phases"):
        back = {"status": {"phase": "Requested"}}
        yield _patched("meshup-phases", f"{ref_of(pin)} moved back to Requested", pin, back, subresource="status")
    if pin := chosen.get("meshup-kept"):
        yield _removed("meshup-kept", f"the removal of {ref_of(pin)}", pin)


def _chosen(cluster: Reader) -> Mapping[str, Object]:
    """Choose a pin for each policy, the first that serves; no more pages are read than that takes."""
    found: dict[str, Object] = {}
    with contextlib.suppress(NotFound, Forbidden):
        for pin in cluster.list(OURS, "MeshPin"):
            found.setdefault("meshup-unchanged", pin)
            if (dig(pin, "status", "phase") or "Requested") != "Requested":
                found.setdefault("meshup-phases", pin)
            if not dig(pin, "status", "exported"):
                found.setdefault("meshup-kept", pin)
            if len(found) == 3:
                break
    return found


def _overtaken(cluster: Reader) -> Iterator[Forgery]:
    """Forge the write of a run that was overtaken: an epoch below the one on record."""
    for ref in (BOUNDS, ref_of(definition("meshledgers"))):
        found = cluster.find(ref)
        if found is not None and epoch_of(found) > 0:
            lower = {"metadata": {"annotations": {EPOCH: "0"}}}
            yield _patched("meshup-epoch", f"a lower epoch on {ref}", found, lower)
            return


def _patched(policy: str, what: str, there: Object, patch: Object, *, subresource: str = "") -> Forgery:
    on = ref_of(there)
    return Forgery(
        policy=policy, what=what, send=lambda cluster: cluster.merge_patch(on, patch, subresource=subresource)
    )


def _removed(policy: str, what: str, there: Object) -> Forgery:
    on, uid = ref_of(there), str(dig(there, "metadata", "uid"))
    return Forgery(policy=policy, what=what, send=lambda cluster: cluster.delete(on, uid=uid))
