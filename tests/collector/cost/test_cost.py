"""`milepost cost`: units × prices, by hand and by its own promises."""

import json
import re

import pytest
from typer.testing import CliRunner

from collector.cost.cli import app
from collector.cost.model import MINUTES, Fleet, answer, costs, prices, shards, together, units
from contract.errors import Misconfigured


def test_a_bill_reckoned_by_hand() -> None:
    """One truck, a sample a minute, its samples alone: what does not depend on how long functions run."""
    bill = costs(Fleet(1, window=60))
    assert bill["milepost"]["iot_connections"] == pytest.approx(43_800 * 0.08e-6)
    assert bill["object_per_record"]["iot_messages"] == pytest.approx(43_800 * 1e-6)
    assert bill["object_per_record"]["s3"] > 43_800 * 5e-6
    measured = units()["version_per_record"]["write_units"]
    assert bill["version_per_record"]["dynamodb_writes"] == pytest.approx(43_800 * measured * 0.625e-6)
    assert bill["milepost"]["kinesis"] - bill["object_per_record"]["kinesis"] == pytest.approx(730 * 0.02, rel=1e-3)


def test_basic_ingest_saves_the_brokers_charge_and_nothing_else() -> None:
    """DESIGN §3: the same messages, to the rules directly."""
    with_broker, basic = costs(Fleet(10))["milepost"], costs(Fleet(10, basic_ingest=True))["milepost"]
    assert basic == {**with_broker, "iot_messages": 0.0}
    assert with_broker["iot_messages"] > 0


def test_batches_gather_until_they_are_full() -> None:
    """A few trucks' samples come together; of very many, each batch has one."""
    assert together(Fleet(10, window=300)) == 5
    assert together(Fleet(1000, window=300)) == pytest.approx(units()["batch_records"] / 1000)
    assert together(Fleet(1_000_000, window=300)) == 1
    assert shards(Fleet(1)) == 1
    assert shards(Fleet(1_000_000)) > 16


def test_a_truck_of_a_larger_fleet_is_never_dearer() -> None:
    """What stands whatever the fleet is shared by more."""
    trucks = [1, 10, 100, 1000, 10_000]
    each = [answer(Fleet(n, window=0))["designs"]["milepost"]["truck_month"] for n in trucks]
    assert each == sorted(each, reverse=True)
    assert MINUTES == 43_800


def test_the_command_prints_one_document() -> None:
    """Per service, per design, with the prices' date; the ratios are those of the totals."""
    found = json.loads(CliRunner().invoke(app, ["--trucks", "200", "--json"]).stdout)
    assert set(found["designs"]) == {
        "milepost", "milepost_basic_ingest", "version_per_record", "object_per_record",
    }  # fmt: skip
    for design in found["designs"].values():
        assert design["month"] == pytest.approx(sum(design["services"].values()), abs=0.01)
        assert design["truck_month"] == pytest.approx(design["month"] / 200, abs=0.0001)
    months = {name: design["month"] for name, design in found["designs"].items()}
    ratio = found["ratios"]["milepost"]["object_per_record"]
    assert ratio == pytest.approx(months["milepost"] / months["object_per_record"], abs=0.001)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["prices_as_of"])


def test_people_get_a_table() -> None:
    """With the prices' date in its title, and the verdict in a sentence."""
    shown = CliRunner().invoke(app, ["--trucks", "200"]).stdout
    assert f"prices of {prices()['as_of']}" in shown
    assert "Milepost: " in shown


@pytest.mark.parametrize("wrong", [{"trucks": 0}, {"trucks": 1, "interval": 0}, {"trucks": 1, "window": 301}])
def test_a_fleet_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(Misconfigured):
        Fleet(**wrong)  # type: ignore[arg-type]
