"""Ranges against Python's own sets."""

from hypothesis import given
from hypothesis import strategies as st

from contract.ranges import Ranges

numbers = st.sets(st.integers(1, 40), max_size=25)


def _set(ranges: Ranges) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


@given(numbers, numbers)
def test_union_difference_and_intersection_are_those_of_sets(left: set[int], right: set[int]) -> None:
    a, b = Ranges.of_numbers(left), Ranges.of_numbers(right)
    assert _set(a | b) == left | right
    assert _set(a - b) == left - right
    assert _set(a & b) == left & right


@given(numbers, numbers)
def test_every_result_is_in_normal_form(left: set[int], right: set[int]) -> None:
    """Ascending, disjoint, not adjacent: so equal sets are equal values."""
    a, b = Ranges.of_numbers(left), Ranges.of_numbers(right)
    for result in (a, a | b, a - b, a & b):
        assert result == Ranges.of_numbers(_set(result))
        assert all(first <= last for first, last in result)
        assert all(before[1] + 1 < after[0] for before, after in zip(result.pairs, result.pairs[1:], strict=False))


@given(numbers)
def test_count_last_and_truth(found: set[int]) -> None:
    ranges = Ranges.of_numbers(found)
    assert ranges.count == len(found)
    assert ranges.last == max(found, default=0)
    assert bool(ranges) == bool(found)
    assert {number for number in range(45) if number in ranges} == found


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=12))
def test_of_takes_pairs_in_any_order_overlapping_or_empty(pairs: list[tuple[int, int]]) -> None:
    assert _set(Ranges.of(pairs)) == {number for first, last in pairs for number in range(first, last + 1)}


@given(numbers)
def test_the_json_form_comes_back(found: set[int]) -> None:
    ranges = Ranges.of_numbers(found)
    assert Ranges.of(ranges.as_lists()) == ranges


def test_a_million_numbers_are_one_pair() -> None:
    assert (Ranges.of([(1, 500_000)]) | Ranges.of([(500_001, 1_000_000)])).as_lists() == [[1, 1_000_000]]
