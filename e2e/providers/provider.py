"""What a provider of clusters does."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from e2e.lab import Home


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A server that tests may use. lab: the lab it belongs to, whose audit log and processes are at hand; else None."""

    provider: str
    kubeconfig: Path
    lab: Home | None = None


class Provider(Protocol):
    """Somewhere that clusters come from."""

    name: ClassVar[str]

    def api_server(self, *, fake_nodes: int = 0) -> AbstractContextManager[Reached]:
        """Give a server whose pods need not run; with nodes that are pretended if asked for, where there are such."""

    def cluster(self) -> AbstractContextManager[Reached]:
        """Give a cluster whose pods run."""

    def user(self, of: Reached, name: str, groups: Sequence[str] = ()) -> Path:
        """Give a kubeconfig of a person with a client certificate."""

    def collect(self, of: Reached, folder: Path) -> None:
        """Keep what explains a failed test."""
