"""The definitions (CRDs) of the ledger's kinds: installed when first needed, by whoever may."""

from __future__ import annotations

from collections.abc import Callable

from meshup.cluster.errors import Forbidden
from meshup.cluster.ports import Writer
from meshup.journal.home import make_once
from meshup.model.objects import Object, Ref, dig
from meshup.model.problem import DeadlinePassed, Refused
from meshup.model.shipped import shipped
from meshup.runbook.templates import objects

CRD = "apiextensions.k8s.io/v1"
ESTABLISHED_S = 30.0
LOOK_EVERY_S = 0.5


def definition(plural: str) -> Object:
    """Give one shipped definition: meshpins, optins, meshreleases, meshruns or meshledgers."""
    return next(each for each in objects("crds") if each["metadata"]["name"] == f"{plural}.meshup.dev")


def ensure(cluster: Writer, plural: str, *, pause: Callable[[float], None]) -> None:
    """See that the server serves a kind of ours, and install its definition where it does not. Safe to repeat.

    pause: sleeps that many seconds. Raises Refused (MU2316) naming the right that is missing.
    """
    ref = Ref(api_version=CRD, kind="CustomResourceDefinition", name=f"{plural}.meshup.dev")
    try:
        found = cluster.find(ref)
        if found is None:
            found = make_once(cluster, definition(plural)) or cluster.get(ref)
    except Forbidden as refused:
        if _served(cluster, plural):
            return
        raise Refused(
            f"{plural}.meshup.dev is not in the cluster, so nothing can be recorded there",
            code="MU2316",
            why=refused.message or refused.what,
            fix=f"somebody who may create CustomResourceDefinitions runs: kubectl apply -f {_file(plural)}",
            cluster="nothing was changed: a rollback is recorded before the act",
        ) from None
    waited = 0.0
    while not _established(found):
        if waited >= ESTABLISHED_S:
            raise DeadlinePassed(
                f"the definition {ref.name} is not served {ESTABLISHED_S:.0f} s after it was made",
                code="MU2316",
                fix=f"kubectl describe customresourcedefinition {ref.name}, then run the command again",
                cluster="nothing else was changed",
            )
        pause(LOOK_EVERY_S)
        waited += LOOK_EVERY_S
        found = cluster.get(ref)


def _established(found: Object) -> bool:
    conditions = dig(found, "status", "conditions") or ()
    return any(each.get("type") == "Established" and each.get("status") == "True" for each in conditions)


def _served(cluster: Writer, plural: str) -> bool:
    """Tell whether the kind is served, for owners, who may not read definitions."""
    return any(
        kind.plural == plural and kind.api_version.startswith("meshup.dev/") for kind in cluster.kinds().values()
    )


def _file(plural: str) -> str:
    return str(shipped("templates") / "crds" / f"{plural}.yaml")
