"""Evaluates the declared subset of PromQL; everything else is refused by name, never guessed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from meshup.simulate.prometheus.functions import EACH, RANGE_FUNCTIONS, over_range, quantile_of
from meshup.simulate.prometheus.series import NAME, Labels, Match, QueryError, Sample, Series, Source, match

LOOKBACK_S = 300.0
"""How far back an instant selector looks for its newest sample: Prometheus's own default."""
OPS = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}
SETS = frozenset({"and", "or", "unless"})
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    ">": lambda left, right: left > right,
    "<": lambda left, right: left < right,
    ">=": lambda left, right: left >= right,
    "<=": lambda left, right: left <= right,
}
AGGREGATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "avg": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
    "count": lambda values: float(len(values)),
    "group": lambda _: 1.0,
}
ARITHMETIC = ("+", "-", "*", "/", "%", "^")
OWN_FUNCTIONS = frozenset({"scalar", "vector", "time", "timestamp", "absent", "histogram_quantile"})


def subset() -> tuple[str, ...]:
    """Say what of PromQL is evaluated, a line each; everything else is refused by name."""
    return (
        f"selectors with = != =~ !~ and offset, {LOOKBACK_S / 60:.0f} min of lookback; ranges for functions of ranges",
        f"functions: {', '.join(sorted({*RANGE_FUNCTIONS, *EACH, *OWN_FUNCTIONS}))}",
        f"aggregations, by and without: {', '.join(sorted(AGGREGATIONS))}",
        f"operators, on and ignoring, one to one: {' '.join((*ARITHMETIC, *COMPARISONS))} (and bool), "
        f"{', '.join(sorted(SETS))}",
        "paths: query, query_range, series, labels, label/NAME/values, status/buildinfo, /-/ready, /-/healthy",
    )


@dataclass(frozen=True, slots=True)
class Vector:
    """An instant vector: labels (as sorted pairs) -> value. at: when each sample was taken, for timestamp()."""

    rows: dict[tuple[tuple[str, str], ...], float]
    at: dict[tuple[tuple[str, str], ...], float]


Value = Vector | float | str


@lru_cache(maxsize=256)
def parse(query: str) -> Any:
    """Parse a query. Raises QueryError with the parser's own words."""
    import promql_parser

    try:
        return promql_parser.parse(query)
    except ValueError as error:
        raise QueryError(f'invalid parameter "query": parse error: {error}') from error


def instant(source: Source, query: str, at: float) -> Value:
    """Evaluate a query at one moment (Unix seconds). Raises QueryError."""
    return Evaluation(source, at).of(parse(query))


def kind_of(query: str) -> str:
    """Name what a query gives, when that is known before it runs: "range vector", "string", else "". Raises QueryError."""
    return {"MatrixSelector": "range vector", "StringLiteral": "string"}.get(type(parse(query)).__name__, "")


def ranged(source: Source, query: str, at: float) -> list[Series] | None:
    """Give the series of a bare range selector at one moment, None when the query is something else."""
    tree = parse(query)
    if type(tree).__name__ != "MatrixSelector":
        return None
    found, start, end = Evaluation(source, at).matrix(tree)
    return [Series(each.labels, partial(_taken, rows)) for each in found if (rows := each.samples(start, end))]


def _taken(rows: Sequence[Sample], start: float, end: float) -> Sequence[Sample]:
    del start, end
    return rows


def _outside(what: str) -> QueryError:
    return QueryError(f"{what} is not in the embedded cluster's subset of PromQL")


def _key(labels: Labels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in labels.items() if value))


