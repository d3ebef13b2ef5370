"""Steps and gates in their one-key form, with parameters checked against what their kind takes."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from meshup.model import rules, weights
from meshup.model.canary import METRICS
from meshup.model.duration import Duration, parse
from meshup.model.problem import Problem
from meshup.model.runbook import GateSpec, StepSpec
from meshup.model.verdict import Patience
from meshup.model.weights import Weights
from meshup.runbook.form import PatienceBlock
from meshup.runbook.kinds import Kinds, Table
from meshup.runbook.marks import Loc, Source, again


class Items:
    """Reads lists of steps and gates; problems are collected, never raised."""

    def __init__(self, source: Source, kinds: Kinds, problems: list[Problem]) -> None:
        self._source, self._kinds, self._problems = source, kinds, problems

    def steps(self, raw: Sequence[Mapping[str, Any]], loc: Loc) -> tuple[StepSpec, ...]:
        """Read a stage's steps."""
        found = []
        for number, item in enumerate(raw):
            kind = self._kind(item, (*loc, number), self._kinds.steps, "step", beside=frozenset())
            if kind is not None:
                params = self._params(item[kind], (*loc, number, kind), self._kinds.steps[kind], kind)
                found.append(StepSpec(kind=kind, params=params, at=self._source.where((*loc, number, kind), key=True)))
        return tuple(found)

    def gates(self, raw: Sequence[Mapping[str, Any]], loc: Loc) -> tuple[GateSpec, ...]:
        """Read a stage's gates."""
        found = []
        for number, item in enumerate(raw):
            at = (*loc, number)
            kind = self._kind(item, at, self._kinds.gates, "gate", beside=frozenset({"patience"}))
            if kind is not None:
                params = self._params(item[kind], (*at, kind), self._kinds.gates[kind], kind)
                patience = self._patience(item.get("patience"), (*at, "patience"), kind)
                found.append(
                    GateSpec(kind=kind, params=params, patience=patience, at=self._source.where((*at, kind), key=True))
                )
        return tuple(found)

    def say(
        self, code: str, what: str, loc: Loc, *, key: bool = False, hint: str = "", severity: str = "error"
    ) -> None:
        """Add a problem at a place."""
        at = self._source.where(loc, key=key)
        self._problems.append(
            Problem(
                code=code,
                what=what,
                at=at,
                hint=hint,
                fix=f"correct line {at.line}, then: {again(at.file)}",
                severity=severity,
            )
        )

    def _kind(
        self, item: Any, loc: Loc, known: Mapping[str, Table], word: str, *, beside: frozenset[str]
    ) -> str | None:
        if not isinstance(item, Mapping):
            self.say("MU1205", f"a {word} is written as KIND: {{parameters}}", loc)
            return None
        names = [key for key in item if key not in beside]
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(str(name), [*known, *beside], n=1)
                self.say(
                    "MU1206",
                    f'there is no {word} "{name}"',
                    (*loc, name),
                    key=True,
                    hint=f'did you mean "{near[0]}"?' if near else "",
                )
        good = [name for name in names if name in known]
        if len(names) != 1 and good:
            self.say("MU1205", f"one {word} an item; this one has {len(names)}: {', '.join(map(str, names))}", loc)
            return None
        if not names:
            self.say("MU1205", f"this item names no {word}", loc)
        return good[0] if good else None

    def _params(self, raw: Any, loc: Loc, table: Table, kind: str) -> Mapping[str, Any]:
        if raw is None:
            raw = {}
        if not isinstance(raw, Mapping):
            self.say("MU1207", f"{kind} takes parameters as a block, not {_shown(raw)}", loc)
            return {}
        values: dict[str, Any] = {}
        for name, value in raw.items():
            if name not in table:
                near = difflib.get_close_matches(str(name), list(table), n=1)
                known = f"; it takes {', '.join(table)}" if table else "; it takes none"
                self.say(
                    "MU1208",
                    f'{kind} has no parameter "{name}"{known}',
                    (*loc, name),
                    key=True,
                    hint=f'did you mean "{near[0]}"?' if near else "",
                )
                continue
            try:
                values[name] = _typed(value, table[name][0])
            except ValueError as error:
                self.say("MU1207", f"{kind}.{name}: {error}", (*loc, name))
                continue
            wrong = _bound(name, values[name])
            if wrong:
                self.say("MU1209", f"{kind}.{name}: {wrong}", (*loc, name))
        for name, (_, default, meaning) in table.items():
            if default is ... and name not in raw:
                self.say("MU1210", f"{kind} needs {name}: {meaning}", loc, key=True)
            elif name not in values and default is not ...:
                values[name] = default
        if "metrics" in values:
            for word in _unheard(values.get("rules") or (), values["metrics"]):
                self.say("MU1209", f"{kind}.rules: {word}", (*loc, "rules"))
        return values

    def _patience(self, raw: Any, loc: Loc, kind: str) -> Patience:
        usual = self._kinds.gate_patience.get(kind) or Patience()
        if raw is None:
            return usual
        from pydantic import ValidationError

        try:
            block = PatienceBlock.model_validate(raw)
        except ValidationError as error:
            for each in error.errors():
                where = (*loc, *each["loc"])
                self.say(
                    "MU1211",
                    f"patience of {kind}: {_cleaned(each['msg'])}",
                    where,
                    key=each["type"] == "extra_forbidden",
                )
            return usual
        made = Patience(
            limit_s=block.limit if block.limit is not None else usual.limit_s,
            every_s=block.every if block.every is not None else usual.every_s,
            in_a_row=block.in_a_row if block.in_a_row is not None else usual.in_a_row,
            least=block.least if block.least is not None else usual.least,
            window_s=block.window if block.window is not None else usual.window_s,
        )
        if (made.in_a_row - 1) * made.every_s > made.limit_s:
            self.say(
                "MU1212",
                f"{made.in_a_row} passes every {made.every_s:g} s do not fit into {made.limit_s:g} s",
                loc,
                key=True,
            )
        return made


