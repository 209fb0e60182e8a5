"""The shoppers' names, towns and devices: of every country, always the same ones, and known for what they are."""

from datetime import UTC, datetime

from collector.beacon.user_agents import read_user_agent
from simulator.catalogue import DEVICES
from simulator.customers import account
from simulator.people import person, user_agent
from simulator.shopper import Shopper

MANY = 400
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_people_are_of_their_country_and_always_the_same() -> None:
    people = [person(number, 1) for number in range(1, MANY + 1)]
    assert people == [person(number, 1) for number in range(1, MANY + 1)]
    assert people != [person(number, 2) for number in range(1, MANY + 1)]
    assert {each.country for each in people} == {"DE", "AT", "CH", "FR", "NL", "CZ", "PL"}
    assert len({each.name for each in people}) > MANY * 0.9
    assert len({each.town for each in people}) > 60
    assert len({each.email for each in people}) == MANY
    assert all(each.email.isascii() and each.email.endswith("@mail.example") for each in people)


def test_a_shopper_browses_from_where_its_account_lives() -> None:
    for number in range(1, 20):
        known = person(number, 3)
        assert (account(number, 3).name, account(number, 3).country) == (known.name, known.country)
        shopper = Shopper(number, 3)
        assert {shopper.next(NOW)["location"] for _ in range(30)} == {known.location}


def test_a_device_is_what_it_calls_itself() -> None:
    """As the beacon's own lists read it, which know the real ones."""
    for device in DEVICES:
        names = {user_agent(device.device_type, device.browser, f"shopper-{number:03}") for number in range(50)}
        assert len(names) > 1
        for name in names:
            said = read_user_agent(name)
            assert (said.device_type, said.is_bot, said.is_library) == (device.device_type, False, False), name
            assert device.browser in str(said.browser)
    assert read_user_agent(user_agent("desktop", "Googlebot", "shopper-001")).is_bot
    assert user_agent("fridge", "none", "x") == user_agent("desktop", "Firefox", "x")
