"""An owner lets a service join the mesh, or keeps it out: recorded with no right beyond their own; nothing moves by it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from meshup.cluster.clock import server_now
from meshup.engine.ending import plan_of
from meshup.engine.history import readable_book
from meshup.engine.opted import out_words
from meshup.engine.planning import driver_of, snapshot_for
from meshup.engine.refusals import not_theirs
from meshup.engine.session import Session
from meshup.engine.wait import Pause
from meshup.journal.ledger import holding, pins
from meshup.journal.optin import API_VERSION, KIND, from_body, optin_name, optins, record
from meshup.journal.pin import groups_digest, pin_name
from meshup.model.objects import Object, Ref, dig, ref_of
from meshup.model.optin import OptInRecord
from meshup.model.problem import Refused, UsageError, Where
from meshup.model.runbook import Runbook, Service

KINDS = (("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"), ("batch/v1", "CronJob"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What became of an owner's word. word: the record that counts now. fresh: it was written by this very call.

    notes: what follows from it, one line each. next: the command to go on with.
    """

    word: OptInRecord
    fresh: bool
    notes: tuple[str, ...]
    next: str


def say(
    session: Session,
    service: str,
    *,
    joins: bool,
    namespace: str = "",
    reason: str = "",
    wave: str = "",
    not_before: datetime | None = None,
    book: Runbook | None = None,
    wish: str = "",
) -> Said:
    """Record that a service joins or stays out. The same word again writes nothing.

    wish: digest of the file that says it, which is done once whatever was said after it; "" = somebody says it now.

    service: "namespace/name", or "name" in `namespace`, or what only one service of the runbook is called. book: None =
    that of the newest run, if there is one. Raises UsageError (MU3401, MU3421), Unreachable (MU7101), Refused (MU3422
    for a service that refuses plaintext, MU2316, MU2317).
    """
    meant = book or readable_book(session)
    known = _known(meant, service, namespace) if meant is not None else None
    _check_right(session, known.namespace if known is not None else service.rpartition("/")[0] or namespace)
    workload, name = _target(session, meant, known, service, namespace)
    ref = ref_of(workload)
    id_ = f"{ref.namespace}/{name}"
    if wave and meant is not None and wave not in (each.name for each in meant.waves):
        raise UsageError(
            f'the runbook {meant.name} has no wave "{wave}"',
            code="MU3421",
            why=f"it has {', '.join(each.name for each in meant.waves) or 'none'}",
            fix="correct --wave, or leave it out: the runbook decides then",
            cluster="nothing was changed",
        )
    before = optins(session.cluster, namespace=ref.namespace).get(id_)
    if wish and (done := _performed(session, ref.namespace, id_, wish)) is not None:
        return _told(session, meant, done, fresh=False, inside=False)
    inside = False
    if not joins:
        inside = _check_leaving(session, meant, id_, workload)
    word = _word(session, name, workload, joins=joins, reason=reason, wave=wave, not_before=not_before, before=before)
    if wish:
        word = replace(word, name=_wish_name(session, id_, wish))
    elif before is not None and _says_the_same(before, word):
        return _told(session, meant, before, fresh=False, inside=inside)
    pause = Pause(session, beat=lambda: None, next_command=f"meshup {_command(joins=joins)} {id_}")
    made = record(session.cluster, word, pause=pause.sleep)
    counts = optins(session.cluster, namespace=ref.namespace).get(id_, made)
    if (counts.name, counts.uid) != (made.name, made.uid) and counts.joins != joins:
        raise _overruled(made, counts)
    return _told(session, meant, made, fresh=True, inside=inside)