def _cleaned(text: str) -> str:
    return text.removeprefix("Value error, ")


def _shown(value: Any) -> str:
    return repr(value)[:60]


def _typed(value: Any, kind: Any) -> Any:
    if kind is Duration:
        if not isinstance(value, str):
            raise ValueError(f"a length of time such as 5m is needed, not {_shown(value)}")
        return parse(value)
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"a number is needed, not {_shown(value)}")
        if value != value or abs(value) == float("inf"):  # noqa: PLR0124 - NaN is not itself
            raise ValueError(f"{value} is no number to judge by")
        return float(value)
    if kind is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"a whole number is needed, not {_shown(value)}")
        return value
    if kind is bool:
        if not isinstance(value, bool):
            raise ValueError(f"true or false is needed, not {_shown(value)}")
        return value
    if kind is Weights:
        return weights.read(value)
    if kind is list:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ValueError(f"a list of texts is needed, not {_shown(value)}")
        return list(value)
    if not isinstance(value, str):
        raise ValueError(f"text is needed, not {_shown(value)}; quote it")
    return value


def from_text(name: str, text: str, kind: Any) -> Any:
    """Read a parameter's value from a command line, by the rules of a runbook; lists by commas. Raises ValueError."""
    value: Any = text
    if kind in (float, int):
        try:
            value = kind(text)
        except ValueError as odd:
            raise ValueError(f'"{text}" is no number') from odd
    elif kind is bool:
        value = {"true": True, "false": False}.get(text, text)
    elif kind is Weights:
        value = [int(each) if each.isdigit() else each for each in text.split(",") if each]
    elif kind is list:
        value = [each for each in text.split(",") if each]
    found = _typed(value, kind)
    wrong = _bound(name, found)
    if wrong:
        raise ValueError(wrong)
    return found


SHARES = frozenset(
    {"floor", "quantile", "max-failure-ratio", "smallest-rise", "false-stops", "error-limit", "error-hard-limit"}
)
POSITIVE = frozenset({"limit-ms", "stale-after", "smallest-rise", "false-stops"})
WORDS = {
    "quiet": ("hold", "pool"),
    "levels": ("workload", "namespace", "mesh"),
    "callers": ("needed", "own"),
    "metrics": tuple(METRICS),
}


def _unheard(texts: Sequence[str], metrics: Sequence[str]) -> Iterator[str]:
    """Say of each rule on a metric that its gate does not compare that it would never act; what is no rule is said elsewhere."""
    for text in texts:
        with contextlib.suppress(ValueError):
            when = rules.read(text).when
            if when not in (rules.ANY, *metrics):
                yield f'"{text}" would never act: metrics has no {when}, only {", ".join(metrics)}'


def _bound(name: str, value: Any) -> str:
    if name in SHARES and isinstance(value, float) and not 0 <= value <= 1:
        return f"{value:g} is no share between 0 and 1"
    if name in POSITIVE and isinstance(value, float) and value <= 0:
        return f"{value:g} must be above 0"
    if name == "rules":
        try:
            for each in value:
                rules.read(each)
        except ValueError as odd:
            return str(odd)
    if name in WORDS:
        several = value if isinstance(value, list) else [value]
        wrong = [each for each in several if each not in WORDS[name]]
        if wrong or not several:
            return f'"{wrong[0] if wrong else ""}" is none of {", ".join(WORDS[name])}'
        if len(set(several)) != len(several) or [each for each in WORDS[name] if each in several] != several:
            return f"the order is {', '.join(WORDS[name])}, each once"
    if isinstance(value, float) and name in ("window", "for", "guard-after") and value <= 0:
        return "it must be above 0"
    return ""
