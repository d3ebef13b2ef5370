"""Typed reads and writes of objects: one path for requests and for controllers in the process.

Objects that are given out must not be altered. Every write goes through admission and validation; `By.manager` ""
leaves ownership of fields untracked, which is fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from meshup.simulate.api.attempt import By
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.store import Obj


class ObjectsLike(Protocol):
    """What controllers may use. resource: "pods", "deployments.apps", or a Kind."""

    def get(self, resource: str | Kind, namespace: str, name: str) -> Obj | None:
        """Give an object, None when it is absent."""
        ...

    def list(
        self, resource: str | Kind, namespace: str = "", labels: Mapping[str, str] | None = None
    ) -> Iterator[Obj]:
        """Yield objects by namespace ("" = all) and labels."""
        ...

    def create(self, resource: str | Kind, obj: Obj, by: By) -> Obj:
        """Create an object. Raises Refusal."""
        ...

    def update(self, resource: str | Kind, obj: Obj, by: By) -> Obj:
        """Replace an object; a resourceVersion in it is a precondition. Raises Refusal."""
        ...

    def update_status(self, resource: str | Kind, obj: Obj, by: By) -> Obj:
        """Replace an object's status. Raises Refusal."""
        ...

    def patch(self, resource: str | Kind, namespace: str, name: str, patch: Any, by: By, *, style: str) -> Obj:
        """Patch an object; style: merge, strategic or json. Raises Refusal."""
        ...

    def apply(self, resource: str | Kind, obj: Obj, by: By, *, force: bool) -> Obj:
        """Apply a configuration as by.manager. Raises Refusal with the conflicts."""
        ...

    def delete(self, resource: str | Kind, namespace: str, name: str, by: By, *, options: Obj | None) -> Obj:
        """Delete an object; options: DeleteOptions. Gives its last version. Raises Refusal."""
        ...
