"""Looking at a buffer file, whatever has become of it: an answer, or the reason and the remedy."""

import random
from pathlib import Path

import pytest

from agent.buffer.inspection import glance
from agent.buffer.sqlite import SqliteBuffer
from contract.errors import Misconfigured
from tests.budget import budget

AT = "2026-01-31T12:00:01.000Z"


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    """A buffer file's bytes."""
    with SqliteBuffer(tmp_path / "whole.db", "T1") as buffer:
        for number in range(20):
            buffer.append({"sampled_at": AT, "vehicle_speed": number})
        buffer.mark_sent(range(1, 11), at=AT)
    return (tmp_path / "whole.db").read_bytes()


def _damaged(whole: bytes, seed: int) -> bytes:
    chance = random.Random(seed)
    content = bytearray(whole)
    for _ in range(chance.choice((1, 10, 200))):
        content[chance.randrange(len(content))] ^= chance.randrange(1, 256)
    return bytes(content)


@budget(300, 20_000)
def test_a_damaged_file_is_an_answer_or_a_message_and_never_a_traceback(
    whole: bytes, tmp_path: Path, examples: int
) -> None:
    """What is damage is called so: the agent's start heals it, another user's rights do not."""
    path = tmp_path / "buffer.db"
    said = []
    for seed in range(examples):
        path.write_bytes(_damaged(whole, seed))
        try:
            glance(path)
        except Misconfigured as error:
            said.append(str(error))
    assert said
    assert any("is damaged" in each and "start the agent anew" in each for each in said)
    assert not any("own user" in each for each in said)
