"""`meshup replay`: a run, or an owner's rollback, judged again from the evidence in its journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from meshup.cli import options

if TYPE_CHECKING:
    from meshup.engine.replay import Other


def command(
    run: Annotated[
        str,
        typer.Argument(
            help="id of the run, or SERVICE or NAMESPACE/SERVICE of an owner's rollback; none = the newest run"
        ),
    ] = "",
    least: Annotated[
        int, typer.Option("--least", help="try another least evidence, for all gates; -1 = the plan's", min=-1)
    ] = -1,
    other: Annotated[
        list[str], typer.Option("--set", help="[KIND.]TERM=VALUE: try another value of a gate's term; repeatable")
    ] = [],
    namespace: options.Namespace = "",
    output: options.Output = "text",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    as_user: options.AsUser = "",
    as_group: options.AsGroup = [],
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Judge a run again from the evidence in its journal: 0 when every verdict is the same, 3 when one is not.

    Example: meshup replay --set canary.smallest-rise=0.004
    """
    import json

    from meshup.cli.connect import Aim, door, one_of, session
    from meshup.cli.screen import screen
    from meshup.engine.replay import LEAST, Other, replay
    from meshup.model.problem import Exit
    from meshup.views import replay as view

    one_of(output, ("text", "json"), flag="-o")
    look = screen(color=color, plain=plain)
    others = [read(each) for each in other]
    if least >= 0:
        others.append(Other(name=LEAST, value=least))
    around = session(door(Aim(kubeconfig=kubeconfig, context=context, user=as_user, groups=tuple(as_group))))
    found = replay(around, run=run, namespace=namespace, others=others)
    look.out(json.dumps(view.as_document(found), indent=2) if output == "json" else view.text(found, width=look.width))
    return int(Exit.DONE if found.same else Exit.GATE_HELD)


def read(text: str) -> Other:
    """Read [KIND.]TERM=VALUE by the rules of a runbook. Raises UsageError (MU1016)."""
    import difflib

    from meshup.cli.kinds import gates
    from meshup.engine.replay import Other
    from meshup.model.problem import UsageError
    from meshup.runbook.items import from_text

    named, mark, value = text.partition("=")
    kind, dot, name = named.rpartition(".")
    known = gates()
    tables = [gate.params for each, gate in known.items() if not kind or each == kind]
    types = [table[name][0] for table in tables if name in table]
    why = ""
    if not mark or not name or (dot and not kind):
        why = "a term is written as TERM=VALUE or KIND.TERM=VALUE"
    elif kind and kind not in known:
        near = difflib.get_close_matches(kind, known, 1)
        why = f'there is no gate "{kind}"' + (f'; did you mean "{near[0]}"?' if near else "")
    elif not types:
        names = sorted({each for table in tables for each in table})
        near = difflib.get_close_matches(name, names, 1)
        why = f'{kind or "no gate"} has {"no" if kind else "a"} term "{name}"'
        why += f'; did you mean "{near[0]}"?' if near else ""
    else:
        try:
            return Other(name=name, value=from_text(name, value, types[0]), kind=kind)
        except ValueError as odd:
            why = str(odd)
    raise UsageError(
        f"--set {text} can't be tried",
        code="MU1016",
        why=why,
        fix=f"meshup explain {kind}" if kind in known else "meshup explain gate",
        cluster="not contacted",
    )
