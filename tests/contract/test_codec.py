"""The codec keeps every digit, gives one value one text, and refuses what JSON cannot say."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.codec import MAX_DEPTH, canonical, content_hash, dump, elements, parse, unbounded_number
from contract.errors import Rejected
from tests.budget import budget

# Numbers as people and programs write them: signs, leading zeros after the point, exponents, far too many digits.
digits = st.text("0123456789", min_size=1, max_size=40)
whole = digits.map(lambda text: text.lstrip("0") or "0")
number_texts = st.builds(
    lambda sign, head, tail, exponent: f"{sign}{head}{tail}{exponent}",
    st.sampled_from(["", "-"]),
    whole,
    st.one_of(st.just(""), digits.map(lambda text: f".{text}")),
    st.one_of(st.just(""), st.builds("{}{}".format, st.sampled_from(["e", "E", "e+", "e-"]), st.integers(0, 350))),
)
json_texts = st.recursive(
    st.one_of(
        number_texts, st.text(max_size=8).map(json.dumps), st.sampled_from(["true", "false", "null", '"\\ud800"'])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(st.text(max_size=4).map(json.dumps), inner, max_size=4).map(
            lambda pairs: "{" + " , ".join(f"{key} : {value}" for key, value in pairs.items()) + "}"
        ),
    ),
    max_leaves=12,
)


def _hash(text: str) -> str:
    return content_hash(canonical(parse(text)))


@pytest.mark.parametrize("text", ["36", "36.0", "3.6e1", "36.000", "360e-1", "0.36E2", "3600000000000000000000e-20"])
def test_spellings_of_one_number_have_one_hash(text: str) -> None:
    assert _hash(f'{{"x":{text}}}') == _hash('{"x":36}')


@pytest.mark.parametrize(
    "text", ["0", "-0", "0.0", "-0.0", "0e5", "-0e0", "0.000e-7", "0e500", "0e-999999", "-0e999999999"]
)
def test_zero_has_one_text(text: str) -> None:
    assert canonical(parse(text)) == "0"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("0.1", "0.10000000000000001"),
        ("9007199254740993", "9007199254740992.0"),
        ("123456789012345678.5", "123456789012345678.4"),
        ("0.12345678901234567890123456789012345678901", "0.1234567890123456789012345678901234567890"),
        ("123456789012345678901234567890.5", "123456789012345678901234567890.6"),
        ("1e-400", "0"),
    ],
)
def test_no_digit_is_lost(left: str, right: str) -> None:
    assert _hash(left) != _hash(right)


@budget(400, 10_000)
def test_the_canonical_text_of_a_number_is_that_number(examples: int) -> None:
    """Exactly, in decimal arithmetic, however it was spelt."""

    @settings(max_examples=examples)
    @given(number_texts)
    def check(text: str) -> None:
        assert Decimal(canonical(parse(text))) == Decimal(text)

    check()


@budget(400, 10_000)
def test_equal_numbers_have_one_text(examples: int) -> None:
    """The exponent moved, zeros added: the same text."""

    @settings(max_examples=examples)
    @given(number_texts, st.integers(0, 30))
    def check(text: str, zeros: int) -> None:
        sign, figures, exponent = Decimal(text).as_tuple()
        assert isinstance(exponent, int)
        shifted = f"{'-' * sign}{int(''.join(map(str, figures)) + '0' * zeros)}e{exponent - zeros}"
        point = f"{'-' * sign}{figures[0]}.{''.join(map(str, figures[1:])) or '0'}e{exponent + len(figures) - 1}"
        assert canonical(parse(shifted)) == canonical(parse(point)) == canonical(parse(text))

    check()


@budget(300, 8_000)
def test_the_canonical_text_is_a_fixed_point(examples: int) -> None:
    """Parsing it gives the same value and the same text, or a store could not check its own hashes."""

    @settings(max_examples=examples)
    @given(json_texts)
    def check(text: str) -> None:
        once = canonical(parse(text))
        assert once.isascii()
        assert parse(once) == parse(text)
        assert canonical(parse(once)) == once

    check()


@given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=6))
def test_the_order_of_keys_leaves_no_trace(record: dict[str, int]) -> None:
    backwards = dict(reversed(record.items()))
    assert canonical(record) == canonical(backwards)


@settings(max_examples=300)
@given(json_texts)
def test_dump_writes_what_parse_reads(text: str) -> None:
    """In UTF-8, whatever the strings hold: half a surrogate pair must not break the reader's terminal."""
    value = parse(text)
    assert parse(dump(value).encode("utf-8")) == value


