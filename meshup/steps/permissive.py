"""permissive: meshed services speak mutual TLS, plaintext is still accepted, said in one policy of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from meshup.model.change import Apply
from meshup.model.objects import is_managed, ref_of
from meshup.model.problem import Problem, Where
from meshup.steps.step import Draft, Drafted, Scope


class Permissive:
    """Writes the mesh-wide permissive policy, so that what strict mode later changes is ours and has a way back."""

    kind: ClassVar[str] = "permissive"
    title: ClassVar[str] = "mutual TLS is spoken, plaintext still accepted"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {}
    needs: ClassVar[frozenset[str]] = frozenset({"strict-per-workload"})

    def draft(self, scope: Scope) -> Drafted:
        """Give one policy; refused where another tool owns it."""
        drafts: list[Draft] = []
        problems: list[Problem] = []
        right: list[str] = []
        services = scope.services or scope.book.services
        for policy in scope.driver.policies(services, scope.snapshot, scope.book.mesh, level="mesh", mode="permissive"):
            ref = ref_of(policy.body)
            found = scope.snapshot.get(ref)
            if found is not None and not is_managed(found):
                problems.append(
                    Problem(
                        code="MU3216",
                        what=f"{ref} is there and not meshup's",
                        why="strict mode is only switched by a policy that meshup owns and no other tool heals",
                        fix="hand that policy over: remove it where it comes from, then: meshup plan",
                        at=Where(object=str(ref)),
                    )
                )
                continue
            if found is not None:
                right.append(f"{ref} is there already")
                continue
            drafts.append(
                Draft(
                    change=Apply(on=ref, body=policy.body),
                    step=self.kind,
                    summary=f"new {ref}: permissive",
                    after=_definitions(scope),
                )
            )
        return Drafted(drafts=tuple(drafts), problems=tuple(problems), right=tuple(right))


def _definitions(scope: Scope) -> str:
    """Name the stage that installs the mesh's kinds, "" when they are served already."""
    if scope.book.mesh.revision in scope.driver.installed(scope.snapshot):
        return ""
    for stage in scope.book.stages:
        if any(each.kind == "install-control-plane" for each in stage.steps):
            return stage.name
    return ""
