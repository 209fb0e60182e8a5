"""The password file: one line `name:role:hash` for each user, hashes by Argon2id."""

import base64
import secrets
import threading
from pathlib import Path
from typing import Literal, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import ARGON2_VERSION

from contract import atomic_file
from contract.errors import Misconfigured

Role = Literal["viewer", "operator"]
ROLES: tuple[Role, ...] = ("viewer", "operator")

_AT_ONCE = threading.BoundedSemaphore(2)
"""Each check takes 64 MB and tens of milliseconds: strangers may not ask for many at a time."""
_HASHER = PasswordHasher()


def _of_nobody() -> str:
    """A hash that no password has, as dear to check as ours are; making one would cost each process that work."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode("ascii").rstrip("=")
        for size in (_HASHER.salt_len, _HASHER.hash_len)
    )
    cost = f"m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${digest}"


_NOBODY = _of_nobody()


class User(NamedTuple):
    """Somebody who may sign in."""

    name: str
    role: Role
    hash: str


def read_users(path: Path) -> dict[str, User]:
    """name → user; none where there is no file yet.

    Args:
        path: the file that `put_user` wrote.

    Returns:
        In the file's order.

    Raises:
        Misconfigured: a line is no user; the message names the file and the line.
    """
    users = {}
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        name, _, rest = line.partition(":")
        role, _, hashed = rest.partition(":")
        if not name or role not in ROLES or not hashed.startswith("$argon2id$"):
            raise Misconfigured(f"{path}, line {number}: make lines by `milepost console user NAME --role viewer`")
        users[name] = User(name, role, hashed)
    return users


def put_user(path: Path, name: str, role: Role, password: str) -> None:
    """Add a user, or give one another role and password; nobody else may read the file. Durable when it returns.

    Args:
        path: the file; made where there is none.
        name: without a colon or a line break.
        role: one of ROLES.
        password: kept as an argon2id hash only.
    """
    users = {**read_users(path), name: User(name, role, _HASHER.hash(password))}
    text = "".join(f"{user.name}:{user.role}:{user.hash}\n" for user in users.values())
    atomic_file.write(path, text, mode=0o600)


def check(path: Path, name: str, password: str) -> User | None:
    """Look a name and its password up, with as much work for a name that does not exist.

    Args:
        path: the file; read at each call, so that a change holds at once.
        name: as it was typed.
        password: as it was typed.

    Returns:
        The user, None where either is wrong.
    """
    user = read_users(path).get(name)
    with _AT_ONCE:
        try:
            _HASHER.verify(user.hash if user else _NOBODY, password)
        except (Argon2Error, InvalidHashError):
            return None
    return user
