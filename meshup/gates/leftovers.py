"""jobs-finished and revisions-unused: nothing still runs that a change would cut off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from meshup.cluster.errors import NotFound
from meshup.gates.finding import name_of, number
from meshup.gates.gate import Eyes, Terms
from meshup.gates.judging import careful
from meshup.journal.ledger import is_open, pins
from meshup.model.objects import dig, owners
from meshup.model.verdict import Answer, Patience, Reading, Verdict


class JobsFinished:
    """Jobs that run when their owner is enrolled finish on what they started with; they are waited out."""

    kind: ClassVar[str] = "jobs-finished"
    title: ClassVar[str] = "no Job of the wave's services is running"
    reads: ClassVar[str] = "active pods of Jobs, by owner"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {}
    needs: ClassVar[frozenset[str]] = frozenset()
    patience: ClassVar[Patience] = Patience(limit_s=900, every_s=15, in_a_row=1)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Give running Jobs that belong to the services."""
        del terms
        wanted = {(each.namespace, each.workload.kind, each.workload.name): each.id for each in eyes.services}
        active: dict[str, str] = {}
        seen = 0
        try:
            for job in eyes.cluster.list("batch/v1", "Job"):
                seen += 1
                namespace, name = str(dig(job, "metadata", "namespace")), str(dig(job, "metadata", "name"))
                itself_or_above = [("Job", name), *owners(job)]
                service = next(
                    (wanted[namespace, *each] for each in itself_or_above if (namespace, *each) in wanted), None
                )
                if service is not None and dig(job, "status", "active"):
                    active[name_of(job)] = service
        except NotFound:
            seen = 0
        return {"active": active, "seen": seen}

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """None active passes."""
        del terms
        active = readings[-1].data.get("active") if readings else None
        if not isinstance(active, Mapping):
            return Verdict(answer=Answer.UNKNOWN, because="Jobs were not read")
        if active:
            name = next(iter(active))
            return Verdict(
                answer=Answer.UNKNOWN,
                because=f"Job {name} is running (+{len(active) - 1} more)",
                object=f"Job {name}",
                names=tuple(active),
            )
        return Verdict(answer=Answer.PASS, because="no Job is running")


class RevisionsUnused:
    """Before a revision is removed: no pod in the cluster runs a proxy of any other revision than those that stay."""

    kind: ClassVar[str] = "revisions-unused"
    title: ClassVar[str] = "no pod runs a proxy of a revision that goes"
    reads: ClassVar[str] = "the proxy of every pod in the cluster, and the pins"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {
        "keep": (list, [], "revisions that stay besides the runbook's")
    }
    needs: ClassVar[frozenset[str]] = frozenset({"revisions"})
    patience: ClassVar[Patience] = Patience(limit_s=600, every_s=10, in_a_row=1)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Count pods by the revision of their proxy."""
        counted: dict[str, list[str]] = {}
        total = 0
        for pod in eyes.cluster.list("v1", "Pod"):
            if dig(pod, "status", "phase") in ("Succeeded", "Failed"):
                continue
            total += 1
            proxy = eyes.driver.proxy(pod)
            if proxy is not None:
                counted.setdefault(proxy.revision, []).append(name_of(pod))
        kept = [eyes.book.mesh.revision, *eyes.book.mesh.keep_revisions, *(terms.params.get("keep") or ())]
        return {
            "revisions": {name: several[:5] for name, several in counted.items()},
            "kept": kept,
            "pods": total,
            "pins": {each.to_revision: f"{each.namespace}/{each.name}" for each in pins(eyes.cluster) if is_open(each)},
        }

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Only kept revisions may be seen. A pod on another one, such as a Job's, may end within the patience; a pin does not."""
        del terms
        data = readings[-1].data if readings else {}
        found, kept = data.get("revisions"), data.get("kept")
        if (
            not isinstance(found, Mapping)
            or not isinstance(kept, list | tuple)
            or not (number(data.get("pods")) or 0) > 0
        ):
            return Verdict(answer=Answer.UNKNOWN, because="no pod was seen; nothing seen is not a pass")
        others = {name: pods for name, pods in found.items() if name not in kept}
        if others:
            name, pods = next(iter(others.items()))
            return Verdict(
                answer=Answer.UNKNOWN,
                because=f"revision {name or 'unknown'} is in use by {pods[0]}",
                object=f"Pod {pods[0]}",
                names=tuple(pods),
            )
        held = {name: pin for name, pin in (data.get("pins") or {}).items() if name and name not in kept}
        if held:
            name, pin = next(iter(held.items()))
            because = f"revision {name} is held by MeshPin {pin}"
            return Verdict(answer=Answer.FAIL, because=because, object=f"MeshPin {pin}", names=(str(pin),))
        return Verdict(answer=Answer.PASS, because=f"{data['pods']} pods, none on a revision that goes")
