"""Sessions that a cookie holds by itself, for where a request may meet another process than the one before."""

import base64
import hashlib
import hmac
import time
from pathlib import Path

from contract.password_file import Role, User, read_users
from contract.sign_in_sessions import SignInSessions


class SignedSessions(SignInSessions):
    """As SignInSessions, but nothing is kept: a cookie says who signed in and until when, signed.

    A session ends with its time, with another password, or when the user is taken out of the file; signing out only
    takes the cookie away. Tries are counted by each process for itself.

    Args:
        hours: how long a sign-in lasts.
        secret: signs; another one ends all sessions.
        users: the password file.
    """

    def __init__(self, hours: float, secret: str, users: Path) -> None:
        super().__init__(hours)
        self._seconds, self._secret, self._users = hours * 3600, secret.encode(), users

    def begin(self, user: User) -> str:
        """Begin a session.

        Args:
            user: whose password was right.

        Returns:
            What the cookie says.
        """
        until = str(int(time.time() + self._seconds))
        name = base64.urlsafe_b64encode(user.name.encode()).decode().rstrip("=")
        return f"{name}.{until}.{self._signature(user, until)}"

    def find(self, token: str) -> tuple[str, Role] | None:
        """Whose session it is.

        Args:
            token: what the cookie says.

        Returns:
            Name and role as the file has them now; None for what was not signed here, or whose time is over.
        """
        name, _, rest = token.partition(".")
        until, _, signature = rest.partition(".")
        user = read_users(self._users).get(_decoded(name))
        if user is None or not until.isdecimal() or len(until) > 12:
            return None
        is_ours = hmac.compare_digest(self._signature(user, until).encode(), signature.encode())
        return (user.name, user.role) if is_ours and int(until) > time.time() else None

    def end(self, token: str) -> None:
        """Nothing is kept that could be forgotten: whoever signs out loses the cookie.

        Args:
            token: what the cookie says.
        """

    def _signature(self, user: User, until: str) -> str:
        said = "\0".join((user.name, until, user.hash)).encode()
        return hmac.new(self._secret, said, hashlib.sha256).hexdigest()


def _decoded(name: str) -> str:
    try:
        return base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
    except ValueError:
        return ""
