"""Posts the shop's orders and their events, customers, articles and trucks, each when it is due, until it is answered.

One request at a time in the order of their times, so that what an earlier one says is known before the next: what is
taken out of turn on purpose is already so in the outbox.
"""

from contextlib import suppress
from logging import getLogger
from random import Random
from threading import Event as Flag

import httpx

from agent.timing.clock import Clock
from contract import codec, timestamps
from contract.errors import Rejected, Retryable
from simulator.outbox import Due, Outbox

log = getLogger(__name__)

_AT_ONCE = 50
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0
_LOOK_S = 0.2
_REPEATS = 0.04
_TAKEN = (200, 201, 202)
_REFUSED = (400, 404, 409, 413, 415, 422)  # this request will never be taken


class OrdersPoster:
    """Sends the requests of an outbox that are due by `clock`, until told to stop and none is left, or to give up."""

    def __init__(self, outbox: Outbox, url: str, clock: Clock, *, key: str, dice: Random) -> None:
        """
        Args:
            outbox: of the shop.
            url: of the server, without a path.
            clock: of the simulated world.
            key: of `[commerce] keys`; empty where none are set.
            dice: decides what is sent twice.
        """
        self._outbox, self._url, self._clock, self._dice = outbox, url.rstrip("/"), clock, dice
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        self._client = httpx.Client(timeout=10.0, trust_env=False, headers=headers)
        self._failures = 0
        self.finish, self.give_up = Flag(), Flag()

    def run(self) -> None:
        """Until `finish` is set and nothing that is due is left, or `give_up` is set."""
        with self._client:
            while not self.give_up.is_set():
                ending = self.finish.is_set()  # asked before looking: what is added later is not waited for
                due = self._outbox.due_requests(timestamps.to_ms(timestamps.from_datetime(self._clock.now())), _AT_ONCE)
                if not due:
                    if ending:
                        return
                    self.finish.wait(_LOOK_S)
                for request in due:
                    if self.give_up.is_set() or not self._settle(request):
                        break

    def _settle(self, request: Due) -> bool:
        """Whether it was answered for good."""
        try:
            status, reason = self._post(request)
        except Retryable as error:
            self._failures += 1
            if self._failures == 1:
                log.warning("orders_unavailable url=%s reason=%s", self._url, error)
            self.give_up.wait(self._dice.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(self._failures, 10))))
            return False
        self._failures = 0
        if status == "rejected":
            log.error("order_refused path=%s reason=%s", request.path, reason)
        self._outbox.close_request(request.number, status, reason)
        if self._dice.random() < _REPEATS:
            with suppress(Retryable):
                self._post(request)
        return True

    def _post(self, request: Due) -> tuple[str, str | None]:
        """The answer's status. Raises Retryable where there is none to rely on."""
        try:
            answer = self._client.request(request.method, self._url + request.path, content=request.body.encode())
        except httpx.TransportError as error:
            raise Retryable(f"{type(error).__name__}: {error}") from error
        if answer.status_code in _REFUSED:
            return "rejected", f"HTTP {answer.status_code} {answer.text:.200}"
        if answer.status_code not in _TAKEN:
            raise Retryable(f"HTTP {answer.status_code} {answer.text:.200}")
        try:
            return str(codec.parse(answer.content)["status"]), None
        except (Rejected, LookupError, TypeError) as error:
            raise Retryable(f"no status in the answer: {error}") from error
