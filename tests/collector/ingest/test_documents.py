"""Files that are not of lines: an array, one document over several lines, several in a row; whole or broken."""

import io
import json
import random
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from collector.ingest import documents as module
from collector.ingest.documents import documents
from contract.codec import parse
from contract.errors import Rejected
from tests.contract.examples import sample

ONE = b'{"a":"]},{\\"[","b":[1,{"c":null}]}'
TWO = b'{"d":2.50}'


def read(data: bytes) -> list[bytes]:
    return list(documents(io.BytesIO(data)))


@pytest.mark.parametrize(
    "whole",
    [
        b"[" + ONE + b"," + TWO + b"]",
        b"\xef\xbb\xbf \n[\n" + ONE + b"\n,\n" + TWO + b"\n]\n",
        b"[" + ONE + b"]\n[" + TWO + b"]",
        ONE + TWO,
        ONE + b"\n" + TWO + b"\n",
        b"\n\n" + ONE + b"\r\n" + TWO,
        ONE + b",\n" + TWO + b",\n",
    ],
)
def test_each_record_comes_as_it_is_written(whole: bytes) -> None:
    assert [each.strip() for each in read(whole)] == [ONE, TWO]


def test_a_document_over_several_lines_is_one_record() -> None:
    for indent in (1, 4):
        text = json.dumps([sample(), sample(seq=2)], indent=indent).encode()
        assert [parse(each) for each in read(text)] == [sample(), sample(seq=2)]
        assert [parse(each) for each in read(json.dumps(sample(), indent=indent).encode())] == [sample()]


@pytest.mark.parametrize(
    ("data", "records"),
    [
        (b"[" + ONE + b",{1:2}," + TWO + b"]", [ONE, b"{1:2}", TWO]),  # broken, but its brackets tell where it ends
        (b"[" + ONE + b",nonsense," + TWO + b"]", [ONE, b"nonsense", TWO]),
        (b'[1,"a,]",' + TWO + b"]", [b"1", b'"a,]"', TWO]),
        (b"[\n" + ONE + b',\n{"half":\n,\n' + TWO + b"\n]\n", [ONE, b'{"half":', b"", TWO]),
        (b"{half\n" + ONE + b"\n" + TWO, [b"{half", ONE, TWO]),
        (b'{"half":\n"x"\n' + ONE + b"\n" + TWO, [b'{"half":', b'"x"', ONE, TWO]),
        (b"[]\n[]", []),
        (b"", []),
    ],
)
def test_what_is_broken_costs_itself_alone(data: bytes, records: list[bytes]) -> None:
    assert [each.strip() for each in read(data)] == records


def test_an_array_that_is_cut_off_gives_what_is_in_it_and_says_so() -> None:
    records = documents(io.BytesIO(b"[" + ONE + b",\n" + TWO + b",\n"))
    assert [next(records), next(records)] == [ONE, TWO]
    with pytest.raises(Rejected, match="the JSON array has no end"):
        next(records)
    cut = json.dumps([sample(), sample(seq=2)], indent=1).encode()[:-40]
    first, rest = read(cut)
    assert parse(first) == sample()
    assert rest == cut[cut.rindex(rest) :]


def test_a_record_without_end_is_refused_by_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    records = documents(io.BytesIO(b"[" + TWO + b',{"never":[' + b"1,\n" * 100_000))
    assert next(records) == TWO
    with pytest.raises(Rejected, match=r"never.*is over 16 MB, or not closed"):
        next(records)


@pytest.mark.parametrize("step", [1, 7, 65_536])
def test_where_it_is_read_to_makes_no_difference(step: int) -> None:
    chance = random.Random(step)
    texts = [json.dumps(_value(chance), indent=chance.choice([None, 2])).encode() for _ in range(40)]
    file = io.BufferedReader(Trickle([b"[", b",".join(texts), b"]"], step))
    assert [parse(each) for each in documents(file)] == [*map(parse, texts)]


def _value(chance: random.Random) -> dict[str, Any]:
    return {"".join(chance.choices('ab"\\[]{},: \n', k=6)): chance.choice([None, 1.5, [], ["\\"], {"]": '"'}])}


def test_an_array_takes_no_more_memory_than_a_record() -> None:
    record = json.dumps(sample()).encode() + b",\n"

    def pieces() -> Iterator[bytes]:
        yield b"["
        for _ in range(60):
            yield record * 100
        yield json.dumps(sample()).encode() + b"]"

    tracemalloc.start()
    count = sum(1 for _ in documents(io.BufferedReader(Trickle(pieces(), 65_536))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, peak < 1_000_000) == (6_001, True)


class Trickle(io.RawIOBase):
    """A file that gives at most so many bytes at a time."""

    def __init__(self, pieces: Any, step: int) -> None:
        self._pieces, self._step, self._left = iter(pieces), step, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = next(self._pieces, b"")
        size = min(len(buffer), self._step, len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size
