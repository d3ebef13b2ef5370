"""What a server's refusal is, decided once: HTTP status and Status body become one typed error."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshup.model.objects import Object, dig
from meshup.model.problem import DeadlinePassed, MeshupError, Refused, Unreachable, Where
from meshup.model.text import clean


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One cause in a Status. field: dotted path as the server writes it. manager: who holds it, "" when not about that."""

    reason: str
    field: str
    message: str
    manager: str = ""


class ApiError(MeshupError):
    """The API server answered, and not with success.

    status: HTTP code. reason: machine word of the Status, "" when the body was none. message: the server's own text,
    cleaned. causes: in the server's order.
    """

    def __init__(
        self,
        what: str,
        *,
        code: str,
        fix: str,
        status: int = 0,
        reason: str = "",
        message: str = "",
        causes: tuple[Cause, ...] = (),
        retry_after_s: float = 0.0,
        why: str = "",
        at: Where | None = None,
        cluster: str = "",
    ) -> None:
        details = tuple(f"{each.field}: {each.message}" if each.field else each.message for each in causes)
        super().__init__(what, code=code, fix=fix, why=why, at=at, cluster=cluster, details=details)
        self.status, self.reason, self.message, self.causes = status, reason, message, causes
        self.retry_after_s = retry_after_s


class NotFound(ApiError, Refused):
    """The object, its namespace or its kind is not there."""


class NotServed(NotFound):
    """The server does not serve that kind, or not yet: a definition is served a moment after it says so."""


class AlreadyExists(ApiError, Refused):
    """A create met an object of that name."""


class Conflict(ApiError, Refused):
    """A precondition did not hold, or another manager owns a field.

    managers: (manager, field path) for conflicts of server-side apply; empty for resourceVersion and UID conflicts.
    """

    @property
    def managers(self) -> tuple[tuple[str, str], ...]:
        """Pairs of manager and field path, in the server's order."""
        return tuple((each.manager, each.field) for each in self.causes if each.manager)


class Invalid(ApiError, Refused):
    """The server or an admission rule does not accept the object (400, 413, 415, 422)."""


class Forbidden(ApiError, Unreachable):
    """This identity may not do that."""


def lacking(user: str, rights: Sequence[str], *, role: str = "") -> Forbidden:
    """Make the error of somebody who lacks rights, asked for before anything was written: "verb group/resource namespace".

    role: the file of templates/rbac that gives them, "" = it depends on which they are.
    """
    more = f" and {len(rights) - 3} more" if len(rights) > 3 else ""
    return Forbidden(
        f"{user} may not do all that this run needs: {', '.join(rights[:3])}{more}",
        code="MU7101",
        causes=tuple(Cause(reason="Forbidden", field="", message=each) for each in rights),
        fix=f"ask for these rights (templates/rbac/{role or ' has roles'}), or use another identity with --context",
        cluster="nothing was changed",
    )


class Denied(ApiError, Refused):
    """Not a matter of rights: a quota, an admission policy or a webhook says no (403 or 400 with its text)."""


class Unauthorized(ApiError, Unreachable):
    """The credentials were not accepted, also after one refresh."""


class Gone(ApiError, Refused):
    """A page token or resourceVersion is too old (410): list again."""


class Unsupported(ApiError, Refused):
    """The server does not do that (405, 406, 501)."""


class Temporary(ApiError, DeadlinePassed):
    """May pass by itself. Leaves the wrapper only when its tries are used up; resumable."""


class TooManyRequests(Temporary):
    """429: the server, or a disruption budget, asks to come back later."""


class ServerTimeout(Temporary):
    """500, 502, 503, 504 and timeouts that the server itself reports."""


class Away(ApiError, DeadlinePassed):
    """The API server answered before, and has not for too long."""


class NotReached(ApiError, Unreachable):
    """The API server was never reached."""


class MaybeDone(ApiError, DeadlinePassed):
    """A write was sent and its answer was lost: read the object and classify, never send it blindly again."""


_MANAGER = re.compile(r'conflict with "((?:[^"\\]|\\.)*)"')
_QUOTA = re.compile(
    r"exceeded quota|violates PodSecurity|admission webhook|denied the request|ValidatingAdmissionPolicy"
)
# Server-side apply of a field that the schema does not have is answered 500 (seen on 1.34): it never passes by itself.
_UNTYPED = re.compile(r"failed to create typed patch object|field not declared in schema|failed to convert new object")

_ANONYMOUS = 'User "system:anonymous"'
_UNSERVED = re.compile(r"^(404 page not found|the server could not find the requested resource)")


