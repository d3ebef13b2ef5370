"""The schema that editors read is the one of this program."""

from __future__ import annotations

from importlib.resources import files

from meshup.cli.kinds import kinds
from meshup.runbook import schema


def test_the_schema_that_is_shipped_is_the_one_that_is_printed() -> None:
    assert files("meshup.runbook").joinpath("runbook.schema.json").read_text("utf-8") == schema.text(kinds())
