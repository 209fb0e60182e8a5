"""A ledger in an item of its own: what it holds comes back, and thousands of holes fit."""

import random

from hypothesis import given
from hypothesis import strategies as st

from collector.completeness.ledger import StreamLedger
from collector.stores.dynamodb.items import size
from collector.stores.dynamodb.ledger_items import ledger_text, packed_ledger, read_ledger
from contract.control_messages import Report
from contract.ranges import Ranges

NUMBERS = st.sets(st.integers(1, 60), max_size=30)


@given(NUMBERS, NUMBERS, NUMBERS, st.integers(0, 10**13))
def test_both_forms_hold_the_whole_ledger(came: set[int], refused: set[int], gone: set[int], now: int) -> None:
    said = {"stream_id": "s1", "highest_seq": 60, "gone": Ranges.of_numbers(gone).as_lists(), "oldest_retained": 5}
    ledger = StreamLedger().receive(Ranges.of_numbers(came), now).dead_letter(Ranges.of_numbers(refused), now + 9)
    ledger = ledger.report(Report.model_validate(said), now + 20_000).ask(now + 10**6, 1)[1]
    assert read_ledger(packed_ledger(ledger)) == ledger
    assert read_ledger({"S": ledger_text(ledger)}) == ledger


def test_what_thinning_leaves_takes_a_few_write_units() -> None:
    ledger = StreamLedger()
    for first in range(1, 16_001, 400):
        ledger = ledger.receive(Ranges.of_numbers(range(first, first + 400, 2)), first)
    assert len(ledger.holes) == 7_999
    assert size({"ledger": packed_ledger(ledger)}) < 4_096
    assert read_ledger(packed_ledger(ledger)) == ledger


def test_a_year_with_every_third_sample_lost_at_random_fits_an_item() -> None:
    chance = random.Random(7)
    came = [number for number in range(1, 365 * 1_440 // 3) if chance.random() > 0.33]
    ledger = StreamLedger().receive(Ranges.of_numbers(came), 1)
    assert len(ledger.holes) > 30_000
    assert size({"ledger": packed_ledger(ledger)}) < 300_000
