"""Who the shoppers are, where they live and what they hold in their hands, made by Faker: names as in their country,
towns that there are, and devices of many versions.

All of it follows from the shopper's number and the seed, or from the browser's id: a restarted shop meets the same.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from random import Random
from zlib import crc32

from faker import Faker

from simulator.catalogue import DEVICES
from simulator.odd_shoppers import CRAWLER

_LANGUAGES = {
    "DE": "de_DE", "AT": "de_AT", "CH": "de_CH", "FR": "fr_FR", "NL": "nl_NL", "CZ": "cs_CZ", "PL": "pl_PL",
}  # fmt: skip
_COUNTRIES = ("DE", "DE", "DE", "DE", "DE", "AT", "AT", "CH", "FR", "NL", "CZ", "PL")
"""As often as they stand here."""

_VERSIONS = 12
"""Of a kind of device there are so many different ones."""


@dataclass(frozen=True, slots=True)
class Person:
    """A shopper. email: nobody's (RFC 2606). country: two letters (ISO 3166)."""

    name: str
    email: str
    town: str
    country: str

    @property
    def location(self) -> str:
        """As an event says it."""
        return f"{self.town}, {self.country}"


@cache
def person(number: int, seed: int) -> Person:
    """The shopper of a number (from 1)."""
    key = f"{seed}:person:{number}"
    country = Random(key).choice(_COUNTRIES)
    fake = _fake(_LANGUAGES[country])
    fake.seed_instance(key)
    first, last = fake.first_name(), fake.last_name()
    place = fake.local_latlng(country_code=country)
    assert place is not None, country
    return Person(f"{first} {last}", f"{_plain(first)}.{_plain(last)}.{number}@mail.example", place[2], country)


def user_agent(device_type: str, browser: str, user_id: str) -> str:
    """What the device of that kind calls itself, always the same of one browser.

    Args:
        device_type: `desktop`, `mobile` or `tablet`.
        browser: its name.
        user_id: the browser's id.

    Returns:
        The header User-Agent; that of a desktop where there is no such device.
    """
    made = _user_agents()
    versions = made.get((device_type, browser)) or made[DEVICES[0].device_type, DEVICES[0].browser]
    return versions[crc32(user_id.encode()) % len(versions)]


@cache
def _fake(language: str) -> Faker:
    return Faker(language)


@cache
def _user_agents() -> dict[tuple[str, str], tuple[str, ...]]:
    fake = _fake("de_DE")
    fake.seed_instance("devices")
    made = {}
    for device in (*DEVICES, CRAWLER):
        versions = (device.user_agent.format(**_platforms(fake)) for _ in range(_VERSIONS))
        made[device.device_type, device.browser] = tuple(versions)
    return made


def _platforms(fake: Faker) -> dict[str, str]:
    """Faker calls the systems of Apple's telephones and tablets by either name."""
    version = re.sub("[^0-9_]", "", fake.ios_platform_token().partition(" OS ")[2].partition(" ")[0])
    return {
        "linux": fake.linux_platform_token().removeprefix("X11; "),
        "windows": fake.windows_platform_token(),
        "mac": fake.mac_platform_token(),
        "android": fake.android_platform_token(),
        "iphone": f"iPhone; CPU iPhone OS {version} like Mac OS X",
        "ipad": f"iPad; CPU OS {version} like Mac OS X",
    }


def _plain(name: str) -> str:
    """`Zoë Groß` → `zoegro`: what an address may hold everywhere."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z]+", "", letters) or "x"
