"""A second content under one sequence number is known by what the ledger remembers of the last ones."""

from hypothesis import given
from hypothesis import strategies as st

from collector.completeness.recent_contents import MOST, RecentContents
from contract.codec import content_hash

arrivals = st.lists(st.tuples(st.integers(1, 20), st.sampled_from("ab")), max_size=60)


def _content(name: str) -> str:
    return content_hash(f'"{name}"')


@given(arrivals, st.integers(1, 5))
def test_every_second_content_is_named_and_none_beside(came: list[tuple[int, str]], at_a_time: int) -> None:
    recent, named = RecentContents(), []
    for first in range(0, len(came), at_a_time):
        part = [(number, _content(name)) for number, name in came[first : first + at_a_time]]
        recent, twice = recent.add(part)
        named.extend(twice)
        assert RecentContents.of(recent.as_lists()) == recent
    names: dict[int, set[str]] = {}
    for number, name in came:
        names.setdefault(number, set()).add(name)
    assert set(named) == {number for number, of in names.items() if len(of) > 1}


def test_only_the_last_are_remembered_and_a_live_stream_takes_little_room() -> None:
    recent = RecentContents()
    for number in range(1, 1_000):
        recent, _ = recent.add([(number, _content(str(number)))])
    [[first, signs]] = recent.as_lists()
    assert first == 1_000 - MOST
    assert len(str(signs)) == 6 * MOST
    assert recent.add([(999, _content("another"))])[1] == [999]
    assert recent.add([(1, _content("another"))])[1] == []
