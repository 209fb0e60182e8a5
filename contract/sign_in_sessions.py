"""Who has signed in with a password, and how often an address may try: in memory, so that all end with the process."""

import secrets
import threading
import time

from contract.password_file import Role, User

_MOST_SESSIONS = 1_000
_MOST_TRIES = 10
_TRY_SECONDS = 60.0


class SignInSessions:
    """The sessions of one server; used from several threads.

    Args:
        hours: how long a sign-in lasts.
    """

    def __init__(self, hours: float) -> None:
        self._hours = hours
        self._guard = threading.Lock()
        self._sessions: dict[str, tuple[str, Role, float]] = {}
        self._tries: dict[str, list[float]] = {}

    def may_try(self, address: str) -> bool:
        """Whether an address may try another password now: ten a minute.

        Args:
            address: as `contract.http_access.client_address` gives it.

        Returns:
            False where it has tried too often; a refused try counts, too.
        """
        now = time.monotonic()
        with self._guard:
            tries = [each for each in self._tries.pop(address, []) if now - each < _TRY_SECONDS]
            if len(self._tries) >= _MOST_SESSIONS:
                self._tries.clear()
            self._tries[address] = [*tries, now][-_MOST_TRIES - 1 :]
            return len(tries) < _MOST_TRIES

    def begin(self, user: User) -> str:
        """Begin a session; a thousand are kept, the oldest goes first.

        Args:
            user: whose password was right.

        Returns:
            The secret that a cookie keeps.
        """
        token = secrets.token_urlsafe(32)
        now = time.monotonic()
        with self._guard:
            alive = {each: found for each, found in self._sessions.items() if found[2] > now}
            self._sessions = dict(list(alive.items())[-_MOST_SESSIONS + 1 :])
            self._sessions[token] = user.name, user.role, now + self._hours * 3600
        return token

    def find(self, token: str) -> tuple[str, Role] | None:
        """Whose session it is.

        Args:
            token: what the cookie says.

        Returns:
            Name and role; None for a secret that nobody was given, or whose time is over.
        """
        with self._guard:
            name, role, until = self._sessions.get(token, ("", "viewer", 0.0))
        return (name, role) if until > time.monotonic() else None

    def end(self, token: str) -> None:
        """Forget a session.

        Args:
            token: what the cookie says; one that is not known is none to forget.
        """
        with self._guard:
            self._sessions.pop(token, None)
