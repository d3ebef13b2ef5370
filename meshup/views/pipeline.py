"""The pipeline of a runbook for a CI system: one job per stage, in order, made from a template that ships."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from meshup import __version__
from meshup.model.runbook import Runbook, Stage
from meshup.model.shipped import shipped
from meshup.model.text import amount
from meshup.views.documents import document as framed

FILES: Mapping[str, str] = {"github": ".github/workflows/meshup.yml", "gitlab": ".gitlab-ci.yml"}
"""Where each system looks for it."""
SET_UP: Mapping[str, tuple[str, ...]] = {
    "github": (
        "environment mesh-plan: secret MESHUP_KUBECONFIG with the rights of a viewer",
        "environment mesh: secret MESHUP_KUBECONFIG that may apply, reviewers who approve, branch main alone",
    ),
    "gitlab": (
        "environment mesh-plan: variable KUBECONFIG (File) with the rights of a viewer, MESHUP_COMMENT_TOKEN",
        "environment mesh, protected: variable KUBECONFIG (File) that may apply",
    ),
}
BEGIN, END = "#@ stage\n", "#@ end\n"


def pipeline(book: Runbook, *, system: str, lock: str) -> str:
    """Give the file. system: one of FILES. lock: path of the runbook's lock. Both paths are those in the repository."""
    text = (shipped("templates") / "ci" / f"{system}.yml").read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    pattern, _, after = rest.partition(END)
    jobs = "".join(_filled(pattern, _job(book, number, system)) for number in range(len(book.stages)))
    stages = "\n".join(f'  - "apply:{each.name}"' for each in book.stages)
    whole = {
        "RUNBOOK": book.path,
        "LOCK": lock,
        "VERSION": __version__,
        "STAGES": stages,
        "RENDERS": _renders(book, system),
    }
    return _filled(before, whole) + jobs + _filled(after, whole)


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _job(book: Runbook, number: int, system: str) -> dict[str, str]:
    """Give what differs from stage to stage. Each needs the plan, whose file it performs, and the stage before it."""
    stage = book.stages[number]
    prefix = "stage-" if system == "github" else "apply:"
    before = [f"{prefix}{book.stages[number - 1].name}"] if number else []
    needs = json.dumps(["plan", *before])
    wanted = f"needs.{before[0]}.outputs.exit == '0'" if before else _BEGINS
    return {"STAGE": stage.name, "NEEDS": needs, "IF": wanted, "WHEN": _by_itself(stage)}


_BEGINS = "github.event_name != 'pull_request' && needs.plan.outputs.changed == 'true'"


def _renders(book: Runbook, system: str) -> str:
    """Say which program planning calls, as no runner has it. What a saved plan holds is rendered already."""
    source = book.mesh.manifests.source
    if source not in ("istioctl", "helm"):
        return ""
    indent = " " * (6 if system == "github" else 4)
    release = f" {book.mesh.release}" if source == "istioctl" else ""
    return (
        f"{indent}# Planning renders the mesh's manifests with {source}{release}: put it on PATH before the next step, or\n"
        f"{indent}# vendor them (manifests: from: directory). A stage needs it no more.\n"
    )


def _by_itself(stage: Stage) -> str:
    """Let a GitLab stage that changes nothing, such as preflight, begin without a person."""
    if stage.steps:
        return ""
    return "  rules:\n    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH\n"


def said(book: Runbook, *, system: str, fresh: bool, lock: str = "") -> str:
    """Say what was written, what has to be set up by hand, and the next command. lock: the runbook's, "" = it has none."""
    stages = ", ".join(each.name for each in book.stages)
    word = "wrote     " if fresh else "right     "
    lines = [
        f"{word}{FILES[system]}: a plan for every review, then {amount(len(book.stages), 'stage')}: {stages}",
        *(f"{'set up' if not number else '':<10}{line}" for number, line in enumerate(SET_UP[system])),
    ]
    if book.mesh.manifests.source in ("istioctl", "helm"):
        lines.append(f"          {book.mesh.manifests.source} on the plan job's PATH; the file says where")
    lines.append("No cluster was contacted.")
    return "\n".join([*lines, f"Next      git add {' '.join(filter(None, (book.path, lock, FILES[system])))}"])


def document(book: Runbook, *, system: str) -> dict[str, Any]:
    """Give the same as JSON."""
    return framed(
        "pipeline", system=system, file=FILES[system], runbook=book.path, stages=[s.name for s in book.stages]
    )
