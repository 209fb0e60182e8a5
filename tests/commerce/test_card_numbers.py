"""Payment card numbers stay nowhere, however they are written; what only looks a little like one is taken."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from commerce.card_numbers import find_card_data
from commerce.orders.service import Orders
from commerce.storage.database import Database
from commerce.storage.dead_letters import dead_letter_rows
from commerce.storage.schema import metadata
from contract.errors import Rejected
from tests.budget import budget
from tests.commerce.examples import NOW_MS, event, order

VISA = "4111111111111111"
WRITTEN = (
    VISA,
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "4111 - 1111 - 1111 - 1111",
    "4111–1111–1111–1111",
    "4111.1111.1111.1111",
    "4111_1111_1111_1111",
    "4111\n1111\t1111\r1111",
    "4111\u00a01111\u00a01111\u00a01111",
    "4111\u200b1111\u200b1111\u200b1111",
    " ".join(VISA),
    "４１１１１１１１１１１１１１１１",
    "٤١١١ ١١١١ ١١١١ ١١١١",
    "4111 1111 1111 1111 12/27",
    "Jane Roe, 12/27 4111 1111 1111 1111 123",
    "3782 822463 10005",
    "card4111111111111111please",
)
PLACES: dict[str, Any] = {
    "note": lambda text: order(note=text),
    "lines.0.item_name": lambda text: order(lines=[{"item_id": "M", "price": 1, "item_name": text}]),
    "shipping.to.0.name": lambda text: order(shipping={"to": [{"name": text}]}),
    "(the whole)": lambda text: text,
    "0.0": lambda text: [[text]],
}


@pytest.mark.parametrize("text", WRITTEN)
@pytest.mark.parametrize("place", PLACES)
def test_a_card_number_is_found_however_it_is_written_and_wherever(place: str, text: str) -> None:
    assert find_card_data(PLACES[place](text)) == place


@pytest.mark.parametrize("number", [int(VISA), float(VISA)])
def test_a_card_number_is_found_as_a_number(number: float) -> None:
    assert find_card_data({"a": number}) == "a"


def test_a_card_number_in_a_field_s_name_is_not_told_back() -> None:
    assert find_card_data({"a": {f"cvv {VISA}": 1}}) == "a"
    assert find_card_data({VISA: 1}) == "(a field's name)"


@pytest.mark.parametrize(
    "name", ["cardNumber", "card_no", "card-number", "CARD NUM", "pan", "x_pan", "cvv", "CVC2", "cardCode"]
)
def test_a_field_named_like_card_data_is_found(name: str) -> None:
    assert find_card_data({name: "x"}) == name


@pytest.mark.parametrize(
    "value",
    [
        "4111 1111 1111 1112",  # fails the check digit
        "+49 151 23456789",  # of a card's length and check digit, but a telephone number's form
        "+49 30 1234567, +49 30 7654321",
        "52.530000 13.380000",
        "2026-09-21 14:00:00 2026-09-22",
        "192.168.100.200 10.0.0.1",
        {"card_note": "Happy birthday"},
        {"pan_size": "28 cm"},
        {"company": "x"},
    ],
)
def test_what_is_no_card_number_is_taken(value: object) -> None:
    assert find_card_data({"a": value}) is None


groups = st.sampled_from(
    ["4", "41", "5", "37", "622", "1111", "6011", "0", "9", VISA, VISA[:8], VISA[8:], "378282246310005"]
)
runs = st.lists(st.tuples(groups, st.sampled_from([" ", " ", "-", ".", "/", " . ", ""])), min_size=1, max_size=14)


@budget(300, 10_000)
def test_a_run_of_groups_holds_what_some_of_its_neighbours_make(examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(runs, st.sampled_from(["", "+", "x"]))
    def check(parts: list[tuple[str, str]], before: str) -> None:
        text = before + "".join(group + separator for group, separator in parts)
        assert (find_card_data({"a": text}) == "a") == _any_neighbours_make_one(text)

    check()


def _any_neighbours_make_one(text: str) -> bool:
    """The rule, spelt out: of every stretch that begins and ends with a group."""
    places = [(found.start(), found.end()) for found in re.finditer(r"\d+", text)]
    return any(_is_one(text[begin:end], text[:begin] == "+") for begin, _ in places for _, end in places if end > begin)


def _is_one(stretch: str, after_plus: bool) -> bool:
    digits = re.sub(r"\D", "", stretch)
    if not 13 <= len(digits) <= 19 or (after_plus and len(digits) <= 15):
        return False
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    if sum(number - 9 if number > 9 else number for number in doubled) % 10:
        return False
    if re.search(r"[./]", stretch) and min(map(len, re.findall(r"\d+", stretch))) < 3:
        return False
    known = r"4(.{12}|.{15}|.{18})|5[1-5].{14}|37.{13}|6011.{12,15}|62.{14,17}"
    return re.fullmatch(known, digits) is not None


HIDDEN = (f'{{"note":"{VISA}","note":"x","order_id":"A-1","currency":"EURO"}}',)
"""Of two fields of one name the parser sees the last alone."""

BODIES = (
    json.dumps(order(note=VISA)),
    json.dumps(VISA),
    json.dumps([VISA]),
    *HIDDEN,
    f'{{"order_id":"A-1","currency":"EURO","cvv {VISA}":1}}',
    json.dumps({**event("packed"), "note": "4111 1111 1111 1111"}),
)


ADDRESSES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", f"/v1/orders/{VISA}/events", event("packed")),
    ("PUT", "/v1/customers/4111-1111-1111-1111", {}),
    ("PUT", f"/v1/items/{VISA}", {"price": "1"}),
    ("PUT", f"/v1/vehicles/{VISA}", {}),
    ("POST", f"/v1/vehicles/{VISA}/services", {"item": "battery"}),
)


def test_no_table_and_no_answer_holds_a_card_number(client: TestClient, database: Database) -> None:
    """In a body, also where the parser does not see it, or in an address."""
    doors = (("POST", "/v1/orders"), ("POST", "/v1/orders/A-1/events"), ("PUT", "/v1/customers/C-1"))
    sent = [(*door, body) for door in doors for body in BODIES]
    sent += [(method, path, json.dumps(body)) for method, path, body in ADDRESSES]
    for method, path, body in sent:
        answer = client.request(method, path, content=body.encode())
        is_profile = path == "/v1/customers/C-1" and body in HIDDEN  # with the last of the two, which is harmless
        assert (answer.status_code == 422, _holds_it(answer.text)) == (not is_profile, False), (path, body)
    assert dead_letter_rows(database)
    assert not _holds_it(_everything(database))


def test_a_field_s_name_that_no_column_can_hold_is_refused_and_not_tried_again(database: Database) -> None:
    """Half a pair and a NUL, on both databases: neither an error of ours nor `try again`."""
    for name in ("cvv\x00", "cvv\ud800"):
        with pytest.raises(Rejected):
            Orders(database).take_order({name: 1}, received_ms=NOW_MS, payload=b"{}")
    assert len(dead_letter_rows(database)) == 2


def _everything(database: Database) -> str:
    with database.read() as connection:
        rows = [tuple(row) for table in metadata.sorted_tables for row in connection.execute(table.select())]
    return "\n".join(map(repr, rows))


def _holds_it(text: str) -> bool:
    return VISA[1:] in re.sub(r"\D", "", text)
