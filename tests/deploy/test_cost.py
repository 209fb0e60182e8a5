"""`milepost cost`: units × prices, by hand and by its own promises."""

import json
import re
from math import ceil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contract.errors import Misconfigured
from deploy.cost import shop, warehouse
from deploy.cost.cli import app
from deploy.cost.model import (
    Fleet,
    answer,
    costs,
    mixture,
    samples_per_message,
    shards,
    together,
    units,
)
from deploy.render import render
from iot_rules.prices import MINUTES, prices
from iot_rules.quotas import PublishingFleet as RulesFleet
from iot_rules.quotas import cost as cost_of_rules
from warehouse.rendering import models


def test_a_bill_reckoned_by_hand() -> None:
    """One truck, a sample a minute, its samples alone: what does not depend on how long functions run."""
    bill = costs(Fleet(1, window=60))
    assert bill["milepost"]["iot_connections"] == pytest.approx(43_800 * 0.08e-6)
    reconnects = 730 / 24 * units()["assumed"]["reconnects_per_truck_day"]
    assert bill["object_per_record"]["iot_messages"] == pytest.approx((43_800 + reconnects) * 1e-6)
    assert bill["object_per_record"]["s3"] > 43_800 * 5e-6
    measured = units()["version_per_record"]["write_units"]
    assert bill["version_per_record"]["dynamodb_writes"] == pytest.approx(43_800 * measured * 0.625e-6)
    assert bill["milepost"]["kinesis"] - bill["object_per_record"]["kinesis"] == pytest.approx(730 * 0.02, rel=1e-3)
    firehose = (43_800 + 4 * 730) * 5 * 1024 / 2**30 * 0.029  # a record and a report are 5 KB each
    assert bill["milepost"]["firehose"] == pytest.approx(firehose)


def test_basic_ingest_saves_the_brokers_charge_and_nothing_else() -> None:
    """Basic Ingest: the same messages, to the rules directly."""
    with_broker, basic = costs(Fleet(10))["milepost"], costs(Fleet(10, basic_ingest=True))["milepost"]
    assert basic == {**with_broker, "iot_messages": pytest.approx(_connecting(10))}
    assert with_broker["iot_messages"] > 10 * basic["iot_messages"]


def _connecting(trucks: int) -> float:
    """What trucks' connecting costs: it goes through the broker whatever their samples do."""
    assumed = units()["assumed"]
    return trucks * 730 / 24 * assumed["reconnects_per_truck_day"] * assumed["messages_per_reconnect"] * 1e-6


def test_a_message_holds_what_waited_until_the_time_was_over_or_an_event_came() -> None:
    """With an event in every eighth sample, of five that may go together not quite four do; none is lost."""
    event = units()["changes"]["simulated"]["events_per_sample"]
    fleet = Fleet(10, send_interval=300)
    shares = mixture(fleet)
    assert [samples for samples, _ in shares] == [1, 2, 3, 4, 5]
    assert sum(share for _, share in shares) == pytest.approx(1)
    assert shares[0][1] == event
    assert samples_per_message(fleet) == pytest.approx((1 - (1 - event) ** 5) / event)
    assert mixture(Fleet(10)) == [(1, 1.0)]


def test_samples_that_go_together_cost_fewer_messages_and_heads_and_as_many_puts() -> None:
    """What is charged by the 5 KB of a message falls with them; each sample is put all the same."""
    alone, five = (costs(Fleet(10_000, window=60, send_interval=seconds))["milepost"] for seconds in (0, 300))
    others = 10_000 * 4 * 730 * prices()["iot_message_5kb"] + _connecting(10_000)
    fleet, samples = Fleet(1, send_interval=300), 10_000 * MINUTES
    fewer = samples_per_message(fleet)
    assert alone["iot_messages"] - others == pytest.approx(samples * prices()["iot_message_5kb"])
    charged = sum(share * ceil(n * units()["payload_bytes"] / 5120) for n, share in mixture(fleet)) / fewer
    assert five["iot_messages"] - others == pytest.approx(samples * charged * prices()["iot_message_5kb"])
    heads = samples * (1 - 1 / fewer) * units()["head_units_per_message"] * prices()["dynamodb_write_unit"]
    assert alone["dynamodb_writes"] - five["dynamodb_writes"] == pytest.approx(heads)
    assert five["dynamodb_storage"] == alone["dynamodb_storage"]
    assert five["firehose"] > alone["firehose"] / fewer  # five of them are over 5 KB, as a record


