"""has() as the server understands it, for a library that fails where the server says false."""

from __future__ import annotations

import re

PIECE = re.compile(
    r"""
      [bB]?[rR][bB]?(?:'''.*?'''|\"{3}.*?\"{3}|'[^'\n]*'|"[^"\n]*")
    | [bB]?(?:'''(?:\\.|[^\\])*?'''|\"{3}(?:\\.|[^\\])*?\"{3}|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")
    | //[^\n]*
    | (?P<has>(?<![\w.])has\s*\()
    | (?P<open>[(\[{])
    | (?P<close>[)\]}])
    """,
    re.VERBOSE | re.DOTALL,
)
CHOSEN = re.compile(r"(?P<of>.+)\.\s*(?P<field>\w+|`[^`]+`)\s*", re.DOTALL)
PLAIN = "[type(null), type(true), type(1), type(1u), type(1.0), type('')]"


def guarded(text: str) -> str:
    """Give the expression with each has(a.b) false where a is null, a number, a text or a boolean.

    There cel-go (k8s.io/apiserver 1.34) says false, the library "Applying SELECT to non-message type". What has()
    asks of a policy's variables is true: each has a value or fails. What is no has() of a field is left as it is.
    """
    made: list[str] = []
    done, depth, started, at = 0, 0, -1, 0
    for piece in PIECE.finditer(text):
        if piece["has"] or piece["open"]:
            if piece["has"] and started < 0:
                started, at, depth = piece.start(), piece.end(), 0
            depth += 1
        elif piece["close"] and started >= 0:
            depth -= 1
            if depth == 0:
                made += [text[done:started], _asked(text[at : piece.start()])]
                done, started = piece.end(), -1
    return "".join((*made, text[done:]))


def _asked(inner: str) -> str:
    chosen = CHOSEN.fullmatch(inner)
    if chosen is None:
        return f"has({inner})"
    of = guarded(chosen["of"])
    if of.strip() == "variables":
        return f"(dyn({inner}) == 0 || true)"
    return f"(!(type({of}) in {PLAIN}) && has({of}.{chosen['field']}))"
