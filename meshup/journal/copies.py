"""A copy of each pin in meshup-system, so that the record of a namespace that was deleted is not lost with it.

Written after the pin and before the act, by who made the pin, and never changed. What came of a pin stands in the pin alone: of
one whose namespace is gone that is not known, so it counts as over, and as declared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshup.cluster.errors import AlreadyExists, Denied, Forbidden, Invalid, MaybeDone, NotFound
from meshup.cluster.ports import Writer
from meshup.journal.home import HOME, RESENDS
from meshup.journal.pin import from_body, is_copy, ref_of_copy, restored, to_body
from meshup.model.ledger import Pin
from meshup.model.objects import Object, dig


def copy_of(pin: Pin) -> Object:
    """Give the object that is kept of a pin. pin: as it is recorded, with its UID."""
    body = to_body(pin)
    there = {**body["metadata"], "namespace": HOME}
    return {**body, "metadata": there, "spec": {**body["spec"], "copyOf": {"namespace": pin.namespace, "uid": pin.uid}}}


def keep_copy(cluster: Writer, pin: Pin) -> str:
    """Write the copy of a pin; give why that could not be, "" = it is there. Safe to repeat: it meets itself."""
    body = copy_of(pin)
    for _ in range(RESENDS):
        try:
            if not is_copy(cluster.create(body)):
                return "the definition in the cluster is older than this meshup: it drops what it does not know"
        except (AlreadyExists, MaybeDone):
            there = cluster.find(ref_of_copy(pin))
            if there is None:
                continue
            if not is_copy(there) or from_body(there).uid != pin.uid:
                return f"another record has the name {pin.name} in {HOME}"
        except (Forbidden, Denied, Invalid, NotFound) as refused:
            return refused.message or refused.what
        return ""
    return "its creation could not be confirmed"


def whole(found: Iterable[Object]) -> Iterator[Object]:
    """Yield the pins of a whole cluster: those that are there, and for each that is gone what its copy says of it."""
    every = list(found)
    there = {str(dig(each, "metadata", "uid")) for each in every if not is_copy(each)}
    for each in every:
        if not is_copy(each):
            yield each
        elif dig(each, "spec", "copyOf", "uid") not in there:
            yield restored(each)
