"""The one wrapper that sends a request, decides what is sent again and when, and counts it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshup.cluster.errors import (
    ApiError,
    Away,
    NotReached,
    Temporary,
    TooManyRequests,
    lost,
    no_api_server,
    of_response,
)
from meshup.cluster.flow import Flow
from meshup.cluster.ports import Counters
from meshup.model.clock import Clock
from meshup.model.problem import Interrupted
from meshup.model.text import clean
from meshup.model.transport import Request, Response, Transport, TransportFailure

if TYPE_CHECKING:
    from tenacity import RetryCallState


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How often and how long (RELIABILITY section 7). Times in seconds of the clock.

    tries: for answers that may pass by themselves. first_tries: while the server was never reached. away_s: how long a
    server that answered before may be gone. webhook_tries: while an admission webhook can't be called.
    """

    tries: int = 8
    first_tries: int = 3
    webhook_tries: int = 3
    base_s: float = 0.5
    cap_s: float = 15.0
    away_s: float = 600.0
    in_flight: int = 16


RULES = Rules()
FENCE_S = 5.0
SLICE_S = 1.0
ENOUGH_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """One attempt that will be repeated, for the screen. number: of the attempt that failed, from 1."""

    doing: str
    number: int
    wait_s: float
    why: str


class _Repeat(Exception):
    """One attempt failed in a way that another may mend. away: nobody answered for the API server."""

    def __init__(self, cause: ApiError | TransportFailure, *, away: bool, most: int, after_s: float = 0.0) -> None:
        super().__init__(str(cause))
        self.cause, self.away, self.most, self.after_s = cause, away, most, after_s


