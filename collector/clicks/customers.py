"""Which customer an unknown browser turned out to be: pure, from all that was ever said, in any order."""

from bisect import bisect_left
from collections.abc import Iterable


class Customers:
    """user_id → the customers that it was identified as.

    Args:
        said: (user_id, customer_id, when that was first said), in any order.
        browsers: (browser_id, user_id), in any order: users of one browser are one person.
    """

    def __init__(self, said: Iterable[tuple[str, str, str]], browsers: Iterable[tuple[str, str]] = ()) -> None:
        self._joined = _joined(browsers)
        self._by_user: dict[str, list[tuple[str, str]]] = {}
        for user_id, customer_id, at in sorted(said, key=lambda each: (each[2], each[1])):
            self._by_user.setdefault(self.person(user_id) or user_id, []).append((at, customer_id))

    def person(self, user_id: str | None) -> str | None:
        """One user_id for all those that shared a browser; the same where nothing joins it to another."""
        return self._joined.get(user_id, user_id) if user_id else user_id

    def of(self, user_id: str | None, at: str) -> str | None:
        """The customer behind a user at an instant: the first said from then on, in hindsight; else the last before.

        Returns:
            None for a user who was never identified.
        """
        said = self._by_user.get(self.person(user_id) or "")
        if not said:
            return None
        place = bisect_left(said, (at, ""))
        return said[min(place, len(said) - 1)][1]


def _joined(browsers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """user_id → the smallest user_id of its group, of all users that browsers join, whatever the order."""
    above: dict[str, str] = {}

    def root(name: str) -> str:
        while (higher := above.setdefault(name, name)) != name:
            above[name] = above[higher]
            name = higher
        return name

    for browser_id, user_id in browsers:
        above[root(f"user {user_id}")] = root(f"browser {browser_id}")
    groups: dict[str, list[str]] = {}
    for name in list(above):
        if name.startswith("user "):
            groups.setdefault(root(name), []).append(name.removeprefix("user "))
    return {user: min(users) for users in groups.values() for user in users}
