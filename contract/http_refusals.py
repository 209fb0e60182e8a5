"""A request that an HTTP door refuses: what it says, the same at every door."""

import math
from collections.abc import Iterable

Headers = Iterable[tuple[bytes, bytes]]


class RequestRefused(Exception):
    """The request gets `status`, `headers` and the JSON of `document` for an answer.

    Args:
        status: of HTTP, 400 to 599.
        error: what is wrong and what to do, in words.
        field: which field or header is to blame; "" for none.
        headers: of the answer, as ASGI has them: lower-case names.
    """

    def __init__(self, status: int, error: str, *, field: str = "", headers: Headers = ()) -> None:
        super().__init__(error)
        self.status, self.error, self.field, self.headers = status, error, field, tuple(headers)

    @property
    def document(self) -> dict[str, str | None]:
        """`{"error", "field"}`, field null where none is to blame."""
        return {"error": self.error, "field": self.field or None}


def retry_after(seconds: float) -> tuple[bytes, bytes]:
    """The header that says when to come back.

    Args:
        seconds: from now; rounded up to whole ones.

    Returns:
        The header, as ASGI has it.
    """
    return b"retry-after", b"%d" % math.ceil(seconds)