class Sender:
    """Send requests through a transport with the rules above. Safe to use from many threads."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        *,
        rules: Rules = RULES,
        server: str = "the cluster",
        pause: Callable[[float], None] | None = None,
        chance: random.Random | None = None,
        refresh: Callable[[], bool] | None = None,
        hear: Callable[[Response], None] | None = None,
        observer: Callable[[Again], None] | None = None,
    ) -> None:
        self.rules, self.clock, self.counters, self.flow = rules, clock, Counters(), Flow(rules.in_flight)
        self._transport, self._server = transport, server
        self._sleep = pause or clock.sleep
        self._stop: Callable[[], bool] | None = None
        self._stop_seen = 0.0
        self._chance = chance or random.Random()  # noqa: S311 - jitter
        self._refresh, self._hear = refresh, hear
        self.observer = observer
        self._counting = threading.Lock()
        self._refreshing = threading.RLock()
        self._renewing = False
        self._refreshes = 0
        self.reached = False

    def use_clock(self, clock: Clock, hear: Callable[[Response], None] | None) -> None:
        """Go on with another clock: the server turned out to be a simulator."""
        self.clock, self._sleep, self._hear = clock, clock.sleep, hear

    def stop_when(self, asked: Callable[[], bool]) -> None:
        """Let pauses end with Interrupted some seconds after a person asked to stop."""
        self._stop = asked

    def pause(self, seconds: float) -> None:
        """Sleep, in slices when somebody may ask to stop: a server that is away must not hold them for minutes."""
        left = seconds
        while left > 0:
            piece = left if self._stop is None else min(left, SLICE_S)
            self._sleep(piece)
            left -= piece
            if self._stop is not None and self._stop():
                self._stop_seen = self._stop_seen or time.monotonic()
                if time.monotonic() - self._stop_seen >= ENOUGH_S:
                    raise Interrupted(
                        "stopped as asked while waiting for the API server",
                        code="MU7015",
                        fix="meshup apply --resume",
                        cluster="what was sent last may have happened; the resume looks",
                    )

    def send(
        self,
        request: Request,
        *,
        doing: str,
        resend: bool = True,
        tries: int = 0,
        fence: Callable[[], None] | None = None,
        proxied: bool = False,
    ) -> Response:
        """Give a 2xx answer, or raise one of cluster/errors.py.

        doing: "get Deployment shop/cart", for people. resend: whether it may be sent again when the answer was lost;
        if not, that raises MaybeDone. tries: 0 = the rules'. fence: called just before each attempt; raises to forbid
        it. proxied: the answer is another program's, so any status but the API server's own is given as it is.
        """
        import tenacity

        began = self.clock.elapsed()
        most = tries or self.rules.tries

        def over(state: RetryCallState) -> bool:
            failed = _repeat(state)
            if tries and state.attempt_number >= tries:
                return True
            if not failed.away:
                return state.attempt_number >= min(most, failed.most)
            if not self.reached:
                return state.attempt_number >= min(self.rules.first_tries, failed.most)
            return self.clock.elapsed() - began >= self.rules.away_s

        def wait(state: RetryCallState) -> float:
            roof = min(self.rules.cap_s, self.rules.base_s * float(2 ** min(state.attempt_number, 10)))
            return max(_repeat(state).after_s, self._chance.random() * roof)

        def tell(state: RetryCallState) -> None:
            with self._counting:
                self.counters.retries += 1
            if self.observer is not None:
                pause_s = state.next_action.sleep if state.next_action else 0.0
                self.observer(
                    Again(doing=doing, number=state.attempt_number, wait_s=pause_s, why=str(_repeat(state).cause))
                )

        loop = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Repeat),
            stop=over,
            wait=wait,
            before_sleep=tell,
            sleep=self.pause,
            reraise=True,
        )
        try:
            return loop(self._attempt, request, doing=doing, resend=resend, fence=fence, proxied=proxied)
        except _Repeat as last:
            raise self._final(last, doing, self.clock.elapsed() - began) from None

    def _attempt(
        self, request: Request, *, doing: str, resend: bool, fence: Callable[[], None] | None, proxied: bool
    ) -> Response:
        refreshed = False
        while True:
            seen = self._refreshes
            try:
                answer = self._exchange(request, fence)
            except TransportFailure as failed:
                if failed.maybe_done and not resend:
                    raise lost(doing, failed.detail) from None
                once = failed.kind in ("resolve", "tls", "credentials")
                raise _Repeat(failed, away=True, most=1 if once else self.rules.tries) from None
            if answer.status < 300:
                self._check(answer, request, doing=doing, resend=resend, proxied=proxied)
                self.reached = True
                return answer
            if answer.status == 401 and not proxied and not refreshed and self._renewed(seen):
                refreshed = True
                continue
            return self._judge(answer, doing=doing, resend=resend, proxied=proxied)

    def _check(self, answer: Response, request: Request, *, doing: str, resend: bool, proxied: bool) -> None:
        """Refuse a success that no API server wrote: a login page of a proxy, a cut body."""
        wanted = request.headers.get("accept", "application/json")
        if proxied or answer.lines is not None or not wanted.startswith("application/json"):
            return
        if answer.body[:1] in (b"{", b"[") and answer.body.rstrip()[-1:] in (b"}", b"]"):
            return
        if not resend:
            raise lost(doing, "the answer is not JSON")
        cut = TransportFailure("reset", "the answer is not JSON: a proxy in between, or it was cut", maybe_done=True)
        raise _Repeat(cut, away=True, most=self.rules.tries)

    def _judge(self, answer: Response, *, doing: str, resend: bool, proxied: bool) -> Response:
        body = _drained(answer)
        error = of_response(answer.status, answer.headers, body, doing=doing)
        ours = bool(error.reason)
        self.reached = self.reached or ours
        if proxied and not (ours and answer.status in (401, 403, 429)):
            return answer
        if not self.reached and answer.status < 500 and answer.status not in (401, 429):
            raise no_api_server(self._server, error)
        if not isinstance(error, Temporary):
            raise error
        if isinstance(error, TooManyRequests):
            if any(each.reason == "DisruptionBudget" for each in error.causes):
                raise error
            raise _Repeat(error, away=False, most=self.rules.tries, after_s=error.retry_after_s)
        uncalled = "failed calling webhook" in error.message or "failed to call webhook" in error.message
        if not resend and not uncalled:
            raise lost(doing, error.message or f"status {answer.status}")
        raise _Repeat(
            error,
            away=not ours and answer.status in (502, 503, 504),
            after_s=error.retry_after_s,
            most=self.rules.webhook_tries if uncalled else self.rules.tries,
        )

    def _exchange(self, request: Request, fence: Callable[[], None] | None) -> Response:
        began = self._turn(request, fence)
        throttled = good = False
        with self._counting:
            self.counters.requests += 1
            if _dry(request):
                self.counters.dry_runs += 1
            elif _mutates(request):
                self.counters.mutations += 1
        try:
            answer = self._transport.send(request)
            throttled, good = answer.status == 429, answer.status < 400
        finally:
            if began >= 0:
                self.flow.leave(began, throttled=throttled, good=good)
            with self._counting:
                self.counters.throttled += throttled
                self.counters.peak = max(self.counters.peak, self.flow.peak)
        if self._hear is not None:
            self._hear(answer)
        return answer

    def _turn(self, request: Request, fence: Callable[[], None] | None) -> int:
        """Wait for a place in the flow, with a fence that is fresh when it is there; -1 for a stream."""
        if request.stream:
            return -1
        if not _mutates(request) or _dry(request):
            fence = None
        while True:
            if fence is not None:
                fence()
            checked = self.clock.elapsed()
            began = self.flow.enter()
            if fence is None or self.clock.elapsed() - checked <= FENCE_S:
                return began
            self.flow.leave(began, throttled=False, good=False)

    def _renewed(self, seen: int) -> bool:
        """Renew the credentials once, however many threads met the 401 together."""
        if self._refresh is None:
            return False
        with self._refreshing:
            if self._renewing:
                return False
            if self._refreshes != seen:
                return True
            self._renewing = True
            try:
                if not self._refresh():
                    return False
            finally:
                self._renewing = False
            self._refreshes += 1
            return True

    def _final(self, last: _Repeat, doing: str, waited_s: float) -> ApiError:
        cause = last.cause
        if isinstance(cause, ApiError) and (self.reached or not last.away):
            return cause
        detail = clean(cause.message if isinstance(cause, ApiError) else cause.detail, limit=300)
        kind = cause.kind if isinstance(cause, TransportFailure) else "connect"
        if self.reached:
            return Away(
                f"the API server is away since {waited_s:.0f} s: {clean(doing)}",
                code="MU7011",
                why=detail,
                fix="when it is back: meshup apply --resume",
            )
        return NotReached(
            f"{clean(self._server)} was not reached",
            code="MU7009",
            why=detail,
            fix=_FIX.get(kind, _FIX["connect"]),
            cluster="nothing was read or changed",
        )


_FIX = {
    "resolve": "check the server's name in the kubeconfig, and the VPN",
    "connect": "check that the cluster runs and that this machine may reach it; kubectl version asks the same server",
    "tls": "check certificate-authority and tls-server-name in the kubeconfig",
    "proxy": "check proxy-url in the kubeconfig, HTTPS_PROXY and NO_PROXY",
    "timeout": "check the network, VPN and firewall between this machine and the server",
    "credentials": "log in again",
}


def _repeat(state: RetryCallState) -> _Repeat:
    failed = state.outcome.exception() if state.outcome is not None else None
    if not isinstance(failed, _Repeat):
        raise TypeError(f"only _Repeat is repeated, not {failed!r}")
    return failed


def _drained(answer: Response) -> bytes:
    if answer.lines is None:
        return answer.body
    return b"\n".join(line for _, line in zip(range(200), answer.lines, strict=False))


def _dry(request: Request) -> bool:
    return request.method != "GET" and ("dryRun", "All") in request.query


def _mutates(request: Request) -> bool:
    """Reviews are POSTs that write nothing."""
    return request.method != "GET" and not request.path.startswith(_REVIEWS)


_REVIEWS = ("/apis/authentication.k8s.io/", "/apis/authorization.k8s.io/", "/simulator/")
