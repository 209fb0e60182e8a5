"""Which customer an unknown browser turned out to be: pure, from all that was ever said, in any order."""

from bisect import bisect_left
from collections.abc import Iterable


class Customers:
    """user_id → the customers that it was identified as.

    Args:
        said: (user_id, customer_id, when that was first said), in any order.
    """

    def __init__(self, said: Iterable[tuple[str, str, str]]) -> None:
        self._by_user: dict[str, list[tuple[str, str]]] = {}
        for user_id, customer_id, at in sorted(said, key=lambda each: (each[2], each[1])):
            self._by_user.setdefault(user_id, []).append((at, customer_id))

    def of(self, user_id: str | None, at: str) -> str | None:
        """The customer behind a user at an instant: the first said from then on, in hindsight; else the last before.

        Returns:
            None for a user who was never identified.
        """
        said = self._by_user.get(user_id or "")
        if not said:
            return None
        place = bisect_left(said, (at, ""))
        return said[min(place, len(said) - 1)][1]
