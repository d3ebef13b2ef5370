"""Strings that came from a cluster or a file, made safe for a person's screen."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\ufeff\u2028\u2029")


def clean(text: object, *, limit: int = 0, lines: bool = False) -> str:
    """Give text without anything that a terminal obeys.

    C0, C1, ESC and lone surrogates become U+FFFD; marks that change the direction of writing, and invisible ones,
    are written out as <U+202E>, so that nothing can look like something else. lines: keep line ends and tabs, else
    they become a space. limit: most characters, cut with an ellipsis; 0 = no limit. Never raises.
    """
    given = text if isinstance(text, str) else str(text)
    if given.isascii() and given.isprintable():
        shown = given
    else:
        shown = "".join(_shown(each, lines=lines) for each in given.replace("\r\n", "\n"))
    return shown[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}" if limit and len(shown) > limit else shown


_HEARD = re.compile(r"^([^\S\n]*):(?=:)", re.MULTILINE)


def unheard(text: str) -> str:
    """Give text in which a GitHub runner finds no command of its own: lines that begin with "::", and "##[" anywhere.

    What a cluster says could otherwise set outputs of the step. A JSON document keeps its meaning. Source: the runner's
    ActionCommand.cs, TryParseV2 and TryParse. Never raises.
    """
    is_json = text[:1] in ("{", "[")
    return _HEARD.sub(r"\1: ", text).replace("##[", "#\\u0023[" if is_json else "# #[")


def harmless(text: str, *, heard: bool) -> str:
    """Give a page without anything that a terminal obeys, nor, where it is heard, a CI runner. Never raises."""
    return unheard(page(text)) if heard else page(text)


_ODD = re.compile(r"[^\n\t -~]")


def page(text: str) -> str:
    """Give a whole screen or document without anything that a terminal obeys; its lines stay lines. Never raises."""
    return clean(text, lines=True) if _ODD.search(text) else text


def is_clean(text: str) -> bool:
    """Tell whether `clean` would leave a single line as it is."""
    return clean(text) == text


def _shown(char: str, *, lines: bool) -> str:
    if char in "\n\t":
        return char if lines else " "
    if char in _BIDI or char in _INVISIBLE:
        return f"<U+{ord(char):04X}>"
    match unicodedata.category(char):
        case "Cc" | "Cs" | "Cn" | "Co":
            return "\N{REPLACEMENT CHARACTER}"
        case "Cf":
            return f"<U+{ord(char):04X}>"
        case "Zs":
            return " "
        case _:
            return char


USUAL_RUNBOOK = "meshup.yaml"


def of_runbook(name: str) -> str:
    """Give what a command says of the runbook it is about, " -f NAME"; the usual one goes without saying."""
    return "" if name == USUAL_RUNBOOK else f" -f {name}"


def amount(count: int, one: str, many: str = "") -> str:
    """Say a number with its noun: "1 service", "2 services"."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def some(names: Sequence[str], most: int) -> str:
    """Name a few of several, and say how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