def test_batches_gather_until_they_are_full() -> None:
    """A few trucks' samples come together; of very many, a shard's ten batches at a time are full before."""
    assert together(Fleet(1000, window=300)) == 5
    fleet = Fleet(10_000, window=300)
    record = (units()["payload_bytes"] / 3 * 4 + units()["envelope_bytes"]) * 4 / 3 + 400  # Base64 twice
    records = min(units()["batch_records"], 6 * 2**20 / record)  # Lambda takes no more than 6 MB
    full = records * units()["batches_at_a_time"] * shards(fleet) / 10_000
    assert together(fleet) == pytest.approx(full, rel=0.01)
    assert full < 5
    assert together(Fleet(1_000_000)) == 1
    assert together(Fleet(1_000_000, send_interval=300)) == samples_per_message(Fleet(1, send_interval=300))


def test_there_are_shards_enough_for_records_bytes_and_the_function() -> None:
    """One for a few thousand trucks; fewer where samples go together, until their bytes are what fills a shard."""
    assert shards(Fleet(1)) == shards(Fleet(5_000)) == 1
    assert shards(Fleet(1_000_000)) > 16
    assert shards(Fleet(1_000_000, send_interval=300)) < shards(Fleet(1_000_000))


def test_a_truck_of_a_larger_fleet_is_never_dearer() -> None:
    """What stands whatever the fleet is shared by more."""
    trucks = [1, 10, 100, 1000, 10_000]
    each = [answer(Fleet(n, window=0))["designs"]["milepost"]["truck_month"] for n in trucks]
    assert each == sorted(each, reverse=True)
    assert MINUTES == 43_800


def test_the_command_prints_one_document() -> None:
    """Per service, per design, with the prices' date; the ratios are those of the totals."""
    found = json.loads(CliRunner().invoke(app, ["--trucks", "200", "--json"]).stdout)
    whose = ("milepost", "milepost_basic_ingest", "version_per_record", "object_per_record")
    assert set(found["designs"]) == {*whose, *(f"{name}_together" for name in whose)}
    for design in found["designs"].values():
        assert design["month"] == pytest.approx(sum(design["services"].values()), abs=0.01)
        assert design["truck_month"] == pytest.approx(design["month"] / 200, abs=0.0001)
    months = {name: design["month"] for name, design in found["designs"].items()}
    for name in ("object_per_record", "object_per_record_together"):
        ratio = found["ratios"]["simulated"]["milepost_together"][name]
        assert ratio == pytest.approx(months["milepost_together"] / months[name], abs=0.001)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["prices_as_of"])
    assert set(found["ratios"]) == set(found["changes"])


@pytest.mark.parametrize("trucks", [1, 200, 10_000, 1_000_000])
def test_people_get_a_table_that_a_terminal_holds(trucks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line over 80 columns and no name cut in two; with the prices' date, the ratios, and what is assumed."""
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, ["--trucks", str(trucks)]).stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert f"prices of {prices()['as_of']}" in shown
    for name in ("IoT connections", "DynamoDB stored", "some together", "CloudWatch", *units()["changes"]):
        assert name in shown
    for name in units()["assumed"]:
        assert name.replace("_", " ") in shown


