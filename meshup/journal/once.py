"""Write a record once: sent again it meets itself, and another one under its name is not taken for it."""

from __future__ import annotations

from collections.abc import Callable

from meshup.cluster.errors import AlreadyExists, Invalid, MaybeDone, NotFound
from meshup.cluster.ports import Writer
from meshup.journal.definitions import LOOK_EVERY_S, ensure
from meshup.model.objects import Object, ref_of
from meshup.model.problem import Refused

TRIES = 8


def write_once(
    cluster: Writer,
    plural: str,
    body: Object,
    *,
    noun: str,
    same: Callable[[Object], bool],
    refused: Callable[[str, str], Refused],
    pause: Callable[[float], None],
) -> Object:
    """Create a record and give it as it is stored, or the one that is there when it is the same.

    plural: its kind, whose definition is installed first. noun: what one is called. same: tells whether what has its name says the same. refused:
    makes the error of (code, why): MU2316 when the server does not accept it, MU2317 when another one has the name or
    the write could not be confirmed. Raises that, and what `ensure` raises.
    """
    ensure(cluster, plural, pause=pause)
    for _ in range(TRIES):
        try:
            return cluster.create(body)
        except (AlreadyExists, MaybeDone):
            there = cluster.find(ref_of(body))
            if there is None:
                continue
            if same(there):
                return there
            raise refused("MU2317", f"another {noun} has that name") from None
        except NotFound:
            # A definition is served a moment after it says that it is.
            pause(LOOK_EVERY_S)
        except Invalid as invalid:
            raise refused("MU2316", invalid.message) from None
    raise refused("MU2317", "its creation could not be confirmed")