def _word(
    session: Session,
    name: str,
    workload: Object,
    *,
    joins: bool,
    reason: str,
    wave: str,
    not_before: datetime | None,
    before: OptInRecord | None,
) -> OptInRecord:
    who, ref = session.identity, ref_of(workload)
    at = server_now(session.clock).astimezone(UTC).replace(microsecond=0)
    if before is not None:
        # Whoever decides in view of another word is later than it, whatever the clocks say.
        at = max(at, before.at + timedelta(seconds=1))
    made = OptInRecord(
        name="",
        namespace=ref.namespace,
        service=name,
        workload=ref,
        workload_uid=str(dig(workload, "metadata", "uid") or ""),
        joins=joins,
        user=who.user,
        user_uid=who.uid,
        user_groups_digest=groups_digest(who.groups),
        at=at,
        reason=reason,
        wave=wave,
        not_before=not_before,
        on_behalf_of=session.on_behalf_of,
        on_behalf_trust=session.on_behalf_trust or ("declared" if session.on_behalf_of else ""),
    )
    after = before.uid or before.name if before is not None else ""
    return replace(made, name=optin_name(cluster_uid=session.cluster.uid(), record=made, after=after))


def _wish_name(session: Session, id_: str, wish: str) -> str:
    return pin_name(
        cluster_uid=session.cluster.uid(),
        service=id_,
        workload_uid="",
        from_release="",
        to_release="",
        user=session.identity.user,
        nonce=wish,
    )


def _performed(session: Session, namespace: str, id_: str, wish: str) -> OptInRecord | None:
    """Give the record that a wish was performed with, None = it was not yet."""
    ref = Ref(api_version=API_VERSION, kind=KIND, namespace=namespace, name=_wish_name(session, id_, wish))
    there = session.cluster.find(ref)
    return from_body(there) if there is not None else None


def _says_the_same(before: OptInRecord, word: OptInRecord) -> bool:
    same = (before.joins, before.wave, before.not_before) == (word.joins, word.wave, word.not_before)
    return same and (not word.reason or before.reason == word.reason)


def _target(
    session: Session, book: Runbook | None, known: Service | None, service: str, namespace: str
) -> tuple[Object, str]:
    """Find the workload that a service's pods come from, and the service's name. Raises UsageError (MU3401)."""
    if known is not None:
        found = session.cluster.find(known.workload)
        if found is not None:
            return found, known.name
        raise _nobody(service, f"{known.workload} is not in the cluster", ())
    space, _, name = service.rpartition("/")
    space = space or namespace
    for api_version, kind in KINDS:
        found = session.cluster.find(Ref(api_version=api_version, kind=kind, namespace=space, name=name))
        if found is not None:
            return found, name
    why = f"namespace {space} has no {', '.join(kind for _, kind in KINDS)} of that name"
    there = [each.name for each in (book.services if book is not None else ()) if each.namespace == space]
    raise _nobody(service, why, difflib.get_close_matches(name, there, n=3))


def _known(book: Runbook, service: str, namespace: str) -> Service | None:
    ids = {each.id: each for each in book.services}
    if service in ids:
        return ids[service]
    named = [each for each in book.services if each.name == service]
    near = [each for each in named if each.namespace == namespace]
    return near[0] if near else named[0] if len(named) == 1 and "/" not in service else None


def _nobody(service: str, why: str, near: Sequence[str]) -> UsageError:
    return UsageError(
        f'there is no service "{service}"',
        code="MU3401",
        why=why + (f"; near it: {', '.join(near)}" if near else ""),
        fix="correct the name, or name it as NAMESPACE/NAME",
        cluster="nothing was changed",
    )


def _check_right(session: Session, namespace: str) -> None:
    """Raise Unreachable (MU7101) before anything is looked for or written."""
    wanted = (("list", "meshup.dev/optins"), ("create", "meshup.dev/optins"))
    missing = [verb for verb, what in wanted if not session.cluster.can_i(verb, what, namespace=namespace)]
    if missing:
        raise not_theirs(session, namespace, [f"{verb} meshup.dev/optins" for verb in missing])


