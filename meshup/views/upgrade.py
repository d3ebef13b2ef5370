"""What `upgrade` derived and wrote, above the plan of it."""

from __future__ import annotations

from typing import Any

from meshup.model.plan import Plan
from meshup.model.text import clean
from meshup.model.upgrade import Upgrade
from meshup.views import plan as plans
from meshup.views.documents import document as framed
from meshup.views.table import amount, folded

MOST_LEFT = 12


def text(found: Upgrade, plan: Plan, *, filename: str, locked: str, saved: str, width: int) -> str:
    """Show who qualifies the release, who stays for now and why, and the plan."""
    old, new = found.before, found.book.mesh
    named = ", ".join(f"{name} ({clean(owner) or 'owner unknown'})" for name, owner in found.qualifies)
    lines = [
        f"upgrade   {new.driver} {old.release} (revision {old.revision}) to {new.release} (revision {new.revision})",
        f"release   {new.release} is {found.state or 'not on record; it is recorded as a candidate when it is installed'}",
        f"qualify   {named}: critical users first, by their own word",
        f"judged    {clean(found.judged, limit=400)}",
    ]
    lines += [f"stays     {name}: {clean(why)}" for name, why in found.left[:MOST_LEFT]]
    if len(found.left) > MOST_LEFT:
        lines.append(f"stays     {len(found.left) - MOST_LEFT} more, each with its reason in {filename}")
    lines += [f"note      {clean(each)}" for each in found.notes]
    lines.append(f"wrote     {filename} ({amount(len(found.book.waves), 'wave')})   {locked}")
    head = "\n".join(folded(each, width=width) for each in lines)
    return f"{head}\n\n{plans.text(plan, width=width, saved=saved, runbook=filename)}"


def document(found: Upgrade, plan: Plan, *, filename: str, locked: str) -> dict[str, Any]:
    """Give the same as JSON; the plan itself is `meshup plan -f RUNBOOK -o json`."""
    old, new = found.before, found.book.mesh
    return framed(
        "upgrade",
        runbook=filename,
        lock=locked,
        cluster={"uid": plan.cluster_uid, "context": plan.context},
        before={"release": old.release, "revision": old.revision},
        after={"release": new.release, "revision": new.revision},
        state=found.state or "none",
        qualifies=[{"service": name, "owner": clean(owner)} for name, owner in found.qualifies],
        judged=clean(found.judged, limit=400),
        left=[{"service": name, "why": clean(why)} for name, why in found.left],
        waves=[
            {"name": each.name, "services": list(each.services), "qualifies": each.qualifies}
            for each in found.book.waves
        ],
        stages=[each.name for each in found.book.stages],
        notes=[clean(each) for each in found.notes],
        plan=plan.id,
        changed=plan.changed,
        blocked=[each.what for each in plan.blocked],
    )
