"""Who may write and read: producers by their key, this machine itself while no keys are set."""

import hashlib
from collections.abc import Mapping, Sequence

from starlette.requests import Request

from contract.http_access import Network, client_address, is_local
from contract.http_refusals import RequestRefused, retry_after
from contract.source_limiter import SourceLimiter

_REFUSALS_PER_SECOND = 1.0
_REFUSALS_AT_ONCE = 20


class KeyedAccess:
    """Judges requests. Refusals spend a limit per source address, so that keys and tokens cannot be guessed."""

    def __init__(self, keys: Mapping[str, str], trusted: Sequence[Network] = ()) -> None:
        """
        Args:
            keys: key → producer name.
            trusted: proxies whose client address is believed.
        """
        self._producers = {_digest(key): name for key, name in keys.items()}
        self._trusted = trusted
        self._refusals = SourceLimiter(_REFUSALS_PER_SECOND, _REFUSALS_AT_ONCE)

    def source(self, request: Request) -> str:
        """The address that a request is limited and logged by.

        Args:
            request: whose.

        Returns:
            "" where none is known.
        """
        peer = request.client.host if request.client else None
        return client_address(peer, request.headers.raw, self._trusted)

    def producer(self, request: Request) -> str | None:
        """Whose key the request brings; "local" for this machine itself while there are no keys.

        Args:
            request: whose.

        Returns:
            None where it brings neither.
        """
        if not self._producers:
            peer = request.client.host if request.client else None
            return "local" if is_local(peer, request.headers.raw) else None
        return self._producers.get(_digest(bearer(request)))  # by digest: the time it takes tells nothing of a key

    def demand(self, request: Request) -> str:
        """Let only producers pass.

        Args:
            request: whose.

        Returns:
            The producer's name.

        Raises:
            Refused: 401 where keys are set and this request brings none that is known, 403 where none are set and it is
                not local, 429 after too many refusals.
        """
        if name := self.producer(request):
            return name
        self.spend(request)
        if self._producers:
            raise RequestRefused(
                401, "send `Authorization: Bearer KEY` with a key of [commerce] keys", field="Authorization"
            )
        raise RequestRefused(
            403, "only this machine itself may do this while [commerce] keys is empty: set a key there"
        )

    def spend(self, request: Request) -> None:
        """Count one refusal of this source.

        Args:
            request: whose.

        Raises:
            RequestRefused: 429 after too many.
        """
        if seconds := self._refusals.wait(self.source(request)):
            raise RequestRefused(429, "too many refused requests from this address", headers=[retry_after(seconds)])


def bearer(request: Request) -> str:
    """What follows `Authorization: Bearer`, "" where there is none."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