def test_the_page_shows_what_the_command_says() -> None:
    """docs/deploy-aws.md: USD a truck and month for three fleets, and the ratios for both counts of changes."""
    page = (Path(__file__).parents[2] / "docs" / "deploy-aws.md").read_text("utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| ")
    ]
    ours = ("milepost", "milepost_basic_ingest", "milepost_together", "milepost_basic_ingest_together")
    for trucks in (100, 1_000, 10_000):
        designs = answer(Fleet(trucks, send_interval=300))["designs"]
        whole = [f"${designs[name]['truck_month']:.2f}" for name in (*ours, "version_per_record", "object_per_record")]
        assert [f"{trucks:,}", *whole] in rows
    found = answer(Fleet(10_000, send_interval=300))["ratios"].values()
    for name in ours:
        said = [f"{each[name]['object_per_record']:.2f} and {each[name]['version_per_record']:.2f}" for each in found]
        assert said in [row[1:] for row in rows]


def test_each_price_says_where_it_was_found() -> None:
    """None is left out, and none is told of that is not there."""
    numbers = {name for name, value in prices().items() if isinstance(value, float)}
    assert numbers == set(prices()["sources"])


def test_a_truck_s_way_in_costs_the_same_by_both_commands() -> None:
    """`milepost rules check --fleet` and `milepost cost`: connection and messages, from one table."""
    fleet = Fleet(100, interval=60)
    bill = costs(fleet)["object_per_record"]
    spent = cost_of_rules([], RulesFleet(100, interval=60, message_bytes=units()["payload_bytes"]))
    assert spent.connection * 100 == pytest.approx(bill["iot_connections"])
    reconnects = 100 * 730 / 24 * units()["assumed"]["reconnects_per_truck_day"]
    assert (spent.messages * 100 + reconnects * 1e-6) == pytest.approx(bill["iot_messages"])


def test_what_the_template_says_is_what_is_reckoned_with() -> None:
    """Batches, functions and streams are those that are deployed."""
    resources, measured = render()["Resources"], units()
    function = resources["TelemetryFunction"]["Properties"]
    reading = function["Events"]["Stream"]["Properties"]
    assert (reading["BatchSize"], function["MemorySize"]) == (measured["batch_records"], measured["function_mb"])
    assert reading["ParallelizationFactor"] == measured["batches_at_a_time"]
    assert render()["Parameters"]["BatchingWindow"]["Default"] == Fleet(1).window
    assert render()["Parameters"]["RepairEvery"]["Default"] == f"rate({measured['repair_seconds'] // 60} minutes)"


