"""Forgotten on AWS too: tables, archive with its old versions, marts, the scheduled build's folder, a PostgreSQL."""

import base64
import gzip
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from collector.handlers import archive, bootstrap
from collector.history import TrackingPolicy
from collector.ingest import Ingest
from collector.ingest.archive_forgetting import ArchiveForgetting
from collector.settings import CollectorSettings
from collector.stores.dynamodb import DynamoDbStore, create_tables
from collector.stores.dynamodb.forgetting import DynamoDbForgetting
from collector.stores.dynamodb.markers import DynamoDbForgotten
from commerce import forgetting as shop_forgetting
from commerce.orders.service import Orders
from commerce.registers.documents import CUSTOMERS
from commerce.registers.register import Register
from commerce.settings import CommerceSettings
from commerce.storage.database import Database, open_database
from contract import machine_clock, timestamps
from contract.codec import dump
from contract.errors import Misconfigured
from contract.forgotten import Forgotten, Span
from contract.ingest_items import Item
from deploy.ministack import environment
from standalone import forget
from standalone.forget import ForgettingRooms
from standalone.forget_marts import BucketMarts
from tests import ministack, postgresql
from tests.milepost_here import run
from tests.standalone import xena
from tests.standalone.xena import HER, ORDER, PROFILE, REFUSED

NOW_MS = machine_clock.now_ms() - 600_000
CLICKS, SAMPLE = xena.clicks(NOW_MS), xena.sample(NOW_MS)
SPAN = Span("TRUCK-001", timestamps.from_ms(NOW_MS - 3_600_000), timestamps.from_ms(NOW_MS))
CONTEXT = SimpleNamespace(
    function_name="archive", memory_limit_in_mb=256, invoked_function_arn="arn", aws_request_id="1"
)


@dataclass
class Cloud:
    """The stores that a stack has, with the life of two customers and a truck in them."""

    url: str
    prefix: str
    bucket: str
    shop: Database
    rooms: ForgettingRooms

    def deliver(self) -> list[str]:
        """Everything that was ever sent, by the doors that the functions are; the statuses."""
        marks = DynamoDbForgotten(self.prefix)
        taker = Ingest(DynamoDbStore(self.prefix), TrackingPolicy.of(None), forgotten=marks)
        items = [Item("click", "http:clicks", each, NOW_MS) for each in CLICKS]
        items += [Item("telemetry", "mqtt:fleet/TRUCK-001/telemetry", SAMPLE, NOW_MS, truck_id="TRUCK-001")]
        items += [Item("click", "http:clicks", REFUSED, NOW_MS)]
        found = [receipt.status for receipt in taker.ingest(items)]
        found.append(Orders(self.shop, forgotten=marks).take_order(ORDER, received_ms=NOW_MS, payload=b"").status)
        register = Register(self.shop, CUSTOMERS, forgotten=marks)
        found.append(register.put(CUSTOMERS.read(PROFILE), received_ms=NOW_MS))
        return found

    def archive(self, name: str) -> None:
        """What Firehose writes of it, decoded by the stack's own function."""
        for stream, records in (("clicks", [*map(dump, CLICKS), REFUSED.decode()]), ("telemetry", [dump(SAMPLE)])):
            answer = archive.handler(
                {
                    "sourceKinesisStreamArn": f"arn:aws:kinesis:us-east-1:0:stream/milepost-{stream}",
                    "records": [
                        {
                            "recordId": str(number),
                            "data": base64.b64encode(each.encode()).decode(),
                            "approximateArrivalTimestamp": NOW_MS,
                        }
                        for number, each in enumerate(records)
                    ],
                },
                CONTEXT,
            )
            lines = b"".join(base64.b64decode(each["data"]) for each in answer["records"])
            key = f"archive/{stream}/date={timestamps.from_ms(NOW_MS)[:10]}/{name}.gz"
            ministack.client(self.url, "s3").put_object(Bucket=self.bucket, Key=key, Body=gzip.compress(lines))

    def know_stores(self) -> None:
        """Those that there are by now."""
        own = forget.stores_of(CollectorSettings(data_dir=self.rooms.data_dir), None)
        stores = [DynamoDbForgetting(self.prefix, sleep=lambda _: None), ArchiveForgetting(self.bucket), *own]
        self.rooms = replace(self.rooms, stores=stores, marts=BucketMarts(self.bucket))

    def build(self) -> None:
        """What the scheduled build does (deploy/warehouse_build.py)."""
        data = ("--data-dir", self.rooms.data_dir)
        for stream in ("clicks", "telemetry"):
            run("ingest", "--stream", stream, f"s3://{self.bucket}/archive/{stream}/", *data)
        for command in (
            ("lake", "build"),
            ("warehouse", "build"),
            ("warehouse", "export", self.rooms.data_dir / "out"),
        ):
            assert run(*command, *data).code == 0
        client = ministack.client(self.url, "s3")
        for path in (self.rooms.data_dir / "out").glob("*/*.parquet"):
            client.upload_file(str(path), self.bucket, f"marts/{path.parent.name}/{path.name}")
            path.unlink()

    def numbers(self, data_dir: Path | None = None) -> dict[str, Any]:
        """What is counted: by the tables, or by the folder's store."""
        more = ("--data-dir", data_dir) if data_dir else ()
        where = {} if data_dir else {"MILEPOST_STORE": f"dynamodb://{self.prefix}"}
        return {
            name: run(*command, "--json", *more, **where).json
            for name, command in {"clicks": ("clicks",), "audit": ("audit",)}.items()
        }

    def everything(self) -> bytes:
        """All that DynamoDB and S3 hold, old versions too, by plain reading and unpacking."""
        from collector.stores.dynamodb.items import unpack
        from collector.stores.dynamodb.tables import TABLES

        found: list[bytes] = []
        tables = ministack.client(self.url)
        for table in TABLES:
            for item in tables.scan(TableName=table.full_name(self.prefix))["Items"]:
                found.append(json.dumps(item, default=lambda value: repr(_unpacked(bytes(value), unpack))).encode())
        client = ministack.client(self.url, "s3")
        for each in client.list_object_versions(Bucket=self.bucket).get("Versions", []):
            body = client.get_object(Bucket=self.bucket, Key=each["Key"], VersionId=each["VersionId"])["Body"].read()
            found.append(gzip.decompress(body) if each["Key"].endswith(".gz") else body)
        return b"\n".join(found)