class Evaluation:
    """One evaluation at one moment."""

    def __init__(self, source: Source, at: float) -> None:
        self._source, self._at = source, at

    def of(self, node: Any) -> Value:
        """Evaluate a node of the syntax tree. Raises QueryError."""
        kind = type(node).__name__
        match kind:
            case "NumberLiteral" | "StringLiteral":
                return node.val  # type: ignore[no-any-return]
            case "ParenExpr":
                return self.of(node.expr)
            case "UnaryExpr":
                return _mapped(self.of(node.expr), lambda value: -value)
            case "VectorSelector":
                return self._newest(node)
            case "AggregateExpr":
                return self._aggregated(node)
            case "BinaryExpr":
                return self._binary(node)
            case "Call":
                return self._called(node)
            case "SubqueryExpr":
                raise _outside("a subquery")
            case _:
                raise QueryError(f"an instant vector or a scalar is needed, this is a {kind}")

    def vector(self, node: Any) -> Vector:
        """Evaluate a node that must be a vector."""
        found = self.of(node)
        if not isinstance(found, Vector):
            raise QueryError("an instant vector is needed")
        return found

    def _scalar(self, node: Any) -> float:
        found = self.of(node)
        if not isinstance(found, float | int):
            raise QueryError("a scalar is needed")
        return float(found)

    def _newest(self, selector: Any) -> Vector:
        matchers, end = matchers_of(selector), self._at - _offset(selector)
        result = Vector({}, {})
        for each in self._source.select(matchers, end - LOOKBACK_S, end):
            sample = each.newest(end - LOOKBACK_S, end)
            if sample is not None:
                _put(result, each.labels, sample[1], sample[0])
        return result

    def matrix(self, node: Any) -> tuple[Sequence[Series], float, float]:
        """Give the series of a range selector with the ends of its range. Raises QueryError."""
        if type(node).__name__ != "MatrixSelector":
            raise _outside("a subquery")
        selector = node.vector_selector
        matchers, end = matchers_of(selector), self._at - _offset(selector)
        start = end - node.range.total_seconds()
        return self._source.select(matchers, start, end), start, end

    def _called(self, node: Any) -> Value:
        name, args = node.func.name, node.args
        if name in RANGE_FUNCTIONS:
            found, start, end = self.matrix(args[0])
            result = Vector({}, {})
            for each in found:
                value = over_range(name, each.samples(start, end), start, end)
                if value is not None:
                    labels = each.labels if name == "last_over_time" else _nameless(each.labels)
                    _put(result, labels, value, self._at)
            return result
        if name in EACH:
            rest = [self._scalar(each) for each in args[1:]]
            return _mapped(self.vector(args[0]), lambda value: EACH[name](value, *rest))
        match name:
            case "time":
                return self._at
            case "vector":
                return Vector({(): self._scalar(args[0])}, {})
            case "scalar":
                rows = self.vector(args[0]).rows
                return next(iter(rows.values())) if len(rows) == 1 else math.nan
            case "timestamp":
                seen = self.vector(args[0])
                result = Vector({}, {})
                for key in seen.rows:
                    _put(result, _nameless(dict(key)), seen.at.get(key, self._at), self._at)
                return result
            case "absent":
                return Vector({}, {}) if self.vector(args[0]).rows else Vector({_absent(args[0]): 1.0}, {})
            case "histogram_quantile":
                return self._quantile(self._scalar(args[0]), self.vector(args[1]))
            case _:
                raise _outside(f"function {name}")

    def _quantile(self, share: float, buckets: Vector) -> Vector:
        groups: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
        for key, value in buckets.rows.items():
            labels = _nameless(dict(key))
            try:
                bound = float(labels.pop("le", ""))
            except ValueError:
                continue
            groups.setdefault(_key(labels), []).append((bound, value))
        return Vector({key: quantile_of(share, rows) for key, rows in groups.items()}, {})

    def _aggregated(self, node: Any) -> Vector:
        op = str(node.op)
        if op not in AGGREGATIONS:
            raise _outside(f"aggregation {op}")
        named = frozenset(node.modifier.labels) if node.modifier is not None else frozenset()
        without = node.modifier is not None and str(node.modifier.type).endswith("Without")
        groups: dict[tuple[tuple[str, str], ...], list[float]] = {}
        for key, value in self.vector(node.expr).rows.items():
            kept = tuple(
                pair for pair in key if (pair[0] not in named and pair[0] != NAME if without else pair[0] in named)
            )
            groups.setdefault(kept, []).append(value)
        return Vector({key: AGGREGATIONS[op](values) for key, values in groups.items()}, {})

    def _binary(self, node: Any) -> Value:
        op, left, right = str(node.op), self.of(node.lhs), self.of(node.rhs)
        wanted = node.modifier is not None and node.modifier.return_bool
        if isinstance(left, str) or isinstance(right, str):
            raise QueryError("strings have no operators")
        if not isinstance(left, Vector) and not isinstance(right, Vector):
            return _scalars(op, float(left), float(right))
        if isinstance(left, Vector) and isinstance(right, Vector):
            return _vectors(op, left, right, node.modifier, wanted=wanted)
        result = Vector({}, {})
        several = left if isinstance(left, Vector) else right
        assert isinstance(several, Vector)
        for key, value in several.rows.items():
            one, other = (value, float(right)) if several is left else (float(left), value)  # type: ignore[arg-type]
            _put_result(result, op, key, one, other, kept=value, wanted=wanted)
        return result


def matchers_of(selector: Any) -> list[Match]:
    """Give the matchers of a selector, its metric's name among them. Raises QueryError."""
    if selector.at is not None:
        raise _outside("the @ modifier")
    if selector.matchers.or_matchers:
        raise _outside("or between matchers")
    found = [match(each.name, OPS[str(each.op)], each.value) for each in selector.matchers.matchers]
    return [*found, match(NAME, "=", selector.name)] if selector.name else found


