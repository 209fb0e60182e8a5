"""Who was refused by a door, in the log: whatever refuses, the address is told in one place."""

import logging
from collections.abc import Sequence
from typing import Any

from contract.http_access import Network, client_address
from contract.source_log import SourceLog

log = logging.getLogger(__name__)

_REFUSED = frozenset({400, 401, 403, 413, 415, 429})
"""What no honest client gets by habit. Not 404: every browser asks for /favicon.ico."""

_MOST_PATH = 100


class RefusalLog:
    """An ASGI application before another one: logs `request_refused` with address, status and path, once a minute each.

    Args:
        app: whose answers it looks at.
        trusted: proxies whose client address is believed.
    """

    def __init__(self, app: Any, trusted: Sequence[Network] = ()) -> None:
        self._app, self._trusted, self._told = app, trusted, SourceLog(log)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def seen(message: Any) -> None:
            if message.get("status") in _REFUSED:
                self._tell(scope, message["status"])
            await send(message)

        await self._app(scope, receive, seen)

    def _tell(self, scope: Any, status: int) -> None:
        peer = scope.get("client")
        source = client_address(peer[0] if peer else None, scope["headers"], self._trusted)
        asked = f"status={status} method={scope['method'][:20]!r} path={scope['path'][:_MOST_PATH]!r}"
        self._told.tell("request_refused", source or "unknown", asked)
