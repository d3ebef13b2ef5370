"""install-control-plane: the pinned release as a revision of its own, rendered offline, applied by us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from meshup.model.change import Apply, Change, Create, Handoff
from meshup.model.lacking import DEFINITION
from meshup.model.objects import MANAGED, Object, Ref, annotated, dig, is_managed, ref_of, stored
from meshup.model.problem import Problem, Where
from meshup.model.release import name_of as release_name
from meshup.model.runbook import Mesh
from meshup.steps.ledger import InstallLedger
from meshup.steps.step import Draft, Drafted, Scope


class InstallControlPlane:
    """Installs a revision beside those that are there; shared definitions of another owner are left alone."""

    kind: ClassVar[str] = "install-control-plane"
    title: ClassVar[str] = "the pinned release is installed as a revision of its own"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {}
    needs: ClassVar[frozenset[str]] = frozenset({"revisions"})

    def draft(self, scope: Scope) -> Drafted:
        """Give one apply per manifest in their order; a handoff when somebody else manages the control plane."""
        mesh = scope.book.mesh
        rendered = scope.driver.render(mesh)
        there = scope.driver.installed(scope.snapshot).get(mesh.revision)
        if there is not None and there not in ("", mesh.release):
            return Drafted(problems=(_altered(mesh, there),))
        if mesh.managed_by == "external":
            handed = _handed_off(mesh, rendered.objects, rendered.ready, there=there)
            return replace(handed, drafts=(*handed.drafts, *_record(scope, rendered.digest)))
        drafts: list[Draft] = []
        left: list[str] = []
        problems: list[Problem] = []
        for body in rendered.objects:
            found = scope.snapshot.get(ref_of(body))
            ref = ref_of(body)
            if found is not None and not is_managed(found):
                if ref in rendered.shared:
                    left.append(f"{ref} is there and not meshup's: left as it is")
                else:
                    problems.append(_foreign(ref, found))
                continue
            lost = _lost(body, found)
            if lost:
                problems.append(_dropped(ref, lost))
                continue
            wanted = body if found is None else rendered.again.get(ref, body)
            door = _door(body, found)
            moves = _repointed(body, found)
            if moves and ref.kind == "MutatingWebhookConfiguration":
                left.append(f"{ref} is a tag that leads elsewhere: it moves with the wave whose namespaces it leads")
                continue
            summary = f"{'change' if found else 'new'} {ref}" + (
                f": objects are stored as {stored(body)}" if door else f": it asks {moves}" if moves else ""
            )
            drafts.append(
                Draft(
                    change=_apply(wanted, found),
                    step=self.kind,
                    summary=summary,
                    risk="high" if door else "low",
                    one_way=door,
                    settled=bool(moves),
                )
            )
        return Drafted(
            drafts=(*drafts, *_record(scope, rendered.digest)),
            problems=tuple(problems),
            right=tuple(left),
            notes=(f"manifests: {rendered.origin}, {len(rendered.objects)} objects, {rendered.digest[:19]}",),
        )


def _record(scope: Scope, digest: str) -> tuple[Draft, ...]:
    """Record the release as a candidate where the ledger is, or is installed by then, and does not know it.

    One on record is left as it is.
    """
    mesh = scope.book.mesh
    on = Ref(api_version="meshup.dev/v1", kind="MeshRelease", name=release_name(mesh.release))
    is_there = ("meshup.dev/v1", "MeshRelease") in scope.snapshot.kinds or _brings_ledger(scope)
    if not is_there or scope.snapshot.get(on) is not None:
        return ()
    spec = {"mesh": mesh.driver, "version": mesh.release, "state": "candidate", "digest": digest}
    meta = {"name": on.name, "labels": {MANAGED: "meshup"}}
    body = {"apiVersion": on.api_version, "kind": on.kind, "metadata": meta, "spec": spec}
    summary = f"record {mesh.release} as a candidate"
    return (Draft(change=Create(on=on, body=body), step=InstallControlPlane.kind, summary=summary, risk="none"),)


def _brings_ledger(scope: Scope) -> bool:
    """Tell whether a step before this one installs the ledger."""
    kinds: list[str] = []
    for stage in scope.book.stages:
        own = [each.kind for each in stage.steps]
        if stage.name == scope.stage.name:
            kinds += own[: own.index(InstallControlPlane.kind)]
            break
        kinds += own
    return InstallLedger.kind in kinds


def _apply(body: Object, found: Object | None) -> Change:
    if found is None:
        return Apply(on=ref_of(body), body=body)
    return Apply(on=ref_of(body), body=body, before=body, uid=str(found["metadata"].get("uid") or ""))


def _repointed(body: Object, found: Object | None) -> str:
    """Name the Service that a webhook which is there asks from now on, "" = as before.

    It asks it only once the control plane is there: until it answers, the server would refuse what is to be asked about.
    """
    if found is None or not str(body["kind"]).endswith("WebhookConfiguration"):
        return ""
    now, then = (
        {dig(each, "clientConfig", "service", "name") for each in one.get("webhooks") or ()} for one in (found, body)
    )
    return ", ".join(sorted(str(each) for each in then - now if each))


def _door(body: Object, found: Object | None) -> str:
    """Name the door that applying a definition shuts: once an object is stored anew, the old release can't read it back.

    A server never takes a version out of status.storedVersions by itself, so putting the old definition back is no way back.
    """
    if body["kind"] != DEFINITION or found is None or stored(found) in ("", stored(body)):
        return ""
    return f"storage-{body['metadata']['name']}"


def _lost(body: Object, found: Object | None) -> str:
    """Name a version that objects are stored in and the new definition does not have, "" = none."""
    if body["kind"] != DEFINITION or found is None:
        return ""
    kept = {each["name"] for each in dig(body, "spec", "versions") or ()}
    return next((str(each) for each in dig(found, "status", "storedVersions") or () if each not in kept), "")


def _dropped(ref: Ref, version: str) -> Problem:
    return Problem(
        code="MU3218",
        what=f"{ref} has objects stored as {version}, which the release's definition does not have any more",
        why="the server refuses such a definition: these objects could not be read",
        fix="write each of its objects again, then take the version out of status.storedVersions; then: meshup plan",
        at=Where(object=str(ref)),
    )


def _foreign(ref: Ref, found: Object) -> Problem:
    helm = annotated(found).get("meta.helm.sh/release-name")
    who = f"Helm release {helm}" if helm else "somebody else"
    return Problem(
        code="MU3212",
        what=f"{ref} is there and belongs to {who}",
        why="meshup does not overwrite what it did not create",
        fix="set mesh.managedBy: external, or choose another mesh.revision",
        at=Where(object=str(ref)),
    )


def _altered(mesh: Mesh, there: str) -> Problem:
    return Problem(
        code="MU3211",
        what=f"revision {mesh.revision} is installed and serves {there}, the runbook wants {mesh.release}",
        why="a revision is never altered: its pods would change under their owners",
        fix="choose another mesh.revision in the runbook, then: meshup plan",
        at=Where(object=f"revision {mesh.revision}"),
    )


def _handed_off(mesh: Mesh, objects: tuple[Object, ...], ready: tuple[Ref, ...], *, there: str | None) -> Drafted:
    """Hand the manifests over until the control plane is there; whether it is ready and right is for the gates."""
    if there is not None:
        return Drafted(right=(f"revision {mesh.revision} serves {there or 'an unknown release'} already",))
    target = next((each for each in ready), ref_of(objects[0]))
    change = Handoff(
        on=target,
        to="the owner of the control plane",
        what=f"install {mesh.release} as revision {mesh.revision} in namespace {mesh.namespace}",
        until={"metadata.name": target.name},
        back=f"remove revision {mesh.revision}",
        body={"items": [dict(each) for each in objects]},
    )
    return Drafted(
        drafts=(Draft(change=change, step=InstallControlPlane.kind, summary=f"handoff: {change.what}", risk="medium"),)
    )