def test_provisioned_units_are_paid_by_the_hour_whether_they_are_used_or_not() -> None:
    """At 70 % used, two fifths of what each by itself costs; a fleet that writes nothing still pays for its tables."""
    single, hourly = (costs(Fleet(10_000, provisioned=some))["milepost"] for some in (False, True))
    for verb in ("write", "read"):
        fraction = prices()[f"dynamodb_{verb}_unit_hour"] / 3600 / 0.7 / prices()[f"dynamodb_{verb}_unit"]
        assert hourly[f"dynamodb_{verb}s"] == pytest.approx(single[f"dynamodb_{verb}s"] * fraction)
        assert fraction == pytest.approx(0.41, abs=0.01)
    assert {**hourly, **{f"dynamodb_{verb}s": single[f"dynamodb_{verb}s"] for verb in ("write", "read")}} == single
    few = costs(Fleet(1, provisioned=True))["milepost"]["dynamodb_writes"]
    assert few == pytest.approx(units()["tables"] * 730 * prices()["dynamodb_write_unit_hour"])
    scaled = [each for each in render()["Resources"].values() if each["Type"].endswith("ScalingPolicy")]
    targets = {each["Properties"]["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] for each in scaled}
    assert targets == {70}


def test_each_part_of_the_shop_s_bill_is_counted() -> None:
    """Without an event the stream and the secret; with some, what is charged for each of them grows."""
    nothing, some = shop.answer(0), shop.answer(1_000_000)
    assert nothing["services"]["kinesis"] == pytest.approx(730 * 0.035)
    assert nothing["services"]["secrets"] > 0.4
    grows = {name for name, amount in some["services"].items() if amount > nothing["services"][name]}
    assert grows == some["services"].keys() - {"secrets"}
    requests = 1_000_000 * 730 / 24 / units()["assumed"]["events_per_request"]
    assert some["services"]["api_gateway"] == pytest.approx(requests * 1e-6, abs=1e-4)
    assert some["month"] == pytest.approx(sum(some["services"].values()), abs=0.001)


def test_the_command_tells_what_each_option_of_the_template_adds() -> None:
    """And, where tables are provisioned, what is to be compared with it."""
    arguments = ["--trucks", "10000", "--capacity", "provisioned", "--shop-events", "50000", "--json"]
    found = json.loads(CliRunner().invoke(app, arguments).stdout)
    names = {name.partition("=")[0] for name in found["options"]}
    assert names <= set(render()["Parameters"])
    assert found["options"]["Capacity=provisioned"] < -100
    assert all(found["options"][name] > 0 for name in ("Tracing=Active", "KeyArn", "Canary=on"))
    assert found["capacity"]["mode"] == "provisioned"
    assert found["capacity"]["write"] > 100
    ours = found["ratios"]["simulated"]["milepost"]
    assert ours["version_per_record"] < ours["version_per_record_provisioned"]
    assert found["shop"]["events_a_day"] == 50_000


def test_each_part_of_the_warehouse_s_bill_is_counted() -> None:
    """By hand where nothing was measured; rarer builds cost less, and what stands stays."""
    bill = warehouse.answer(1_440_000, 1000)
    assert bill["month"] == pytest.approx(sum(bill["services"].values()), abs=0.001)
    hours = 24 * 730 / 24 * bill["build_seconds"] / 3600
    assert bill["services"]["fargate"] == pytest.approx(hours * (2 * 0.04048 + 8 * 0.004445), rel=0.01)
    assert bill["services"]["cloudwatch"] == pytest.approx(2 * 0.1 + 2 * 0.3)
    queries = bill["assumed"]["queries_a_day"] * 730 / 24
    assert bill["services"]["athena"] >= round(queries * 10 * 2**20 / 2**40 * 5, 4)
    assert bill["services"]["glue"] == 0
    daily = warehouse.answer(1_440_000, 1000, 1)
    assert daily["services"]["fargate"] < bill["services"]["fargate"] / 10
    assert daily["services"]["efs"] == bill["services"]["efs"]
    assert daily["services"]["athena"] == bill["services"]["athena"]
    assert warehouse.answer(2_880_000, 2000)["services"]["efs"] > 1.9 * bill["services"]["efs"]
    found = json.loads(CliRunner().invoke(app, ["--trucks", "1000", "--builds", "1", "--json"]).stdout)
    assert found["warehouse"] == daily


def test_athena_s_page_shows_what_the_command_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "athena.md").read_text("utf-8")
    for trucks in (100, 1_000):
        hourly, daily = (warehouse.answer(trucks * 1440, trucks, builds) for builds in (24, 1))
        said = f"${hourly['month']:,.0f} | ${daily['month']:,.0f} | {hourly['build_seconds']:,.0f} s"
        assert f"| {trucks:,} | {said} |" in page


def test_the_warehouse_s_bill_is_for_what_its_templates_make() -> None:
    template = (Path(__file__).parents[2] / "deploy" / "warehouse.yaml").read_text("utf-8")
    assumed = warehouse.units()["assumed"]
    assert f'Cpu: "{assumed["task_vcpus"] * 1024}"' in template
    assert f'Memory: "{assumed["task_gb"] * 1024}"' in template
    assert "Default: rate(1 hour)" in template  # 24 builds a day
    assert (template.count("AWS::CloudWatch::Alarm"), "ThroughputMode: bursting" in template) == (2, True)
    assert len([each for each in models("duckdb") if each.name.startswith("marts.")]) == warehouse.units()["marts"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"trucks": 0},
        {"trucks": 1, "interval": 0},
        {"trucks": 1, "window": 301},
        {"trucks": 1, "send_interval": -1},
        {"trucks": 1, "send_interval": 6001},
    ],
)
def test_a_fleet_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(Misconfigured):
        Fleet(**wrong)  # type: ignore[arg-type]
