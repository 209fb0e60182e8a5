"""The scheduled build on AWS: from the archive in S3 to marts in S3, and its template."""

import base64
import fcntl
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from collector.handlers import archive
from contract import machine_clock, timestamps
from contract.errors import Retryable, Unreachable
from deploy import warehouse_build
from deploy.ministack import Ministack, environment
from tests.cfn_lint import assert_clean
from tests.milepost_process import REPOSITORY
from tests.warehouse.fleet import Fleet, drive

TEMPLATE = REPOSITORY / "deploy" / "warehouse.yaml"
START = "2024-06-01T12:00:00.000Z"
CONTEXT = SimpleNamespace(
    function_name="archive", memory_limit_in_mb=256, invoked_function_arn="arn:aws:lambda:x", aws_request_id="1"
)


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ministack]:
    """A ministack that boto3 speaks to, here and in processes of the test."""
    with Ministack(tmp_path / "aws") as stack:
        for name, value in environment(stack.url).items():
            monkeypatch.setenv(name, value)
        yield stack


def _archived(stream: str, records: list[dict[str, Any]]) -> bytes:
    """An object as Firehose writes it: through the archive's own function, gzip."""
    datas = []
    for record in records:
        at = record.get("sampled_at") or record["timestamp"]
        millis = int(duckdb.execute("SELECT epoch_ms(CAST(? AS TIMESTAMPTZ))", [at]).fetchall()[0][0]) + 1000
        if stream == "telemetry":
            sent: dict[str, Any] = {"data": base64.b64encode(json.dumps(record).encode()).decode()}
            sent |= {"truck_id": record["truck_id"], "client_id": record["truck_id"], "received_at": millis}
        else:
            sent = {"door": "http:clicks", "received_at": millis, "seen": {}, "body": json.dumps({"events": [record]})}
        datas.append(json.dumps(sent).encode())
    records_in = [{"recordId": f"{n}", "data": base64.b64encode(data).decode()} for n, data in enumerate(datas)]
    event = {"sourceKinesisStreamArn": f"stream/{stream}", "records": records_in}
    return gzip.compress(
        b"".join(base64.b64decode(each["data"]) for each in archive.handler(event, CONTEXT)["records"])
    )


@pytest.mark.prove
def test_the_archive_makes_the_marts_of_the_store_it_came_from(aws: Ministack, fleet: Fleet, tmp_path: Path) -> None:
    """Two runs with new objects between them; the marts in the bucket are those of a machine that took the same."""
    first, second = drive("T1", START, [0, 50, 60, 0]), drive("T1", "2024-06-02T12:00:00.000Z", [40, 0], seq=5)
    events = [{"event_id": "e1", "event_type": "view", "timestamp": START, "session_id": "v1", "item_id": "I1"}]
    arrived = timestamps.from_ms(machine_clock.now_ms())[:10]
    bucket = aws.client("s3")
    bucket.create_bucket(Bucket="data")
    bucket.put_object(Bucket="data", Key="marts/gone/part.parquet", Body=b"of a mart of an earlier release")
    for number, (samples, clicks) in enumerate(((first, events), (second, []))):
        for stream, records in (("telemetry", samples), ("clicks", clicks)):
            if records:
                key = f"archive/{stream}/date={arrived}/{number}.jsonl.gz"
                bucket.put_object(Bucket="data", Key=key, Body=_archived(stream, records))
        done = warehouse_build.build("data", tmp_path / "work")
    assert (done["accepted"], done["rejected"], done["lake_build"]) == (2, 0, 2)
    assert done["lag_s"] > 0
    told = aws.client("cloudwatch").list_metrics(Namespace="Milepost/Warehouse")["Metrics"]
    assert sorted({each["MetricName"] for each in told}) == ["LagSeconds", "RejectedRecords"]
    keys = [each["Key"] for each in bucket.list_objects_v2(Bucket="data", Prefix="marts/")["Contents"]]
    assert sorted(keys) == sorted(f"marts/{name}/part.parquet" for name in (*done["marts"], "build"))
    fleet.take([*first, *second])
    fleet.click(events)
    fleet.build()
    assert fleet.build_marts() == done["marts"]
    day = tmp_path / "truck_day.parquet"
    bucket.download_file("data", "marts/truck_day/part.parquet", str(day))
    rows = fleet.engine.query("SELECT * FROM truck_day ORDER BY day")
    assert [tuple(row.values()) for row in rows] == duckdb.sql(f"SELECT * FROM '{day}' ORDER BY day").fetchall()


def test_a_run_that_cannot_read_the_archive_says_so_and_a_second_one_is_refused(aws: Ministack, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"(?s)ingest.*no-such-bucket"):
        warehouse_build.build("no-such-bucket", tmp_path / "work")
    with (tmp_path / "work" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Retryable, match="another run"):
            warehouse_build.build("no-such-bucket", tmp_path / "work")


def test_the_template_is_one_that_cloudformation_knows() -> None:
    assert_clean(TEMPLATE)


@pytest.mark.prove
def test_it_is_deployed_to_the_local_stack(tmp_path: Path) -> None:
    """Everything of the template, and the raw zone's tables with their projected days."""
    with Ministack(tmp_path) as stack:
        network = stack.client("ec2")
        vpc = network.describe_vpcs()["Vpcs"][0]["VpcId"]
        subnets = [each["SubnetId"] for each in network.describe_subnets()["Subnets"]]
        given = {"Bucket": "data", "Image": "x/milepost-warehouse@sha256:0", "Vpc": vpc, "Subnets": ",".join(subnets)}
        formation = stack.client("cloudformation")
        formation.create_stack(
            StackName="warehouse",
            TemplateBody=TEMPLATE.read_text(encoding="utf-8"),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        )
        formation.get_waiter("stack_create_complete").wait(
            StackName="warehouse", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        tables = stack.client("glue").get_tables(DatabaseName="milepost_raw")["TableList"]
        where = "s3://data/archive/telemetry/date=${date}/"
        assert {each["Name"]: each["Parameters"]["projection.enabled"] for each in tables} == {
            "clicks": "true",
            "telemetry": "true",
        }
        assert where in {each["Parameters"]["storage.location.template"] for each in tables}
        assert stack.client("scheduler").get_schedule(Name="milepost-warehouse")["ScheduleExpression"] == "rate(1 hour)"
        alarms = stack.client("cloudwatch").describe_alarms()["MetricAlarms"]
        assert {each["AlarmName"] for each in alarms} == {"milepost-warehouse-lag", "milepost-warehouse-rejected"}
