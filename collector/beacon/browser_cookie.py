"""The shop's own id of a browser, in a cookie that the server sets: it outlives what browsers delete of pages' storage.

Safari deletes what scripts have stored after seven days without a visit, so a shopper who comes back later would be a
new one. The cookie is set only where `[beacon] cookie_days` says so, for requests of a page of the same site, and only
with events that name a user: beacon.js names none before consent, or where the shopper does not want to be followed.
"""

import re
import secrets
from collections.abc import Sequence

from starlette.types import Scope

from collector.beacon.http import header
from contract.http_refusals import Headers
from contract.ingest_items import Item

NAME = "milepost_id"
_VALUE = re.compile(rf"(?:^|;\s*){NAME}=([0-9a-f]{{32}})(?:;|$)")
_OF_THE_SAME_SITE = (b"same-origin", b"same-site")


class BrowserCookie:
    """Reads and sets it.

    Args:
        days: how long it lives from the last visit on; 0: there is none.
    """

    def __init__(self, days: int) -> None:
        self._seconds = days * 86_400

    def recognise(self, items: Sequence[Item], scope: Scope) -> tuple[list[Item], Headers]:
        """Give the events of a request the browser's id.

        Returns:
            The items, in order; those that name a user now have a `browser_id` among what the door has seen. And the
            headers for the answer.
        """
        named = [isinstance(item.record, dict) and bool(item.record.get("user_id")) for item in items]
        if not self._seconds or not any(named) or not _may_be_recognised(scope):
            return list(items), ()
        found = _VALUE.search((header(scope, b"cookie") or b"").decode("latin-1"))
        browser_id = found[1] if found else secrets.token_hex(16)
        kept = [
            item._replace(seen={**item.seen, "browser_id": browser_id}) if is_named else item
            for item, is_named in zip(items, named, strict=True)
        ]
        cookie = f"{NAME}={browser_id}; Max-Age={self._seconds}; Path={scope['path']}; HttpOnly; Secure; SameSite=Lax"
        return kept, ((b"set-cookie", cookie.encode("ascii")),)


def _may_be_recognised(scope: Scope) -> bool:
    if header(scope, b"dnt") == b"1" or header(scope, b"sec-gpc") == b"1":
        return False
    return header(scope, b"sec-fetch-site") in _OF_THE_SAME_SITE
