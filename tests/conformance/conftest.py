"""How many cases the simulator was asked, and how many fields differed, as the last line of a run."""

from __future__ import annotations

from tests.conformance.comparing import closing_lines


def pytest_terminal_summary(terminalreporter):
    for line in closing_lines(terminalreporter.stats):
        terminalreporter.write_line(line)
