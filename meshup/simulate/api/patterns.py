"""Regular expressions as the real server reads them (RE2), said so that they mean the same here."""

from __future__ import annotations


def as_re2(pattern: str) -> str:
    """Give a pattern that means here what it means there: a $ is the end of the text, never the line end before it."""
    found, escaped, inside = [], False, False
    for char in pattern:
        found.append(r"\Z" if char == "$" and not escaped and not inside else char)
        inside = not escaped and (char == "[" or (inside and char != "]"))
        escaped = char == "\\" and not escaped
    return "".join(found)