def _offset(selector: Any) -> float:
    return float(selector.offset.total_seconds()) if selector.offset is not None else 0.0


def _nameless(labels: Labels) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != NAME}


def _put(result: Vector, labels: Labels, value: float, at: float) -> None:
    key = _key(labels)
    if key in result.rows:
        raise QueryError("vector cannot contain metrics with the same labelset", kind="execution")
    result.rows[key] = value
    result.at[key] = at


def _mapped(found: Value, change: Callable[[float], float]) -> Value:
    if not isinstance(found, Vector):
        if isinstance(found, str):
            raise QueryError("a string is no number")
        return change(float(found))
    result = Vector({}, {})
    for key, value in found.rows.items():
        _put(result, _nameless(dict(key)), change(value), 0.0)
    return result


def _arithmetic(op: str, left: float, right: float) -> float:
    try:
        match op:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return left / right
            case "%":
                return math.fmod(left, right)
            case "^":
                return math.pow(left, right)
            case _:
                raise _outside(f"operator {op}")
    except ZeroDivisionError:
        return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1, right)
    except (OverflowError, ValueError):
        return math.inf if op == "^" else math.nan


def _scalars(op: str, left: float, right: float) -> float:
    return float(COMPARISONS[op](left, right)) if op in COMPARISONS else _arithmetic(op, left, right)


def _put_result(
    result: Vector,
    op: str,
    key: tuple[tuple[str, str], ...],
    left: float,
    right: float,
    *,
    kept: float,
    wanted: bool,
) -> None:
    """Add one row of a binary operator; a comparison without bool filters, and keeps the metric's name."""
    if op in COMPARISONS and not wanted:
        if COMPARISONS[op](left, right):
            _put(result, dict(key), kept, 0.0)
        return
    _put(result, _nameless(dict(key)), _scalars(op, left, right), 0.0)


def _vectors(op: str, left: Vector, right: Vector, modifier: Any, *, wanted: bool) -> Vector:
    card = str(modifier.card) if modifier is not None else ""
    if card.endswith(("ManyToOne", "OneToMany")):
        raise _outside("group_left and group_right")
    matching = modifier.matching if modifier is not None else None
    named = frozenset(matching.labels) if matching is not None else frozenset()
    on = matching is not None and str(matching.type).endswith("Include")

    def group(key: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        return tuple(pair for pair in key if (pair[0] in named if on else pair[0] != NAME and pair[0] not in named))

    if op in SETS:
        return _set(op, left, right, group)
    others: dict[tuple[tuple[str, str], ...], float] = {}
    first: dict[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]] = {}
    for key, value in sorted(right.rows.items()):
        at = group(key)
        if at in others:
            raise QueryError(
                f"found duplicate series for the match group {_written(at)} on the right hand-side of the operation: "
                f"[{_written(first[at])}, {_written(key)}];many-to-many matching not allowed: matching labels must be "
                "unique on one side",
                kind="execution",
            )
        others[at], first[at] = value, key
    result, seen = Vector({}, {}), set()
    for key, value in left.rows.items():
        at = group(key)
        if at not in others:
            continue
        if at in seen:
            raise QueryError(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                kind="execution",
            )
        seen.add(at)
        shown = tuple(pair for pair in key if pair[0] in named) if on else key
        if matching is not None and not on:
            shown = tuple(pair for pair in key if pair[0] not in named)
        _put_result(result, op, shown, value, others[at], kept=value, wanted=wanted)
    return result


def _written(labels: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"


def _set(op: str, left: Vector, right: Vector, group: Callable[[Any], Any]) -> Vector:
    on_right = {group(key) for key in right.rows}
    if op == "and":
        return Vector({key: value for key, value in left.rows.items() if group(key) in on_right}, {})
    if op == "unless":
        return Vector({key: value for key, value in left.rows.items() if group(key) not in on_right}, {})
    on_left = {group(key) for key in left.rows}
    return Vector({**left.rows, **{key: value for key, value in right.rows.items() if group(key) not in on_left}}, {})


def _absent(node: Any) -> tuple[tuple[str, str], ...]:
    """Give the labels that absent() shows: those of equality matchers of a bare selector."""
    if type(node).__name__ != "VectorSelector":
        return ()
    pairs = {each.name: each.value for each in node.matchers.matchers if str(each.op) == "MatchOp.Equal"}
    pairs.pop(NAME, None)
    return _key(pairs)


def samples_of(value: Value, at: float) -> list[tuple[Labels, Sample]]:
    """Give what a value is as (labels, sample) rows, in the order of their labels; a scalar has no labels."""
    if isinstance(value, Vector):
        return [(dict(key), (at, each)) for key, each in sorted(value.rows.items())]
    if isinstance(value, str):
        raise QueryError("a string has no samples")
    return [({}, (at, float(value)))]