def _unpacked(data: bytes, unpack: Any) -> bytes:
    return bytes(unpack({"B": data})) if data[:1] == b"\x01" else data


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with postgresql.cluster() as url:
        yield url


@pytest.fixture
def cloud(tmp_path: Path, cluster: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    url, prefix = ministack.shared(), f"forget-{uuid.uuid4().hex[:8]}"
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MILEPOST_STORE", f"dynamodb://{prefix}")
    for cached in (bootstrap.settings, bootstrap.forgotten):
        cached.cache_clear()
    create_tables(ministack.client(url), prefix)
    client = ministack.client(url, "s3")
    client.create_bucket(Bucket=prefix)
    client.put_bucket_versioning(Bucket=prefix, VersioningConfiguration={"Status": "Enabled"})
    shop_url = postgresql.database(cluster, f"shop_{uuid.uuid4().hex}")
    shop = open_database(shop_url)
    collector = CollectorSettings(data_dir=tmp_path / "data", store=f"dynamodb://{prefix}")
    collector.data_dir.mkdir()
    found = Cloud(url, prefix, prefix, shop, ForgettingRooms(collector, CommerceSettings(database=shop_url), shop))
    found.deliver()
    found.archive("first")
    monkeypatch.delenv("MILEPOST_STORE")
    found.know_stores()
    yield found
    shop.close()
    for cached in (bootstrap.settings, bootstrap.forgotten):
        cached.cache_clear()


def test_nothing_of_her_is_left_and_nothing_that_comes_again_revives_her(cloud: Cloud) -> None:
    before = cloud.numbers()
    assert b"customer-Xena" in cloud.everything()
    report = forget.customer(cloud.rooms, "customer-Xena", now_ms=NOW_MS + 60_000, dry_run=False)
    assert (report["held"]["clicks"], report["held"]["orders"]) == (4, 1)
    assert report["found"] == []
    assert [word for word in HER if word.encode() in cloud.everything()] == []
    assert shop_forgetting.occurrences(cloud.shop, HER) == []
    assert set(cloud.deliver()) == {"duplicate", "rejected"}
    bootstrap.forgotten.cache_clear()
    cloud.archive("again")
    assert [word for word in HER if word.encode() in cloud.everything()] == []
    assert forget.search(cloud.rooms, HER)[0] == []
    assert cloud.numbers() == before


def test_the_positions_of_a_span_go_from_tables_and_archive(cloud: Cloud) -> None:
    before = cloud.numbers()
    assert b"48.1234" in cloud.everything()
    report = forget.positions(cloud.rooms, [SPAN], now_ms=NOW_MS, dry_run=False)
    assert report["left"] == 0
    assert (report["done"]["samples"], report["done"]["archived_lines"]) == (1, 1)
    cloud.deliver()
    assert b"48.1234" not in cloud.everything()
    assert cloud.numbers() == before


@pytest.mark.prove
def test_the_scheduled_build_s_folder_and_marts_forget_too_and_stay_so(cloud: Cloud) -> None:
    """Its store, lake and marts, and those in the bucket; the archive is ingested again and nothing changes."""
    cloud.build()
    cloud.know_stores()
    folder = cloud.rooms.data_dir
    before = (cloud.numbers(), cloud.numbers(folder))
    report = forget.customer(cloud.rooms, "customer-Xena", now_ms=NOW_MS + 60_000, dry_run=False)
    assert report["found"] == []
    assert [word for word in HER if word.encode() in cloud.everything()] == []
    assert forget.positions(cloud.rooms, [SPAN], now_ms=NOW_MS, dry_run=False)["left"] == 0
    cloud.build()
    assert forget.search(cloud.rooms, (*HER, "48.1234", "11.5678"))[0] == []
    assert [word for word in (*HER, "48.1234") if word.encode() in cloud.everything()] == []
    assert (cloud.numbers(), cloud.numbers(folder)) == before


def test_another_directory_s_secret_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    """Its pseudonyms would be others."""
    forget.customer(cloud.rooms, "customer-Xena", now_ms=NOW_MS, dry_run=False)
    other = Forgotten(tmp_path)
    DynamoDbForgetting(cloud.prefix).adopt_markers(other)
    assert other.is_forgotten("customer-Xena", timestamps.from_ms(NOW_MS - 1))
    (tmp_path / "third").mkdir()
    third = Forgotten(tmp_path / "third")
    third.add_person(["customer-Y"], timestamps.from_ms(NOW_MS))
    with pytest.raises(Misconfigured, match="forget-secret"):
        DynamoDbForgetting(cloud.prefix).adopt_markers(third)
