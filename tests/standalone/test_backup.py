"""Backup while the service runs, and restore: everything acknowledged before it is in it, and nobody is revived."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

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
    assert httpx.post(f"{url}/v1/telemetry", json=sample).json()["receipts"][0]["status"] == "accepted"
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
    """A shop that writes an order and then a click of the same number never has the later one alone."""
    names = {name: postgresql.database(shop, name) for name in ("before", "after")}
    configs = {name: tmp_path / f"{name}.toml" for name in names}
    for name, url in names.items():
        configs[name].write_text(f'[commerce]\ndatabase = "{url}"\n')
    http = up.start("--trucks", "0", "--shoppers", "0", "--config", str(configs["before"]))["http"]
    stop = threading.Event()

    def sell() -> None:
        for number in range(10_000):
            if stop.is_set():
                return
            line = {"item_id": "I1", "quantity": 1, "price": 2}
            order = {"order_id": f"O-{number}", "customer_id": "C", "currency": "EUR", "lines": [line]}
            assert httpx.post(f"{http}/v1/orders", json=order).status_code == 201
            click = {"event_id": f"O-{number}", "event_type": "purchase", "item_id": "I1"}
            assert httpx.post(f"{http}/v1/clicks", json=click).status_code == 200

    seller = threading.Thread(target=sell)
    seller.start()
    time.sleep(1)
    try:
        assert up.ask("backup", str(tmp_path / "backup"), "--config", str(configs["before"]))["files"] > 2
    finally:
        stop.set()
        seller.join()
    other = Up(tmp_path / "other machine")
    asked = ("--config", str(configs["after"]))
    other.ask("restore", str(tmp_path / "backup"), *asked)
    orders = len(other.ask("orders", "list", *asked))
    clicks = sum(row["count"] for row in other.ask("clicks", *asked))
    assert orders > 0
    assert 0 <= orders - clicks <= 1
    with pytest.raises(Misconfigured, match="has tables"):
        restore(tmp_path / "backup", tmp_path / "third", orders_url=names["after"])
    with pytest.raises(Misconfigured, match=r"set \[commerce\] database"):
        restore(tmp_path / "backup", tmp_path / "third")
    assert not (tmp_path / "third").exists()


def test_a_lake_cannot_move_and_is_left_out_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "data" / "lake").mkdir(parents=True)
    (tmp_path / "data" / "lake" / "part.parquet").write_text("x")
    back_up(tmp_path / "data", tmp_path / "backup")
    assert restore(tmp_path / "backup", tmp_path / "other").lake_left_out
    assert not (tmp_path / "other" / "lake").exists()
    assert not restore(tmp_path / "backup", tmp_path / "data", replace=True).lake_left_out
    assert (tmp_path / "data" / "lake" / "part.parquet").exists()


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
