"""What holds for every test: the network ends at this machine."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# A folder's helpers are imported by their plain names: `from scripted import Scripted`.
sys.path.extend(str(each) for each in sorted(Path(__file__).parent.iterdir()) if each.is_dir() and each.name != "cases")

# How long an example takes says nothing on a shared machine; what fails is printed so that it can be played again.
settings.register_profile("house", deadline=None, print_blob=True)
settings.load_profile("house")

REAL_CONNECT = socket.socket.connect
REAL_CONNECT_EX = socket.socket.connect_ex


def is_here(family: int, address: object) -> bool:
    """Tell whether an address is this machine's own: a Unix socket or a loopback address."""
    if family == socket.AF_UNIX:
        return True
    host = address[0] if isinstance(address, tuple) else ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refuse(address: object) -> None:
    raise AssertionError(f"a test may reach this machine only, not {address}")


@pytest.fixture(autouse=True)
def _network_ends_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(self: socket.socket, address: object) -> None:
        if not is_here(self.family, address):
            _refuse(address)
        REAL_CONNECT(self, address)

    def connect_ex(self: socket.socket, address: object) -> int:
        if not is_here(self.family, address):
            _refuse(address)
        return REAL_CONNECT_EX(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    # Nothing of the person who runs the tests may leak in.
    monkeypatch.delenv("KUBECONFIG", raising=False)


@pytest.fixture
def covered(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Say how much a sweep covered; said once more when all tests are over, also when they ran side by side."""

    def say(line: str) -> None:
        request.node.user_properties.append(("covered", line))

    return say


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the sweeps covered, whatever was captured."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, line in getattr(report, "user_properties", ()):
                if name == "covered" and report.when == "call":
                    terminalreporter.write_line(line)
