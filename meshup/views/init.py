"""What `init` found and wrote, on one screen."""

from __future__ import annotations

from collections import Counter
from typing import Any

from meshup.model.proposal import Proposal
from meshup.model.text import clean, of_runbook
from meshup.views.documents import document as framed
from meshup.views.table import amount, columns, folded


def text(proposal: Proposal, *, filename: str, locked: str, objects: int, why: bool, width: int) -> str:
    """Show a proposal."""
    known = Counter(source for _, source in proposal.owners if source)
    unknown = [service for service, source in proposal.owners if not source]
    willing = [each for each in proposal.services if each.opt_in is not None]
    where = clean(proposal.context or "this cluster")
    lines = [
        f"looked    {where} (server {clean(proposal.server)}, id {proposal.cluster_uid[:8]}...) as {clean(proposal.user)}: "
        f"{amount(proposal.workloads, 'workload')}, {amount(proposal.namespaces, 'namespace')}; read-only",
        f"chose     {proposal.mesh.driver} {proposal.mesh.release}, revision {proposal.mesh.revision}       why: {proposal.chosen}",
        f"owners    {sum(known.values())} of {len(proposal.owners)} known ({', '.join(f'{count} {source}' for source, count in known.items())})"
        + (f"      unknown: {', '.join(map(clean, unknown))}" if unknown else ""),
        f"opted in  {len(willing)} of {len(proposal.services)}; nobody is opted in silently",
    ]
    lines += [f"left out  {clean(name)}: {clean(reason)}" for name, reason in proposal.blocked]
    if proposal.ingress is not None:
        hosts = ", ".join(clean(each.host) for each in proposal.ingress.hosts)
        lines.append(
            f"ingress   {hosts}; {amount(len(proposal.ingress.untranslated), 'setting')} not translated, listed in the runbook"
        )
    if why:
        lines.append(
            columns(
                [(f"   {clean(name)}", reason) for name, reason in proposal.why],
                header=("   service", "why it is there"),
                width=width,
            )
        )
    lines += [
        f"wrote     {filename} ({amount(len(proposal.waves), 'wave')})   {locked} ({amount(objects, 'object')}, by digest)",
        "Nothing was changed in the cluster.",
        f"Next      meshup rehearse -f {filename} --from-cluster      then: meshup plan{of_runbook(filename)}",
    ]
    return "\n".join(each if "\n" in each or each.startswith("Next") else folded(each, width=width) for each in lines)


def document(proposal: Proposal, *, filename: str, locked: str) -> dict[str, Any]:
    """Give a proposal as JSON."""
    return framed(
        "init",
        runbook=filename,
        lock=locked,
        cluster={"uid": proposal.cluster_uid, "context": proposal.context},
        release=proposal.mesh.release,
        services=len(proposal.services),
        opted_in=sum(each.opt_in is not None for each in proposal.services),
        unknown_owners=[service for service, source in proposal.owners if not source],
        untranslated=list(proposal.ingress.untranslated) if proposal.ingress else [],
        blocked=[{"workload": name, "why": reason} for name, reason in proposal.blocked],
        waves=[{"name": each.name, "services": list(each.services)} for each in proposal.waves],
        why=[{"name": name, "why": reason} for name, reason in proposal.why],
    )