def test_dump_keeps_the_order_of_keys_and_plain_letters() -> None:
    assert dump({"b": "ü", "a": Decimal("1E-400")}) == '{"b":"ü","a":1E-400}'


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e401",
        "-1e999",
        "1e-401",
        "[1e5000]",
        "1e" + "9" * 30,
        "9" * 5000,
        "-" + "9" * 5000,
    ],
)
def test_what_no_json_number_can_say_is_refused(text: str) -> None:
    """At the latest where its identity is computed, so that the rest of a batch can be kept."""
    with pytest.raises(Rejected):
        canonical(parse(text))


@pytest.mark.parametrize("number", ["NaN", "9" * 5000, "1e" + "9" * 30])
def test_one_number_out_of_all_bounds_does_not_hide_the_rest_of_a_batch(number: str) -> None:
    text = f'{{"records":[{{"a":{number}}},{{"a":1}}]}}'
    assert parse(text)["records"][1] == {"a": 1}
    assert elements(text, "records") == [f'{{"a":{number}}}', '{"a":1}']


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("1" + "0" * 40, []),
        ('{"a":{"b":[1,1e40]}}', ["1", "b", "a"]),
        ("[[0.12345678901234567890123456789012345678901]]", ["0", "0"]),
        ('{"a":1,"b":NaN}', ["b"]),
        ('{"a":-Infinity}', ["a"]),
        ('{"a":' + "9" * 5000 + "}", ["a"]),
        ('{"a":[' + "9" * 40 + ',-1e-38,true,null,"1e400"]}', None),
    ],
)
def test_a_number_out_of_bounds_is_found_where_it_stands(text: str, way: list[str] | None) -> None:
    assert unbounded_number(parse(text)) == way


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xff{}", "UTF-8 at byte 0"),
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{} {}", "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b'{"a":01}', "not JSON"),
        (b'{"a":"\n"}', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[" * 100_000, "64 deep"),
        (b"[" * 65 + b"]" * 65, "64 deep"),
    ],
)
def test_what_is_not_json_is_rejected_with_its_reason(data: bytes, said: str) -> None:
    with pytest.raises(Rejected, match=said):
        parse(data)


def test_nesting_of_64_is_taken() -> None:
    """And many brackets side by side, or within strings, are no nesting."""
    parse("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert len(parse("[" + ",".join(["[]"] * 1000) + "]")) == 1000
    assert parse(json.dumps("[" * 1000)) == "[" * 1000


def test_half_a_surrogate_pair_has_an_identity() -> None:
    """Python's json lets it through, so it must have a text and a hash like any string."""
    assert canonical(parse('"\\ud800"')) == '"\\ud800"'
    assert canonical(parse('"\\ud83d\\ude00"')) == canonical(parse('"😀"'))


padding = st.text(" \t\r\n", max_size=3)


@st.composite
def batches(draw: st.DrawFn) -> tuple[str, str, list[str]]:
    """An object's text with arrays under some keys, the key to cut, and its elements' texts."""
    texts = draw(st.lists(json_texts, max_size=5))
    around = [f"{draw(padding)}{text}{draw(padding)}" for text in texts]
    array = f"[{','.join(around)}]" if texts else f"[{draw(padding)}]"
    others = draw(st.lists(st.tuples(st.sampled_from(["a", "b", "record"]), json_texts), max_size=3))
    spelt = draw(st.sampled_from(['"records"', '"\\u0072ecords"']))
    pairs = draw(st.permutations([*((json.dumps(name), value) for name, value in others), (spelt, array)]))
    body = ",".join(
        f"{draw(padding)}{name}{draw(padding)}:{draw(padding)}{value}{draw(padding)}" for name, value in pairs
    )
    return f"{draw(padding)}{{{body}}}{draw(padding)}", "records", texts


@budget(200, 4_000)
def test_elements_cuts_the_exact_text_of_each_record(examples: int) -> None:
    """What json.loads sees there, in the producer's own spelling."""

    @settings(max_examples=examples)
    @given(batches())
    def check(batch: tuple[str, str, list[str]]) -> None:
        text, key, texts = batch
        assert elements(text, key) == texts
        assert [canonical(parse(cut)) for cut in texts] == [canonical(each) for each in parse(text)[key]]

    check()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", []),
        ('{"records":5}', []),
        ('{"a":{"records":[1]}}', []),
        ('{"records":[1],"records":[2, 3]}', ["2", "3"]),  # as json.loads: the last one counts
        ('{"records":[NaN, -Infinity,1]}', ["NaN", "-Infinity", "1"]),
        ('{"records":["]", "{\\"", [1,[2]]]}', ['"]"', '"{\\""', "[1,[2]]"]),
    ],
)
def test_elements_reads_the_top_level_only(text: str, expected: list[str]) -> None:
    assert elements(text, "records") == expected
