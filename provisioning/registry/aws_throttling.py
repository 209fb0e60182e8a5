"""AWS calls within the account's rates: a steady pace per operation, slower when AWS says so, and again later.

AWS IoT limits each control-plane operation by itself. A throttled call halves that operation's pace and waits with full
jitter; each success brings the pace back a little. What is no fault of the call (throttling, 5xx, a lost connection) is
tried again for `patience` seconds, then Unreachable; everything else is the caller's.
"""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, NoCredentialsError

from contract.errors import Misconfigured, Unreachable

THROTTLES = {"ThrottlingException", "TooManyRequestsException", "LimitExceededException", "Throttling"}
_FAULTS = {"InternalFailureException", "ServiceUnavailableException", "InternalFailure", "ServiceUnavailable"}
_LONGEST = 20.0
_SLOWEST = 0.5
_ONCE = 0.5


class Unanswered(Unreachable):
    """A call that AWS may have carried out, or not."""


class AwsCallLimiter:
    """One operation's pace: `wait` before each call. Thread-safe."""

    def __init__(self, per_second: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._most = self._rate = per_second
        self._clock, self._sleep = clock, sleep
        self._next = self._slowed = 0.0
        self._guard = threading.Lock()

    def wait(self) -> None:
        """Sleep until this call's turn."""
        with self._guard:
            now = self._clock()
            self._next = max(self._next, now) + 1 / self._rate
            pause = self._next - 1 / self._rate - now
        if pause > 0:
            self._sleep(pause)

    def slower(self) -> None:
        """AWS has throttled: half the pace, once for all the calls that it throttled at the time."""
        with self._guard:
            if self._clock() - self._slowed > _ONCE:
                self._slowed = self._clock()
                self._rate = max(self._rate / 2, _SLOWEST)

    def faster(self) -> None:
        """A call passed."""
        with self._guard:
            self._rate = min(self._rate + self._most / 200, self._most)


class Paced:
    """A boto3 client whose calls keep the pace: `paced("describe_thing", thingName="T1")`."""

    def __init__(
        self,
        client: Any,
        per_second: float,
        *,
        patience: float = 120.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.client = client
        self._per_second, self._patience, self._sleep = per_second, patience, sleep
        self._paces: dict[str, AwsCallLimiter] = {}
        self._guard = threading.Lock()
        self.throttled = 0

    def __call__(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """The answer. Unreachable when patience ends; ClientError for what trying again cannot mend."""
        return self._call(operation, arguments, again=True)

    def once(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """The same for what must not be done twice: Unanswered where it may have been done."""
        return self._call(operation, arguments, again=False)

    def _call(self, operation: str, arguments: dict[str, Any], *, again: bool) -> dict[str, Any]:
        pace, deadline, tries = self._pace(operation), time.monotonic() + self._patience, 0
        while True:
            pace.wait()
            try:
                answer: dict[str, Any] = getattr(self.client, operation)(**arguments)
            except (ClientError, BotoCoreError) as error:
                self._judge(error, pace)
                if not again and _code(error) not in THROTTLES:
                    raise Unanswered(f"AWS did not answer {operation}: {_code(error)}; run it again") from None
                if time.monotonic() > deadline:
                    raise Unreachable(f"AWS does not take {operation}: {_code(error)}; run it again later") from None
                tries += 1
                self._sleep(random.uniform(0, min(_LONGEST, 0.1 * 2**tries)))
                continue
            pace.faster()
            return answer

    def pages(self, operation: str, key: str, **arguments: Any) -> list[Any]:
        """All items under `key` of a listing."""
        found: list[Any] = []
        token: dict[str, str] = {}
        while True:
            answer = self(operation, **arguments, **token)
            found += answer.get(key, [])
            following = answer.get("nextToken") or answer.get("nextMarker")
            if not following:
                return found
            token = {"nextToken" if "nextToken" in answer else "marker": following}

    def _judge(self, error: Exception, pace: AwsCallLimiter) -> None:
        """Return if the call may be tried again, else raise."""
        if isinstance(error, NoCredentialsError):
            raise Misconfigured("no AWS credentials: set AWS_PROFILE, or [provisioning] profile") from None
        if isinstance(error, ClientError):
            if _code(error) in THROTTLES:
                self.throttled += 1
                pace.slower()
                return
            if _code(error) in _FAULTS or error.response["ResponseMetadata"].get("HTTPStatusCode", 0) >= 500:
                return
            raise error
        if not isinstance(error, ConnectionError | HTTPClientError):
            raise Misconfigured(f"AWS cannot be asked: {error}") from None

    def _pace(self, operation: str) -> AwsCallLimiter:
        with self._guard:
            if operation not in self._paces:
                self._paces[operation] = AwsCallLimiter(self._per_second, time.monotonic, self._sleep)
            return self._paces[operation]


def _code(error: Exception) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__
