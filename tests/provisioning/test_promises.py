"""What provisioning.registry promises, on both implementations: the local one, and AWS IoT on ministack."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.errors import Rejected
from provisioning import certificate_authority
from provisioning.errors import Unknown
from provisioning.registry import Registry
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings

_numbers = itertools.count(1)
_prepared: list[str] = []  # the account, which all tests share


@pytest.fixture(params=["local", "aws"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    if request.param == "local":
        made: Registry = LocalRegistry(tmp_path, ProvisioningSettings())
        made.init()
    else:
        made = request.getfixturevalue("ministack").registry(tmp_path)
        if not _prepared:
            made.init()
            _prepared.append("aws")
    yield made
    made.close()


@pytest.fixture
def truck(registry: Registry) -> str:
    name = f"P{next(_numbers)}"
    registry.add(name, {"depot": "north"})
    return name


def request() -> str:
    return certificate_authority.new_key()[1]


def test_init_again_makes_nothing(registry: Registry) -> None:
    registry.init()
    assert registry.init(dry_run=True) == []
    assert registry.init() == []


def test_a_truck_is_added_once_and_keeps_its_attributes(registry: Registry, truck: str) -> None:
    assert registry.add(truck, {}) is False
    assert registry.get(truck).attributes == {"depot": "north"}
    registry.add(truck, {"depot": "south"})
    assert registry.get(truck).attributes["depot"] == "south"
    assert truck in [one.truck_id for one in registry.trucks()]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a+", "#", "x" * 65, "ü"])
def test_a_name_that_could_be_a_topic_filter_is_rejected(registry: Registry, name: str) -> None:
    with pytest.raises(Rejected):
        registry.add(name, {})


def test_a_truck_that_is_not_there_is_unknown(registry: Registry) -> None:
    with pytest.raises(Unknown, match="truck add nobody"):
        registry.get("nobody")


def test_one_key_has_one_certificate_however_often_it_is_asked_for(registry: Registry, truck: str) -> None:
    csr = request()
    first = registry.issue(truck, csr)
    assert registry.issue(truck, csr).id == first.id
    assert [one.id for one in registry.get(truck).active] == [first.id]


def test_a_third_certificate_takes_the_place_of_the_unproven_one(registry: Registry, truck: str) -> None:
    proven, unproven, third = (registry.issue(truck, request()).id for _ in range(3))
    active = {one.id for one in registry.get(truck).active}
    assert active == {proven, third}
    assert unproven not in active


def test_settle_leaves_one(registry: Registry, truck: str) -> None:
    registry.issue(truck, request())
    new = registry.issue(truck, request())
    assert registry.revoke_others(truck, new.id) == 1
    assert registry.revoke_others(truck, new.id) == 0
    assert [one.id for one in registry.get(truck).active] == [new.id]


def test_only_an_active_certificate_settles(registry: Registry, truck: str) -> None:
    kept = registry.issue(truck, request())
    with pytest.raises(Rejected):
        registry.revoke_others(truck, "0" * 64)
    assert [one.id for one in registry.get(truck).active] == [kept.id]


def test_a_retired_truck_has_nothing_and_gets_nothing_until_it_is_reinstated(registry: Registry, truck: str) -> None:
    csr = request()
    registry.issue(truck, csr)
    assert registry.retire(truck) == 1
    assert registry.retire(truck) == 0
    assert registry.get(truck).state == "retired"
    assert registry.get(truck).active == ()
    with pytest.raises(Rejected, match="retired"):
        registry.issue(truck, request())
    registry.reinstate(truck)
    assert registry.get(truck).active == ()
    with pytest.raises(Rejected, match="used before"):
        registry.issue(truck, csr)
    registry.issue(truck, request())
    assert len(registry.get(truck).active) == 1


def test_a_bad_request_is_rejected(registry: Registry, truck: str) -> None:
    for bad in ("", "garbage", request().replace("A", "B", 1), "x" * 10_000):
        with pytest.raises(Rejected):
            registry.issue(truck, bad)
    assert registry.get(truck).certificates == ()
