"""What speaks against an upgrade before anything is planned: the release, the jump, and nobody to qualify it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from meshup.engine.widening import against, record_of
from meshup.journal.release import order
from meshup.meshes.driver import Driver
from meshup.model.against import in_words
from meshup.model.problem import GateHeld, Refused, UsageError, Waiting
from meshup.model.release import Release
from meshup.model.runbook import Runbook
from meshup.model.snapshot import Snapshot

READ = "only read"


def check(
    book: Runbook,
    snapshot: Snapshot,
    driver: Driver,
    *,
    to: str,
    agreed: Sequence[str],
    left: Mapping[str, str],
) -> None:
    """Raise what speaks against the jump, the worst first.

    agreed: critical services that move. left: service -> why it does not move, "" = it does. Raises UsageError (MU3601
    unknown release, MU3602 no step up, MU3606 nobody is critical), GateHeld (MU3603), Refused (MU3604, MU3605) and
    Waiting (MU3607).
    """
    mesh = book.mesh
    _known(driver, to)
    if order(to) <= order(mesh.release):
        raise UsageError(
            f"{to} is no upgrade of {mesh.release}, which the runbook is of",
            code="MU3602",
            fix="name a newer release; the way back is: meshup rollback SERVICE --to RELEASE",
            cluster=READ,
        )
    _allowed(book, snapshot, driver, to)
    installed = driver.installed(snapshot)
    if mesh.revision not in installed:
        there = ", ".join(f"{revision} ({release or 'unknown'})" for revision, release in sorted(installed.items()))
        raise Refused(
            f"revision {mesh.revision} of the runbook is not installed, so there is nothing to upgrade",
            code="MU3604",
            why=f"installed are: {there}" if there else "no control plane is",
            fix="meshup apply onboards first; or name the runbook of what is installed with -f",
            cluster=READ,
        )
    why = driver.skew(to, mesh.release)
    if why is None or why:
        raise Refused(
            f"{mesh.release} can't go to {to} in one step",
            code="MU3605",
            why=why or f"nothing is known of {mesh.release}",
            fix="meshup upgrade --to a release in between, and from there on",
            cluster=READ,
        )
    _agreed(book, agreed, left)


def _known(driver: Driver, to: str) -> None:
    lines = driver.lines()
    if not any(to.startswith(f"{each}.") for each in lines):
        raise UsageError(
            f"nothing is known of release {to}",
            code="MU3601",
            why=f"known are releases of {', '.join(lines)}",
            fix="correct --to, or install a meshup that knows it",
            cluster=READ,
        )


def _allowed(book: Runbook, snapshot: Snapshot, driver: Driver, to: str) -> None:
    """Raise GateHeld (MU3603) for a release that may not be gone to, with who said so or went back from it."""
    record = record_of(snapshot, to)
    over = record is not None and record.has_ended(snapshot.taken_at)
    judged, away = against(to, book, snapshot, driver)
    held = judged is not None and judged.answer == "hold"
    if not held and not over and (record is None or record.state != "deprecated"):
        return
    raise GateHeld(
        f"release {to} may not be gone to",
        code="MU3603",
        why=judged.because if judged is not None and held else _said(record),
        details=tuple(map(in_words, away[:20])),
        fix=f"meshup releases shows what may; meshup report --version {to}",
        cluster=READ,
    )


def _said(record: Release | None) -> str:
    assert record is not None
    if record.state != "deprecated":
        return f"its support ended {record.ends:%Y-%m-%d}"
    last = record.decided
    return f"it is deprecated {last.words}" if last is not None else "it is deprecated"


def _agreed(book: Runbook, agreed: Sequence[str], left: Mapping[str, str]) -> None:
    critical = [each for each in book.services if each.critical]
    if not critical:
        raise UsageError(
            "no service of the runbook is critical, so nobody could qualify the release",
            code="MU3606",
            why="a release is good when those who depend on it most say so; its other users follow",
            fix=f"mark some with critical: true in {book.path or 'the runbook'}",
            cluster=READ,
        )
    if not agreed:
        raise Waiting(
            "no critical service may move now, so nobody would qualify the release",
            code="MU3607",
            details=tuple(
                f"{each.id} ({each.owner or 'owner unknown'}): {left.get(each.id) or 'it is in no wave'}"
                for each in critical
            ),
            fix="ask an owner who is named: meshup opt-in SERVICE, or meshup unpin SERVICE",
            cluster=READ,
        )
