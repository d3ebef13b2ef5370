"""Text of other people's programs with what looks like a secret taken out of it."""

from __future__ import annotations

import re

MASK = "***"
_NAMED = (
    r"(?:[A-Za-z0-9]+[_.-])*"
    r"(?:passwords?|passwd|pwd|secrets?|tokens?|api[_-]?keys?|access[_-]?keys?|private[_-]?keys?|credentials?|authorization|cookies?|session[_-]?ids?|signature|sig)"
)
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*", re.DOTALL), MASK),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){1,4}"), MASK),
    (re.compile(r"(?i)\b(bearer|basic|digest|negotiate)(\s+)[A-Za-z0-9._~+/=-]{6,}"), rf"\1\2{MASK}"),
    (re.compile(r"(://[^\s/:@]*:)[^\s/@]+@"), rf"\1{MASK}@"),
    (re.compile(rf"(?i)(\"{_NAMED}\"\s*:\s*)\"(?:[^\"\\]|\\.)*\""), rf'\1"{MASK}"'),
    (re.compile(rf"(?i)\b({_NAMED}\s*[=:]\s*)(?:\"[^\"]*\"|'[^']*'|[^\s,;&\"']+)"), rf"\1{MASK}"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\b(?:gh[pousr]|glpat|xox[abprs])[_-][A-Za-z0-9_-]{16,}"), MASK),
    (
        re.compile(
            r"(?<![A-Za-z0-9+/_=-])(?=[A-Za-z0-9+/_-]*[0-9])(?=[A-Za-z0-9+/_-]*[a-z])(?=[A-Za-z0-9+/_-]*[A-Z])[A-Za-z0-9+/_-]{40,}={0,2}"
        ),
        MASK,
    ),
)
"""In this order: keys, tokens by their form, passwords in addresses, values by the name in front, long random words."""


def masked(text: str) -> str:
    """Give a line in which values that look secret are "***". Never raises. A best effort: what has no form is not found."""
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text
