"""A plan file for a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meshup.model.problem import UsageError

if TYPE_CHECKING:
    from meshup.model.plan import Plan


def read(file: str) -> Plan:
    """Read and check a plan file. Raises UsageError for no plan, Refused for one that was altered."""
    from meshup.engine.planfile import MOST, parse

    path = Path(file)
    if not path.is_file():
        raise UsageError(
            f"there is no plan file {file}", code="MU1005", fix="meshup plan --out FILE", cluster="not contacted"
        )
    if path.stat().st_size > MOST:
        raise UsageError(
            f"{file} is {path.stat().st_size} bytes long, a plan is at most {MOST}",
            code="MU2101",
            fix="meshup plan --out FILE",
            cluster="not contacted",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{file} is not text: {error.reason}", code="MU2101", fix="meshup plan --out FILE", cluster="not contacted"
        ) from error
    return parse(text, where=file)
