"""Java's regular expressions and time patterns, and that no pattern raises or runs away."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iot_rules.errors import TooMuch
from iot_rules.sql.functions.java_regex import compiled, find, replace_all
from iot_rules.sql.functions.java_time import parse_instant
from iot_rules.sql.functions.joda_time import format_time, zone_by_id
from iot_rules.sql.functions.times import _EPOCH


@pytest.mark.parametrize(
    ("pattern", "text", "match"),
    [
        (r"a.c", "a\rc abc", "abc"),
        (r"(?s)a.c", "a\nc", "a\nc"),
        (r"^b$", "a\nb", None),
        (r"(?m)^b$", "a\nb", "b"),
        (r"b$", "ab\n", "b"),
        (r"b\z", "ab\n", None),
        (r"b\Z", "ab\n", "b"),
        (r"[\w&&[^\d]]+", "1ab2", "ab"),
        (r"[a-c[x-z]]+", "maxz", "axz"),
        (r"[^\d\s]+", "1 x", "x"),
        (r"\x41\u0042\t?", "AB", "AB"),
        (r"(a)(b)\2\1", "abba", "abba"),
        (r"(?<x>a)\k<x>", "aa", "aa"),
        (r"(?i:A)b", "ab", "ab"),
        (r"\p{Upper}\p{Punct}\P{Alpha}", "A-1", "A-1"),
        (r"\pL+", "1äö", "äö"),
        (r"\p{IsAlphabetic}+", "1äö", "äö"),
        (r"a{2}?", "aaa", "aa"),
        (r"(?>a+)a", "aaa", None),
        (r"(?<=x)y(?!z)", "xyz xy", "y"),
        (r"\Q.*\E+", "a.***", ".***"),
        (r"[-a]+[b-]", "a-b", "a-b"),
        (r"[]a]+", "x]a", "]a"),
        (r"\h\R", " \r\n", " \r\n"),
        (r"x|", "y", ""),
    ],
)
def test_a_java_pattern_finds_what_java_finds(pattern: str, text: str, match: str | None) -> None:
    found = find(pattern, text)
    assert (found.group() if found else None) == match


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "[a", "a**", "*a", "a{2", "a{x}", "{1}", r"\y", r"\i", "(?P<a>b)", "(?R)", "(?<1>a)", r"\k<a>", "\\",
     "a{3,2}", "(?z)a", r"\x4", r"\p{Nope}", "(?&a)", r"a\p{L", r"a\x{41", r"[\P{L]"],
)  # fmt: skip
def test_what_java_refuses_is_refused(pattern: str) -> None:
    assert compiled(pattern) is None


@pytest.mark.parametrize("pattern", ["(?:a{1000}){1000}", "x" * 5000, "(" * 300 + ")" * 300])
def test_a_pattern_that_costs_too_much_is_no_invalid_pattern(pattern: str) -> None:
    with pytest.raises(TooMuch):
        compiled(pattern)


@pytest.mark.parametrize(
    ("text", "pattern", "replacement", "result"),
    [
        ("abc", "(b)", "[$1]", "a[b]c"),
        ("abc", "(b)", "$10", "ab0c"),
        ("abc", "(?<n>b)", "<${n}>", "a<b>c"),
        ("abc", "b", r"\$\\", r"a$\c"),
        ("abc", "x*", "-", "-a-b-c-"),
        ("aXb", "(x)|X", "<$1>", "a<>b"),
    ],
)
def test_replacements_follow_java(text: str, pattern: str, replacement: str, result: str) -> None:
    assert replace_all(pattern, text, replacement, 1000) == result


PATTERNS = st.text("ab.*+?|()[]{}^$\\-&,123:=!<>PpdwQEkxuisé", max_size=14)


@given(PATTERNS, st.text("ab1 \n-é", max_size=20), st.text("$1{}a\\", max_size=4))
@settings(max_examples=1500)
def test_no_pattern_raises_anything_else_or_runs_away(pattern: str, text: str, replacement: str) -> None:
    started = time.process_time()
    try:
        find(pattern, text)
        replace_all(pattern, text, replacement, 1000)
    except (ValueError, TimeoutError):
        pass
    assert time.process_time() - started < 10


# -- times

LETTERS = st.lists(st.sampled_from("yMdHhmsSazZEGDkKuLQqecANnVOXx'[] -:/T."), max_size=12).map("".join)


@given(LETTERS, st.text("0123456789-:/ TZ+APMJanUTC.", max_size=24))
@settings(max_examples=1000)
def test_no_time_pattern_raises(pattern: str, text: str) -> None:
    parse_instant(text, pattern)
    zone = zone_by_id("America/Belize")
    assert zone is not None
    format_time(pattern, _EPOCH.astimezone(zone), "America/Belize")


@pytest.mark.parametrize(
    ("text", "pattern", "milliseconds"),
    [
        ("1970-01-01T00:00:00.001Z", "yyyy-MM-dd'T'HH:mm:ss.SSSX", 1),
        ("1970-01-01 00:00:00", "uuuu-MM-dd HH:mm:ss", 0),
        ("19700101000001", "yyyyMMddHHmmss", 1000),
        ("1/2/1970", "M/d/yyyy", 86_400_000),
        ("01/02/70", "MM/dd/yy", 3_155_846_400_000),
        ("1970-002", "yyyy-DDD", 86_400_000),
        ("12:30 AM 1970-01-01", "hh:mm a yyyy-MM-dd", 1_800_000),
        ("1970-01-01 24:00", "yyyy-MM-dd HH:mm", 86_400_000),
        ("1970-01-01 +0100", "yyyy-MM-dd Z", -3_600_000),
        ("1970-01-01 +01", "yyyy-MM-dd x", -3_600_000),
        ("1970-01-01 GMT+1", "yyyy-MM-dd O", -3_600_000),
        ("1970-01-01 Europe/Paris", "yyyy-MM-dd VV", -3_600_000),
        ("1970-01-01 PST", "yyyy-MM-dd z", 28_800_000),
        ("Thursday, 1 January 1970", "EEEE, d MMMM yyyy", 0),
        ("Friday, 1 January 1970", "EEEE, d MMMM yyyy", None),
        ("1970-01-01x", "yyyy-MM-dd", None),
        ("1970-1-1", "yyyy-MM-dd", None),
        ("70-01-01", "yyyy-MM-dd", None),
        ("01:00", "HH:mm", None),
        ("1970-01-01", "yyyy-MM-dd'", None),
        ("1970-01-01", "bbb", None),
    ],
)
def test_java_time_patterns(text: str, pattern: str, milliseconds: int | None) -> None:
    assert parse_instant(text, pattern) == milliseconds
