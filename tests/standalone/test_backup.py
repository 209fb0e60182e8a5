"""Backup while the service runs, and restore: everything acknowledged before it is in it, and nobody is revived."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from collector.stores.sqlite.store import SqliteStore
from contract.errors import Misconfigured
from contract.forgotten import Forgotten, Span
from provisioning import certificate_authority
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings
from standalone.backup import back_up, restore
from standalone.child_processes import lock
from tests import postgresql
from tests.standalone.up import MILEPOST, Up


def test_what_was_acknowledged_is_in_a_backup_of_the_running_service(up: Up, tmp_path: Path) -> None:
    url = up.start("--trucks", "1", "--shoppers", "1", "--speedup", "60")["http"]
    sample = {"truck_id": "B-1", "sampled_at": "2026-01-01T00:00:00Z", "vehicle_speed": 1}
    assert httpx.post(f"{url}/v1/telemetry", json=sample, timeout=60).json()["receipts"][0]["status"] == "accepted"
    done = up.ask("backup", str(tmp_path / "backup"))
    assert done["files"] > 2
    up.kill()
    other = Up(tmp_path / "other machine")
    assert other.ask("restore", str(tmp_path / "backup"))["kept_revoked"] == []
    assert len(other.ask("history", "B-1")) == 1
    verified = subprocess.run([*MILEPOST, "verify", "--data-dir", str(other.folder)], capture_output=True, check=False)
    assert verified.returncode == 0, verified.stderr.decode()


def test_a_restore_over_a_retirement_revives_nobody_and_says_so(tmp_path: Path) -> None:
    registry = LocalRegistry(tmp_path / "data", ProvisioningSettings())
    registry.init()
    registry.add("T1", {})
    serial = registry.issue("T1", certificate_authority.new_key()[1]).id
    back_up(tmp_path / "data", tmp_path / "backup")
    registry.retire("T1")
    registry.close()
    with pytest.raises(Misconfigured, match="--replace"):
        restore(tmp_path / "backup", tmp_path / "data")
    done = restore(tmp_path / "backup", tmp_path / "data", replace=True)
    assert done.kept_revoked == (serial,)
    assert done.replaced
    assert (done.replaced / "provisioning" / "registry.db").exists()
    again = LocalRegistry(tmp_path / "data", ProvisioningSettings())
    again.write_revocations()
    assert again.get("T1").active == ()
    again.close()


def test_a_backup_that_finds_no_room_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "data" / "milepost.db").close()
    command = [*MILEPOST, "backup", str(tmp_path / "backup"), "--data-dir", str(tmp_path / "data")]
    ran = subprocess.run(["bash", "-c", 'ulimit -f 40; exec "$@"', "-", *command], capture_output=True, check=False)
    assert (ran.returncode, b"make room there" in ran.stderr) == (3, True), ran.stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_damaged_backup_and_a_directory_in_use_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("x")
    back_up(tmp_path / "data", tmp_path / "backup")
    with lock(tmp_path / "data"), pytest.raises(Misconfigured, match="in use"):
        restore(tmp_path / "backup", tmp_path / "data", replace=True)
    (tmp_path / "backup" / "file").write_text("y")
    with pytest.raises(Misconfigured, match="damaged"):
        restore(tmp_path / "backup", tmp_path / "data", replace=True)
    assert (tmp_path / "data" / "file").read_text() == "x"
    assert "file" in json.loads((tmp_path / "backup" / "backup.json").read_text())["files"]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    """The URL of a PostgreSQL for orders, with a password in it."""
    with postgresql.cluster() as url:
        yield url.replace("milepost@", "milepost:secret@")


def test_orders_in_postgresql_are_of_the_same_instant_and_come_back_on_an_empty_machine(
    up: Up, shop: str, tmp_path: Path
) -> None:
    """Who writes order, customer, vehicle, sample and click of one number in turn never has a later one alone.

    The model that was learnt before is in the backup, too.
    """
    names = {name: postgresql.database(shop, name) for name in ("before", "after")}
    configs = {name: tmp_path / f"{name}.toml" for name in names}
    for name, url in names.items():
        configs[name].write_text(f'[commerce]\ndatabase = "{url}"\n')
    http = up.start("--trucks", "0", "--shoppers", "0", "--config", str(configs["before"]))["http"]
    for item in ("I1", "I2"):
        view = {"event_id": item, "event_type": "view", "item_id": item, "session_id": "S", "user_id": "U"}
        assert httpx.post(f"{http}/v1/clicks", json=view, timeout=60).status_code == 200
    model = up.ask("recommend", "train", "--config", str(configs["before"]))["version"]
    stop, sold = threading.Event(), threading.Event()

    def sell() -> None:
        for number in range(10_000):
            if stop.is_set():
                return
            line = {"item_id": "I1", "quantity": 1, "price": 2}
            order = {"order_id": f"O-{number}", "customer_id": "C", "currency": "EUR", "lines": [line]}
            assert httpx.post(f"{http}/v1/orders", json=order, timeout=60).status_code == 201
            person, truck = {"name": "N"}, {"plate": "P"}
            assert httpx.put(f"{http}/v1/customers/C-{number}", json=person, timeout=60).is_success
            assert httpx.put(f"{http}/v1/vehicles/T-{number}", json=truck, timeout=60).is_success
            sample = {"truck_id": "T", "sampled_at": instant(), "stream_id": "s", "seq": number + 1, "vehicle_speed": 1}
            assert httpx.post(f"{http}/v1/telemetry", json=sample, timeout=60).status_code == 200
            click = {"event_id": f"O-{number}", "event_type": "purchase", "item_id": "I1"}
            assert httpx.post(f"{http}/v1/clicks", json=click, timeout=60).status_code == 200
            sold.set()

    seller = threading.Thread(target=sell)
    seller.start()
    try:
        assert sold.wait(90)
        assert up.ask("backup", str(tmp_path / "backup"), "--config", str(configs["before"]))["files"] > 2
    finally:
        stop.set()
        seller.join()
    other = Up(tmp_path / "other machine")
    asked = ("--config", str(configs["after"]))
    other.ask("restore", str(tmp_path / "backup"), *asked)
    orders = len(other.ask("orders", "list", *asked))
    people = sum(row.get("name") == "N" for row in other.ask("customers", "list", *asked))
    trucks = len(other.ask("fleet", "list", *asked))
    samples = other.ask("audit", *asked)["trucks"][0]["received"]
    clicks = sum(row["count"] for row in other.ask("clicks", *asked)) - 2  # the views
    counts = [orders, people, trucks, samples, clicks]
    assert counts == sorted(counts, reverse=True), counts
    assert 0 < orders <= clicks + 1, counts
    served = other.ask("recommend", "for", "--item", "I1", *asked)
    assert served["model_version"] == model
    with pytest.raises(Misconfigured, match="has tables"):
        restore(tmp_path / "backup", tmp_path / "third", orders_url=names["after"])
    with pytest.raises(Misconfigured, match=r"set \[commerce\] database"):
        restore(tmp_path / "backup", tmp_path / "third")
    assert not (tmp_path / "third").exists()


def instant() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


CLICK = {"event_id": "E1", "event_type": "view", "timestamp": "2026-01-01T00:00:00Z", "session_id": "S1"}
QUIET = ("--trucks", "0", "--shoppers", "0")
PLACES = """
[collector]
store = 'sqlite:///FOLDER/store.db'
[commerce]
database = 'sqlite:///FOLDER/orders.db'
[lake]
path = 'FOLDER/tables'
"""


@pytest.mark.parametrize("elsewhere", [False, True])
def test_restored_on_an_empty_machine_every_store_agrees(up: Up, tmp_path: Path, elsewhere: bool) -> None:
    """Also where the settings put stores elsewhere; the lake's Iceberg files name the folder that they were in."""

    def settings(name: str) -> tuple[str, str]:
        (tmp_path / name).write_text(PLACES.replace("FOLDER", f"{tmp_path}/{name} places") if elsewhere else "")
        (tmp_path / f"{name} places").mkdir()
        return "--config", str(tmp_path / name)

    here, there = settings("here"), settings("there")
    other = Up(tmp_path / "other")
    url = up.start(*QUIET, *here)["http"]
    sample = {"truck_id": "B-1", "sampled_at": "2026-01-01T00:00:00Z", "stream_id": "s", "seq": 1, "vehicle_speed": 1}
    order = {"order_id": "O-1", "currency": "EUR", "lines": [{"item_id": "I1", "price": 1, "quantity": 1}]}
    assert httpx.post(f"{url}/v1/telemetry", json=sample, timeout=60).status_code == 200
    assert httpx.post(f"{url}/v1/clicks", json=CLICK, timeout=60).status_code == 200
    assert httpx.post(f"{url}/v1/orders", json=order, timeout=60).status_code == 201
    up.ask("lake", "build", *here)
    up.ask("backup", str(tmp_path / "backup"), *here)
    up.end()
    shutil.rmtree(up.folder)
    shutil.rmtree(tmp_path / "here places")
    other.ask("restore", str(tmp_path / "backup"), *there)
    checked = other.ask("lake", "check", *there)
    assert (checked["ok"], checked["build"]) == (True, 1)
    assert {row["table"]: row["lake"] for row in checked["checks"] if row["check"] == "count"}["telemetry"] == 1
    assert other.ask("audit", *there)["trucks"][0]["received"] == 1
    assert [row["order_id"] for row in other.ask("orders", "list", *there)] == ["O-1"]
    assert other.ask("clicks", "--by", "session", *there)[0]["session_id"] == "S1"
    assert (tmp_path / "there places" / "tables" / "catalog.db").exists() is elsewhere


def test_what_was_forgotten_since_the_backup_stays_marked(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    Forgotten(data).add_person(["first"], "2026-01-01T00:00:00.000Z")
    back_up(data, tmp_path / "backup")
    Forgotten(data).add_person(["second", "session"], "2026-01-02T00:00:00.000Z")
    Forgotten(data).add_span(Span("T1", "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"))
    before = Forgotten(data).markers()
    assert restore(tmp_path / "backup", data, replace=True).forgotten_since == 3
    assert Forgotten(data).markers() == before
    assert Forgotten(data).is_forgotten("second", "2026-01-01T00:00:00.000Z")
    assert restore(tmp_path / "backup", tmp_path / "new machine").forgotten_since == 0
