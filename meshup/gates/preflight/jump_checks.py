"""Checks of a jump over a control plane that is there: what is in use and gone in the release, and how long trust lasts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from meshup.gates.preflight.authority import Authority, Certificate, certificates
from meshup.gates.preflight.dropping import dropped, refused, schema_of
from meshup.gates.preflight.facts import Facts, Found, kind_of
from meshup.model.objects import Object, dig, ref_of, stored

MARGIN = timedelta(days=7)
"""A root or issuer that ends within this stops a jump: proxies that are restarted meanwhile would get nothing to trust."""
SOON = timedelta(days=60)
SHOWN = 3
"""So many fields of one object are named; the others are counted."""


def removed(facts: Facts) -> Iterator[Found]:
    """Find objects with fields, values or versions that the release's definitions do not have, and other things gone."""
    if facts.jump is None:
        return
    if facts.jump.unread:
        because = f"the release's manifests can't be read: {facts.jump.unread}"
        yield Found(object=f"release {facts.book.mesh.release}", because=because, is_open=True)
        return
    for new in facts.jump.definitions:
        old = facts.snapshot.get(ref_of(new))
        if old is not None:
            yield from _of_kind(facts, old, new)
    for each in facts.driver.gone(facts.snapshot, facts.book.mesh):
        yield Found(object=each.object, because=each.because)


def _of_kind(facts: Facts, old: Object, new: Object) -> Iterator[Found]:
    api_version, kind = kind_of(old)
    if kind in facts.unread:
        yield Found(
            object=str(ref_of(new)), because=f"its objects may not be listed: {facts.unread[kind]}", is_open=True
        )
        return
    if (api_version, kind) not in facts.snapshot.kinds:
        yield Found(
            object=str(ref_of(new)),
            because=f"the server does not serve {api_version}, in which it stores",
            is_open=True,
        )
        return
    version = api_version.rpartition("/")[2]
    before, after = schema_of(old, version), schema_of(new, version)
    if after is None:
        after = schema_of(new, stored(new))
    served = _served(new)
    gone = {f"{dig(new, 'spec', 'group')}/{each}" for each in _served(old) if each not in served}
    for each in facts.snapshot.of(kind):
        if str(each.get("apiVersion")).rpartition("/")[0] != dig(new, "spec", "group"):
            continue
        texts = list(_lost(each, before or {}, after or {})) if before != after else []
        for writer, word in sorted(_writers(each, gone)):
            texts.append(f"{writer} writes it as {word}, which the release does not serve")
        if texts:
            more = f" (+{len(texts) - SHOWN} more)" if len(texts) > SHOWN else ""
            yield Found(object=str(ref_of(each)), because="; ".join(islice(texts, SHOWN)) + more)


def _lost(obj: Object, before: Object, after: Object) -> Iterator[str]:
    """Say what another schema would drop of an object, or does not take although the one before did."""
    for path in dropped(obj, after):
        yield f"{path} is not in the release's definition: it would be dropped"
    odd = list(refused(obj, after))
    known = set(refused(obj, before)) if odd else set()
    for path, why in odd:
        if (path, why) not in known:
            yield f"{path} is not what the release's definition takes: {why}"


def _served(definition: Object) -> set[str]:
    return {str(each.get("name")) for each in dig(definition, "spec", "versions") or () if each.get("served")}


def _writers(obj: Object, gone: Collection[str]) -> set[tuple[str, str]]:
    """Give (manager, version) of those whose writes the server keeps as of a version that is gone."""
    entries = dig(obj, "metadata", "managedFields") or ()
    found = {(str(each.get("manager") or "somebody"), str(each.get("apiVersion") or "")) for each in entries}
    return {(manager, version) for manager, version in found if version in gone}


@dataclass(frozen=True, slots=True)
class _Parts:
    """Certificates of one place. where: for people."""

    where: str
    several: tuple[Certificate, ...]


def trust(facts: Facts) -> Iterator[Found]:
    """Find a root or issuer that ends within the margin, and a signer whose root proxies do not trust."""
    if facts.jump is None:
        return
    authority, where = facts.jump.authority, facts.driver.trust(facts.book.mesh)
    if not authority.trusted and not authority.signing:
        why = authority.unread or authority.unsigned or f"there is no {where.bundle}"
        yield Found(object=str(where.bundle), because=f"when the mesh's root ends can't be read: {why}", is_open=True)
        return
    parts = _parts(facts, authority)
    yield from _ending(facts, parts, MARGIN)
    known = {each.digest for part in parts if part.where != authority.signer for each in part.several}
    for part in parts:
        roots = [each for each in part.several if each.is_root]
        if part.where == authority.signer and known and not any(each.digest in known for each in roots):
            names = ", ".join(each.name for each in roots) or "none that is named"
            because = f"the new control plane would sign by root {names}, which is not among those in {where.bundle}"
            yield Found(object=part.where, because=because)


def trust_soon(facts: Facts) -> Iterator[Found]:
    """Find a root or issuer that ends soon, and say where an issuer could not be read."""
    if facts.jump is None:
        return
    authority = facts.jump.authority
    if authority.unsigned:
        because = f"{authority.unsigned}: when an issuer below the root ends is not known"
        yield Found(object=str(facts.driver.trust(facts.book.mesh).bundle), because=because, is_open=True)
    yield from _ending(facts, _parts(facts, authority), SOON)


def _parts(facts: Facts, authority: Authority) -> list[_Parts]:
    """Give the certificates of each place. Raises ValueError for a text that is none, as which the check is open."""
    found = [
        (str(facts.driver.trust(facts.book.mesh).bundle), authority.trusted),
        (authority.signer, authority.signing),
    ]
    return [_Parts(where, certificates(text)) for where, text in found if text]


def _ending(facts: Facts, parts: list[_Parts], within: timedelta) -> Iterator[Found]:
    now = facts.snapshot.taken_at
    for part in parts:
        for each in part.several:
            left = each.ends - now
            if left < within:
                what = "root" if each.is_root else "issuer"
                when = f"ended {each.ends:%Y-%m-%d}" if left < timedelta() else f"ends {each.ends:%Y-%m-%d}"
                yield Found(object=part.where, because=f"{what} {each.name} {when}, within {within.days} days")
