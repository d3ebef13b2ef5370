"""What owners said about joining, applied to a runbook: who is in, in which wave, and who is not to move yet. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from meshup.engine.running import asked
from meshup.journal.optin import KIND, latest
from meshup.meshes.driver import Driver
from meshup.model.objects import labels, matches
from meshup.model.optin import OptInRecord
from meshup.model.plan import Left
from meshup.model.runbook import OptIn, Runbook, Service, Wave
from meshup.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Opted:
    """A runbook with every owner's word in it, frozen: whoever goes on with a plan needs nothing but the plan.

    early: service id -> why no wave moves it yet. left: who stays out, by their owner's word. notes: what became of words and
    wishes, one line each, those of `left` included.
    """

    book: Runbook
    early: Mapping[str, str]
    left: tuple[Left, ...] = ()
    notes: tuple[str, ...] = ()


def words(snapshot: Snapshot) -> tuple[Mapping[str, OptInRecord], tuple[str, ...]]:
    """Give service id -> the word that counts, and the names of records that can't be read."""
    return snapshot.once("optins", lambda: latest(snapshot.of(KIND)))


def opted(book: Runbook, snapshot: Snapshot, driver: Driver | None = None) -> Opted:
    """Resolve opt-ins and the membership of waves against the cluster.

    An OptIn object beats the runbook and what init read from an annotation; an opt-out always wins. A service that is
    not to move before a day is in no wave until then, and no step counts on it, unless it runs in the mesh already.
    driver: tells that; None = whoever is not to move yet is taken for being outside.
    """
    said, odd = words(snapshot)
    now = snapshot.taken_at
    notes = [f"OptIn {name} can't be read, so it does not count" for name in odd]
    known = {each.id for each in book.services}
    notes += [
        f"{said[each].user} opted {each} in, which the runbook does not have; meshup init proposes it"
        for each in sorted(said.keys() - known)
        if said[each].joins
    ]
    early: dict[str, str] = {}
    left: list[Left] = []
    services: list[Service] = []
    for each in book.services:
        word = said.get(each.id)
        service = each if word is None else replace(each, opt_in=_opt_in(word))
        until = service.opt_in.not_before if service.opt_in is not None else None
        if word is not None and not word.joins:
            left.append(Left(service=each.id, how="opted out", why=out_words(word)))
        if until is not None and until > now and service.opt_in is not None:
            early[each.id] = f"{service.opt_in.by} opted it in, and not before {until.astimezone(UTC):%Y-%m-%d %H:%MZ}"
            left.append(Left(service=each.id, how="not yet", why=early[each.id]))
            if not _is_inside(service, snapshot, driver):
                service = replace(service, opt_in=None)
        services.append(service)
    resolved = tuple(_resolved(each, services, snapshot) for each in book.waves)
    waves, wishes = _wished(book, services, resolved, said)
    return Opted(
        book=replace(book, services=tuple(services), waves=waves),
        early=early,
        left=tuple(left),
        notes=(*notes, *(each.note for each in left), *wishes),
    )


def out_words(word: OptInRecord) -> str:
    """Say an opt-out in one line."""
    return f"{word.user} opted it out on {word.at:%Y-%m-%d}" + (f": {word.reason}" if word.reason else "")


def _opt_in(word: OptInRecord) -> OptIn | None:
    if not word.joins:
        return None
    return OptIn(by=word.user, at=word.at, wave=word.wave, not_before=word.not_before)


def _is_inside(service: Service, snapshot: Snapshot, driver: Driver | None) -> bool:
    """Tell whether a workload is enrolled already: holding it back then means not moving it, not forgetting it."""
    return driver is not None and bool(asked(service, snapshot, driver))


def _resolved(wave: Wave, services: Sequence[Service], snapshot: Snapshot) -> Wave:
    if wave.selector is None:
        return wave
    found = [
        each.id
        for each in services
        if (there := snapshot.get(each.workload)) is not None and matches(wave.selector, labels(there))
    ]
    return replace(wave, services=tuple(dict.fromkeys([*wave.services, *sorted(found)])), selector=None)


def _wished(
    book: Runbook, services: Sequence[Service], waves: tuple[Wave, ...], said: Mapping[str, OptInRecord]
) -> tuple[tuple[Wave, ...], list[str]]:
    """Put services into the waves their owners wish for, where the runbook's own rules allow it.

    Who qualifies a release stays there: the wish was for the wave in which they joined the mesh.
    """
    notes: list[str] = []
    names = [each.name for each in waves]
    qualifying = {each.name for each in waves if each.qualifies}
    for service in services:
        word = said.get(service.id)
        if word is None or not word.joins:
            continue
        now = next((each.name for each in waves if service.id in each.services), "")
        if not word.wave:
            if not now and names:
                notes.append(
                    f"{word.user} opted {service.id} in, and it is in no wave: add it to one, or its owner wishes for "
                    f"one: meshup opt-in {service.id} --wave {names[-1]}"
                )
            continue
        if word.wave == now or now in qualifying:
            continue
        against = _against(book, service, word.wave, names)
        stays = f"it stays in {now}" if now else "it is in none"
        if against:
            notes.append(f"{service.id} is not in {word.wave} as {word.user} wishes: {against}; {stays}")
            continue
        notes.append(f"{service.id} is in {word.wave} as {word.user} wishes" + (f", no more in {now}" if now else ""))
        waves = tuple(_with(each, service.id, word.wave) for each in waves)
    return waves, notes


def _against(book: Runbook, service: Service, wish: str, names: Sequence[str]) -> str:
    """Say which rule a wish would break, "" = none."""
    if wish not in names:
        return f"the runbook has no such wave; it has {', '.join(names) or 'none'}"
    used = [each.waves for each in book.stages if wish in each.waves]
    if not used:
        return "no stage moves that wave"
    if any(each.name == wish and each.qualifies for each in book.waves) and not service.critical:
        return "only critical services qualify a release"
    if service.critical and len(names) > 1 and wish == names[0] and not any(each.qualifies for each in book.waves):
        return "a critical service is in no first wave"
    return ""


def _with(wave: Wave, service: str, wish: str) -> Wave:
    others = tuple(each for each in wave.services if each != service)
    return replace(wave, services=(*others, service) if wave.name == wish else others)


def in_words(word: OptInRecord | None, now: datetime) -> str:
    """Say an owner's word in a few words beside the service's wave; "" = nothing to say beyond the runbook."""
    if word is not None and not word.joins:
        return f"opted out by {word.user}"
    if word is None or word.not_before is None or word.not_before <= now:
        return ""
    return f"not before {word.not_before.astimezone(UTC):%Y-%m-%d}"