def of_response(status: int, headers: Mapping[str, str], body: bytes, *, doing: str) -> ApiError:
    """Make the error of an answer that is not 2xx. doing: "get Deployment shop/cart" for the sentence. Never raises."""
    found = _status(body)
    reason = str(found.get("reason") or "")
    message = clean(found.get("message") or _plain(body), limit=1000)
    causes = _causes(found)
    after = _retry_after(headers, found)
    kind, code, what, fix = _sort(status, reason, message)
    return kind(
        f"{what}: {clean(doing)}",
        code=code,
        fix=fix,
        status=status,
        reason=reason,
        message=message,
        causes=causes,
        why=message,
        retry_after_s=after,
    )


def no_api_server(server: str, error: ApiError) -> NotReached:
    """Make the error of an answer that no API server gives: a proxy's page, plain HTTP on a TLS port."""
    return NotReached(
        f"{clean(server)} does not answer as an API server does",
        code="MU7009",
        status=error.status,
        why=error.message or f"it answered {error.status}",
        fix="check server and proxy-url in the kubeconfig; kubectl version asks the same server",
        cluster="nothing was read or changed",
    )


def lost(doing: str, detail: str) -> MaybeDone:
    """Make the error of a write whose answer was lost."""
    return MaybeDone(
        f"the answer was lost: {clean(doing)}",
        code="MU7012",
        why=clean(detail, limit=300),
        fix="meshup apply --resume looks what became of it and goes on",
    )


def _sort(status: int, reason: str, message: str) -> tuple[type[ApiError], str, str, str]:
    if status == 401:
        return Unauthorized, "MU7010", "the credentials were not accepted", "log in again, or choose another --context"
    if status == 403 and _ANONYMOUS in message:
        return (
            Forbidden,
            "MU7008",
            "the API server takes this for an anonymous user",
            "log in, or use another --context",
        )
    if status == 403 and _QUOTA.search(message):
        return (
            Denied,
            "MU7204",
            "an admission rule of the cluster says no",
            "change what it names, then run the command again",
        )
    if status == 403:
        return (
            Forbidden,
            "MU7101",
            "not permitted",
            "ask for the right that is named, or use another identity with --context; of the roles in templates/rbac an "
            "owner's reaches one namespace (-n), a viewer's all",
        )
    if status == 404 and _UNSERVED.search(message):
        return NotServed, "MU7208", "not served", "install the definition (CRD) of the kind first"
    if status == 404:
        return NotFound, "MU7201", "not there", "check the name and the namespace; meshup plan reads the cluster afresh"
    if status == 409 and reason == "AlreadyExists":
        return AlreadyExists, "MU7202", "there is one of that name already", "meshup plan takes it into account"
    if status == 409:
        return Conflict, "MU7203", "somebody else changed or owns it", "meshup plan shows what moved; then apply again"
    if status == 410:
        return Gone, "MU7205", "the list is too old", "run the command again"
    if status == 429:
        return TooManyRequests, "MU7013", "the server asks to come back later", "run the command again in a minute"
    if status == 500 and _UNTYPED.search(message):
        return Invalid, "MU7206", "the server does not accept the object", "correct the fields that are named"
    if status >= 500 and status != 501:
        return (
            ServerTimeout,
            "MU7014",
            f"the API server failed with {status}",
            "run the command again when the server is well",
        )
    if status in (400, 413, 415, 422):
        if _QUOTA.search(message):
            return (
                Denied,
                "MU7204",
                "an admission rule of the cluster says no",
                "change what it names, then run it again",
            )
        return Invalid, "MU7206", "the server does not accept the object", "correct the fields that are named"
    if status in (405, 406, 501):
        return Unsupported, "MU7207", "the server does not do that", "the server may be too old, or is the simulator"
    return ServerTimeout, "MU7014", f"the API server answered {status}", "run the command again"


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body) if body[:1] == b"{" else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.get("kind") == "Status" else {}


def _plain(body: bytes) -> str:
    text = body[:2000].decode("utf-8", "replace").strip()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))[:300].strip()


def _causes(found: Object) -> tuple[Cause, ...]:
    causes = dig(found, "details", "causes")
    made = []
    for each in causes if isinstance(causes, list) else ():
        if not isinstance(each, dict):
            continue
        message = clean(each.get("message") or "", limit=500)
        held = _MANAGER.search(str(each.get("message") or "")) if each.get("reason") == "FieldManagerConflict" else None
        made.append(
            Cause(
                reason=clean(each.get("reason") or ""),
                field=clean(each.get("field") or ""),
                message=message,
                manager=clean(held.group(1).replace('\\"', '"')) if held else "",
            )
        )
    return tuple(made)


def _retry_after(headers: Mapping[str, str], found: Object) -> float:
    for raw in (headers.get("retry-after"), dig(found, "details", "retryAfterSeconds")):
        try:
            if raw is not None and 0 <= float(raw) <= 3600:
                return float(raw)
        except (TypeError, ValueError):
            continue
    return 0.0