def _check_leaving(session: Session, book: Runbook | None, id_: str, workload: Object) -> bool:
    """Tell whether a service that is to stay out is inside; refuse while it refuses plaintext (MU3422)."""
    if book is None:
        return False
    driver = driver_of(session, book)
    spaces = (ref_of(workload).namespace, book.mesh.namespace)
    snapshot = snapshot_for(session, driver, spaces=spaces)
    ref = ref_of(workload)
    service = next((each for each in book.services if each.id == id_), None) or Service(
        name=id_.rpartition("/")[2], namespace=ref.namespace, workload=ref, owner=""
    )
    inside = bool(driver.enrolment(workload, snapshot, None).revision_before)
    if inside and driver.is_strict(service, snapshot):
        back = f"meshup rollback {id_} --to none --reason TEXT --until 7d"
        may = all(
            may_patch(session, ref_of(each.body))
            for each in driver.policies((service,), snapshot, book.mesh, level="workload", mode="permissive")
        )
        raise Refused(
            f"{id_} runs in the mesh and refuses plaintext, so it can't be opted out as it is",
            code="MU3422",
            why="out of reach of every later step, its strict mode would outlast its sidecar: nobody could call it any more",
            fix=f"{back} lifts it first and leaves the mesh; then opt out"
            if may
            else f"lifting it changes a policy, for which {session.identity.user} has no right: somebody with the role "
            f"operator runs {back}; then opt out",
            at=Where(object=str(ref)),
            cluster="nothing was changed, and nothing was recorded",
        )
    return inside


def may_patch(session: Session, on: Ref) -> bool:
    """Tell whether the caller may change an object; one of a kind that is not served can't be."""
    kind = session.cluster.kinds().get((on.api_version, on.kind))
    group = on.api_version.rpartition("/")[0]
    what = "" if kind is None else f"{group}/{kind.plural}" if group else kind.plural
    return bool(what) and session.cluster.can_i("patch", what, namespace=on.namespace)


def _overruled(mine: OptInRecord, other: OptInRecord) -> Refused:
    return Refused(
        f"{other.user} said the opposite of {mine.id} at the same time, and that counts",
        code="MU2317",
        why=f"OptIn {other.namespace}/{other.name} was stored later, or says no",
        fix="agree, then run the command again",
        cluster="both words are on record; nothing was moved",
    )


def _told(session: Session, book: Runbook | None, word: OptInRecord, *, fresh: bool, inside: bool) -> Said:
    notes = _joining_notes(session, book, word) if word.joins else _leaving_notes(word, inside=inside)
    mine = f"{word.service} -n {word.namespace}"
    again = f"opt-out {mine} --reason TEXT" if word.joins else f"opt-in {mine}"
    follow = plan_of(session, word.id) or f"nothing: plans are the platform's; to take it back: meshup {again}"
    if not word.joins and inside:
        follow = f"meshup rollback {word.id} --to none --reason TEXT --until 7d"
    return Said(word=word, fresh=fresh, notes=tuple(notes), next=follow)


def _joining_notes(session: Session, book: Runbook | None, word: OptInRecord) -> Sequence[str]:
    pin = holding(pins(session.cluster, namespace=word.namespace), namespace=word.namespace, service=word.service)
    when = "the next plan takes it along; a run under way keeps to its own plan"
    if pin is not None:
        held = f"MeshPin {pin.namespace}/{pin.name} holds it on {pin.to_release or 'none'} until {pin.ends}"
        when = f"{held}, and longer while nobody ends it: meshup unpin {word.id}, then the next plan takes it along"
    notes = [f"nothing moves now: {when}"]
    known = {each.id for each in book.services} if book is not None else set()
    if book is not None and word.id not in known:
        notes.append(f"the runbook {book.name} does not have {word.id} yet: meshup init proposes it")
    elif book is not None and not word.wave and not any(word.id in each.services for each in book.waves):
        notes.append("it is in no wave of the runbook by name: --wave W wishes for one")
    return notes


def _leaving_notes(word: OptInRecord, *, inside: bool) -> Sequence[str]:
    if inside:
        return ("no plan moves it any more; it runs in the mesh, and stays there until its owner takes it out",)
    return (f"no plan takes it along any more: {out_words(word)}",)


def _command(*, joins: bool) -> str:
    return "opt-in" if joins else "opt-out"
