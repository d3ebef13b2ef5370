"""Refusals as the real server words them: Status objects with code, reason, message and causes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    501: "NotImplemented",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class Refusal(Exception):
    """A request that the server does not carry out. details: as in Status.details."""

    def __init__(
        self, code: int, message: str, *, reason: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, details
        self.reason = REASONS.get(code, "") if reason is None else reason

    def status(self) -> dict[str, Any]:
        """Give the Status object."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            **({"reason": self.reason} if self.reason else {}),
        }
        if self.details is not None:
            body["details"] = self.details
        return {**body, "code": self.code}


def _named(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, group: str, name: str) -> Refusal:
    """There is no object of that name."""
    return Refusal(404, f'{_named(plural, group)} "{name}" not found', details=_details(plural, group, name))


def no_path() -> Refusal:
    """There is nothing at that path."""
    return Refusal(404, "the server could not find the requested resource", details={})


def already_exists(plural: str, group: str, name: str) -> Refusal:
    """An object of that name is there."""
    message = f'{_named(plural, group)} "{name}" already exists'
    return Refusal(409, message, reason="AlreadyExists", details=_details(plural, group, name))


def conflict(plural: str, group: str, name: str, why: str) -> Refusal:
    """A precondition does not hold."""
    message = f'Operation cannot be fulfilled on {_named(plural, group)} "{name}": {why}'
    return Refusal(409, message, details=_details(plural, group, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def forbidden(plural: str, group: str, name: str, why: str) -> Refusal:
    """An identity or an admission rule does not allow it."""
    shown = f' "{name}"' if name else ""
    return Refusal(403, f"{_named(plural, group)}{shown} is forbidden: {why}", details=_details(plural, group, name))


def cause(reason: str, message: str, field: str) -> dict[str, str]:
    """Make one cause."""
    return {"reason": reason, "message": message, "field": field}


def invalid(kind: str, group: str, name: str, causes: Sequence[dict[str, str]]) -> Refusal:
    """The object is not valid."""
    texts = list(dict.fromkeys(f"{each['field']}: {each['message']}" for each in causes))
    shown = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    title = f"{kind}.{group}" if group else kind
    details = {**_details(kind, group, name), "causes": list(causes)}
    return Refusal(422, f'{title} "{name}" is invalid: {shown}', details=details)


def bad_request(message: str) -> Refusal:
    """The request can't be understood."""
    return Refusal(400, message)


def not_here(what: str) -> Refusal:
    """The simulator does not do that; it says so instead of guessing."""
    return Refusal(501, f"the simulator does not implement {what}", details={})


def _details(kind: str, group: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name} if name else {}
    if group:
        found["group"] = group
    return {**found, **({"kind": kind} if kind else {})}
