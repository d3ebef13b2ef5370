"""The API server: one request in, one answer out, as the server side of the transport seam."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from meshup.model.transport import Request, Response
from meshup.simulate.api import answers, bootstrap, calls, rbac, users
from meshup.simulate.api.calls import Call
from meshup.simulate.api.documents import document
from meshup.simulate.api.housekeeping import Housekeeping
from meshup.simulate.api.inside import Inside
from meshup.simulate.api.listing import Pages
from meshup.simulate.api.problems import Refusal, no_path, not_here
from meshup.simulate.api.registry import UNSERVED, Registry
from meshup.simulate.api.resources import Resources
from meshup.simulate.api.store import Store
from meshup.simulate.api.users import User
from meshup.simulate.api.watching import Idle, step_clock
from meshup.simulate.api.webhooks import Callee, Webhooks
from meshup.simulate.api.writes import Writes
from meshup.simulate.clock import VirtualClock

MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
HARMLESS = ("/apis/authentication.k8s.io/", "/apis/authorization.k8s.io/")
"""Paths whose POSTs store nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One request as the log keeps it: the oracle of tests.

    number: from 1, over all requests; mutation: from 1, over those that may change something, 0 for others.
    at: virtual seconds since the start. status: 0 while it is under way, or when no answer was given.
    """

    number: int
    mutation: int
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    user: str
    dry_run: bool
    at: float
    status: int = 0


Before = Callable[[Request, Logged], Response | None]
"""Called before a request is carried out; an answer is given instead; may raise TransportFailure."""
After = Callable[[Request, Logged, Response], Response]
"""Called with the answer, which it may replace; may raise TransportFailure: the effect stays, the answer is lost."""
Route = Callable[[Call], Response | None]
"""Answers a call that nobody else knows (proxies, logs), or gives None to let others try."""


class _NoUser(Exception):
    """Groups are impersonated, and nobody who is in them; the real server answers with plain text."""

    def __init__(self, groups: list[str]) -> None:
        super().__init__(" ".join(f"{{Group  {each}    }}" for each in groups))


class ApiServer:
    """One cluster's API. Use `send` as a transport, `objects` from within, `as_user` for another identity."""

    def __init__(self, clock: VirtualClock, *, store: Store | None = None, seed: int = 1) -> None:
        self.clock = clock
        self.store = store or Store()
        self.store.lock = clock.lock
        self.registry = Registry()
        self.webhooks: dict[tuple[str, str], Callee] = {}
        self.before: list[Before] = []
        self.after: list[After] = []
        self.routes: list[Route] = []
        self.log: list[Logged] = []
        self.idle: Idle = step_clock(clock)
        self.mutations = 0
        self.in_flight = 0
        self.most_in_flight = 0
        hooks = Webhooks(self.store, self.webhooks)
        self.writes = Writes(self.store, self.registry, hooks, clock.now, random.Random(seed))
        self.objects = Inside(self.writes)
        self.pages = Pages(clock.elapsed)
        self.resources = Resources(self)
        self.housekeeping = Housekeeping(self.store, self.writes, self.registry, clock)
        bootstrap.fill(self.writes)
        self.store.compact()

    def register(self, route: Route) -> None:
        """Let somebody answer calls for proxies, logs and other paths of its own."""
        self.routes.append(route)

    def as_user(self, user: User) -> Bound:
        """Give a transport that speaks as somebody."""
        return Bound(self, user)

    def forget_history(self) -> None:
        """Forget what watches and pages could go back to: both answer 410 from now on."""
        self.store.compact()
        self.pages.forget()

    def send(self, request: Request) -> Response:
        """Carry out a request. May raise TransportFailure, when a fault says so."""
        with self.clock.lock:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            try:
                return self._send(request)
            finally:
                self.in_flight -= 1

    def _send(self, request: Request) -> Response:
        query = dict(request.query)
        mutating = request.method in MUTATING and not request.path.startswith(HARMLESS)
        dry_run = query.get("dryRun") == "All"
        if mutating and not dry_run:
            self.mutations += 1
        logged = Logged(
            number=len(self.log) + 1,
            mutation=self.mutations if mutating and not dry_run else 0,
            method=request.method,
            path=request.path,
            query=request.query,
            user=users.from_headers(request.headers).name,
            dry_run=dry_run,
            at=self.clock.elapsed(),
        )
        at = len(self.log)
        self.log.append(logged)
        for hook in self.before:
            given = hook(request, logged)
            if given is not None:
                self.log[at] = replace(logged, status=given.status)
                return self._stamped(given)
        try:
            user = self._user(request.headers)
            self.log[at] = replace(logged, user=user.name)
            response = self._answer(request, user)
        except Refusal as refusal:
            response = answers.refused(refusal)
        except _NoUser as alone:
            told = f'Internal Server Error: "{request.path}": requested [{alone}] without impersonating a user\n'
            response = answers.text(500, told)
        response = self._stamped(response)
        self.log[at] = replace(self.log[at], status=response.status)
        for after in self.after:
            response = after(request, self.log[at], response)
        return response

    def _stamped(self, response: Response) -> Response:
        time = self.clock.now().isoformat().replace("+00:00", "Z")
        return replace(response, headers={**response.headers, "x-meshup-time": time})

    def _user(self, headers: Mapping[str, str]) -> User:
        caller = users.from_headers(headers)
        wanted = users.impersonated(headers)
        if wanted is None:
            groups = [each for each in headers.get("impersonate-group", "").split(",") if each]
            if groups or "impersonate-uid" in headers:
                raise _NoUser(groups)
            return caller
        asked = [("users", wanted.name)]
        if wanted.name.startswith("system:serviceaccount:"):
            asked = [("serviceaccounts", wanted.name.rpartition(":")[2])]
        asked += [("groups", each) for each in headers.get("impersonate-group", "").split(",") if each]
        for resource, name in asked:
            if not rbac.allowed(self.store, caller, rbac.Asked(verb="impersonate", resource=resource, name=name)):
                why = f'User "{caller.name}" cannot impersonate resource "{resource}" in API group "" at the cluster scope'
                raise Refusal(403, f'{resource} "{name}" is forbidden: {why}', details={"name": name, "kind": resource})
        return wanted

    def _answer(self, request: Request, user: User) -> Response:
        call = calls.read(request, user)
        if call is None:
            asked = rbac.Asked(verb=request.method.lower(), path=request.path)
            if not rbac.allowed(self.store, user, asked):
                why = f'forbidden: User "{user.name}" cannot {asked.verb} path "{request.path}"'
                raise Refusal(403, why, details={})
            return document(self, request)
        self._authorized(call)
        for route in self.routes:
            given = route(call)
            if given is not None:
                return given
        kind = self.registry.at(call.group, call.version, call.plural)
        if kind is None:
            if (call.group, call.version) in UNSERVED:
                raise not_here(f"{call.group}/{call.version}")
            if not any((each.group, each.version) == (call.group, call.version) for each in self.registry.all()):
                return answers.text(404, "404 page not found\n")
            raise no_path()
        return self.resources.answer(call, kind)

    def _authorized(self, call: Call) -> None:
        verb = calls.verb(call)
        asked = rbac.Asked(
            verb=verb,
            group=call.group,
            resource=call.plural,
            subresource=call.subresource,
            namespace=call.namespace,
            name=call.name,
        )
        if rbac.allowed(self.store, call.user, asked):
            return
        resource = f"{call.plural}/{call.subresource}" if call.subresource else call.plural
        where = f'in the namespace "{call.namespace}"' if call.namespace else "at the cluster scope"
        named = f"{call.plural}.{call.group}" if call.group else call.plural
        shown = f'{named} "{call.name}"' if call.name else named
        why = f'User "{call.user.name}" cannot {verb} resource "{resource}" in API group "{call.group}" {where}'
        details = {
            **({"name": call.name} if call.name else {}),
            **({"group": call.group} if call.group else {}),
            "kind": call.plural,
        }
        raise Refusal(403, f"{shown} is forbidden: {why}", details=details)


class Bound:
    """A transport that speaks as one user."""

    def __init__(self, server: ApiServer, user: User) -> None:
        self._server, self.user = server, user

    def send(self, request: Request) -> Response:
        """Carry out a request as that user."""
        headers = {**request.headers, "x-meshup-user": self.user.name, "x-meshup-groups": ",".join(self.user.groups)}
        if self.user.uid:
            headers["x-meshup-uid"] = self.user.uid
        return self._server.send(replace(request, headers=headers))
