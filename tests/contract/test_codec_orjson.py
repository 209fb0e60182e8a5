"""Where orjson is sure, it says what the codec's own way says, to the last digit and type."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import codec, codec_orjson
from contract.codec_orjson import UNSURE
from contract.errors import Rejected
from tests.budget import budget

NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["NaN", "Infinity", "-0", "-0.0", "36.0", "1E400", "9007199254740993.0", "1e16", "1.0e16"]),
)
STRINGS = st.builds(lambda text, ascii_only: json.dumps(text, ensure_ascii=ascii_only), st.text(), st.booleans())
DOCUMENTS = st.recursive(
    NUMBERS | STRINGS | st.sampled_from(["true", "false", "null"]),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.builds("{}:{}".format, STRINGS, inner), max_size=4).map(lambda items: f"{{{','.join(items)}}}")
    ),
    max_leaves=15,
)
ALMOST = [
    b"1e-5", b"0.00001", b"10.00001", b"-0.0", b'"\\u007f"', b'"\x7f"', b'"\\ud800"', b'{"a":1,"a":2}', b"[1, 2]",
    b'{"b":1,"a":[36.0,null]}', b"[NaN]", b"[1.5e300]", b"[1e16]", b"18446744073709551616", b"0.30000000000000004",
    b"1e-7", b"[1,-1.5e-9]", b'{"a":{"b":1e-7},"id":"3e-4"}', b'{"id":"ae-4","a":12.5,"b":null}',
    b'{"a":0.0001,"b":1e-4}', b'{"a":0.00009,"b":null}', b"0.1000000000000000055511151231257827",
    "\u00e4".encode("latin-1"), b"", b"[" * 70 + b"]" * 70, b"[" * 65 + b"]" * 65, b'[[],{},null,1.5,"x"]', b"[[1e-7]]",
    b"[" * 300 + b"]" * 300, b'{"records":[' + b",".join([b'{"a":[36.0,{}]}'] * 50) + b"]}",
]  # fmt: skip


@pytest.fixture(autouse=True)
def own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """The codec as on a truck."""
    monkeypatch.setattr(codec, "swift", None)


def _agree(data: bytes) -> None:
    try:
        own: object = codec.parse(data)
    except Rejected:
        assert codec_orjson.parse(data) is UNSURE
        return
    swift = codec_orjson.parse(data)
    assert swift is UNSURE or repr(swift) == repr(own)
    text = codec_orjson.canonical(own)
    try:
        assert text in (None, codec.canonical(own))
    except Rejected:
        assert text is None


@pytest.mark.parametrize("data", ALMOST, ids=lambda data: repr(data[:24]))
def test_what_nearly_says_the_same(data: bytes) -> None:
    _agree(data)


@budget(300, 50_000)
def test_any_document(examples: int) -> None:
    @settings(max_examples=examples)
    @given(DOCUMENTS.filter(lambda text: text.encode("utf-8", "replace") == text.encode("utf-8", "ignore")))
    def check(text: str) -> None:
        _agree(text.encode())

    check()


def test_as_deep_as_may_be_is_sure() -> None:
    """So is a batch of any number of samples."""
    deepest, batch = b"[" * 64 + b"]" * 64, b'{"records":[' + b",".join([b'{"a":{"b":[36.0]}}'] * 100) + b"]}"
    for data in (deepest, batch):
        assert repr(codec_orjson.parse(data)) == repr(codec.parse(data))


def test_a_sample_as_the_agent_writes_it_is_sure() -> None:
    """Else all this would be for nothing."""
    value = {"seq": 7, "gps_location": {"latitude": 48.160162, "speed": None}, "odometer_reading": 36.0}
    data = codec.dump(value).encode()
    assert repr(codec_orjson.parse(data)) == repr(codec.parse(data))
    assert codec_orjson.canonical(codec.parse(data)) == codec.canonical(codec.parse(data))
