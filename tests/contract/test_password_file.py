"""The password file: who is not in it is told as slowly as who gives a wrong password."""

from pathlib import Path
from typing import Literal

import argon2
import pytest

from contract import password_file


def test_a_name_that_is_not_there_costs_the_same_work_as_a_wrong_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = tmp_path / "users"
    password_file.put_user(users, "vera", "viewer", "correct horse battery")
    asked: list[str] = []

    class Watched(argon2.PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            asked.append(str(hash))
            return super().verify(hash, password)

    monkeypatch.setattr(password_file, "_HASHER", Watched())
    assert password_file.check(users, "vera", "wrong") is None
    assert password_file.check(users, "nobody", "wrong") is None
    theirs, nobodys = map(argon2.extract_parameters, asked)
    assert theirs == nobodys
    assert asked[0] != asked[1]
    assert password_file.check(users, "vera", "correct horse battery")
