"""`milepost provision import`, killed at random points and run again: every truck once, one active certificate each."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from contract.errors import Misconfigured
from provisioning import certificate_authority
from provisioning.csv_import import read_fleet
from provisioning.registry import Registry
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings
from tests.provisioning.aws import CREDENTIALS, Ministack
from tests.provisioning.gate import Gate

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments: object, folder: Path, **variables: str) -> "subprocess.Popen[bytes]":
    """`milepost provision …` as a process of its own."""
    argv = [sys.executable, "-m", "milepost", "provision", *map(str, arguments)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(folder), **variables}
    return subprocess.Popen(argv, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finished(process: "subprocess.Popen[bytes]") -> Any:
    """Its JSON."""
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err.decode()
    return json.loads(out)


def fleet_file(folder: Path, count: int, prefix: str) -> Path:
    path = folder / "fleet.csv"
    lines = [f"{prefix}{n},depot-{n % 7}" for n in range(count)]
    path.write_text("\n".join(["truck_id,depot", *lines]) + "\n")
    return path


def killed_and_run_again(folder: Path, count: int, kills: int, seed: int, **variables: str) -> Any:
    """Import, SIGKILLed `kills` times at random moments of its work, then left alone."""
    chance = random.Random(seed)
    arguments = ("import", "fleet.csv", "--to", "out", "--make-keys", "--json")
    points = []
    for _ in range(kills):
        before = _bundles(folder)
        process = command(*arguments, folder=folder, **variables)
        goal = before + chance.randint(1, max(1, (count - before) // (kills + 1) * 2))
        while _bundles(folder) < goal and process.poll() is None:
            time.sleep(chance.random() * 0.02)
        process.kill()
        process.communicate()
        points.append(_bundles(folder))
    done = finished(command(*arguments, folder=folder, **variables))
    print(f"killed with {points} of {count} bundles there; last run: {done}")
    assert points[-1] < count
    return done


def _bundles(folder: Path) -> int:
    out = folder / "out"
    return sum(1 for _ in out.iterdir()) if out.exists() else 0


def balanced(registry: Registry, folder: Path, count: int, prefix: str) -> None:
    """Exactly `count` trucks, one active certificate each, and it is the one in the bundle, for the bundle's key."""
    trucks = [truck for truck in registry.trucks() if truck.truck_id.startswith(prefix)]
    assert len(trucks) == count
    assert {len(truck.active) for truck in trucks} == {1}
    for truck in trucks:
        identity = folder / "out" / truck.truck_id / "identity"
        assert truck.certificates[0].pem == (identity / "1/certificate.pem").read_text()
        key = (identity / "1/key.pem").read_bytes()
        assert (
            certificate_authority.key_hash(certificate_authority.read_csr(certificate_authority.request_for(key)))
            == truck.active[0].key_hash
        )
        assert (identity / "1/key.pem").stat().st_mode & 0o777 == 0o600


def local(folder: Path, count: int, kills: int) -> None:
    registry = LocalRegistry(folder / "milepost-data", ProvisioningSettings())
    registry.init()
    fleet_file(folder, count, "T")
    killed_and_run_again(folder, count, kills, seed=count)
    balanced(registry, folder, count, "T")
    again = finished(command("import", "fleet.csv", "--to", "out", "--make-keys", "--json", folder=folder))
    assert again == {"trucks": count, "new": 0, "certificates": 0, "failed": {}}
    assert len(list(registry._db.execute("SELECT 1 FROM certificates"))) == count
    registry.close()


def test_killed_at_random_points_an_import_ends_whole(tmp_path: Path) -> None:
    local(tmp_path, 300, kills=4)


@pytest.mark.prove
@pytest.mark.timeout(900)
def test_two_thousand_trucks_and_twenty_kills(tmp_path: Path) -> None:
    local(tmp_path, 2000, kills=20)


def on_aws(ministack: Ministack, folder: Path, *, count: int, kills: int, per_second: float) -> None:
    """Through a gate that throttles and loses answers."""
    prefix = f"import-{count}-"
    registry = ministack.registry(folder / "milepost-data", prefix)
    registry.init()
    fleet_file(folder, count, prefix)
    certificates = len(registry.iot.pages("list_certificates", "certificates", pageSize=250))
    with Gate(ministack.url, per_second=per_second, loses=0.02, seed=count) as gate:
        settings = dict(ministack.settings(prefix)) | {"endpoint_url": gate.url}
        variables = {f"MILEPOST_PROVISIONING__{key.upper()}": str(value) for key, value in settings.items() if value}
        variables["MILEPOST_PROVISIONING__RULES"] = "[]"
        killed_and_run_again(folder, count, kills, seed=count, **variables, **CREDENTIALS)
    print(f"{gate.calls} calls, {gate.throttled} throttled, {gate.lost} answers lost")
    assert gate.throttled > count / 10
    assert gate.lost > 0
    balanced(registry, folder, count, prefix)
    made = len(registry.iot.pages("list_certificates", "certificates", pageSize=250)) - certificates
    assert made == count, "a certificate that nobody owns was left"
    assert not list((registry.folder / "attempts").iterdir())


def test_killed_at_random_points_throttled_and_unanswered_an_import_to_aws_ends_whole(
    ministack: Ministack, tmp_path: Path
) -> None:
    on_aws(ministack, tmp_path, count=20, kills=3, per_second=10)


@pytest.mark.prove
@pytest.mark.timeout(3000)
def test_two_thousand_trucks_to_aws_and_ten_kills(ministack: Ministack, tmp_path: Path) -> None:
    on_aws(ministack, tmp_path, count=2000, kills=10, per_second=40)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "one of them truck_id"),
        ("name\nT1\n", "one of them truck_id"),
        ("truck_id\nT1\nT1\n", "line 3: T1 stands in line 2 already"),
        ("truck_id\nT 1\n", "line 2: truck_id: 'T 1'"),
        ("truck_id\nT1\nTr\u00fcck\n", "line 3: truck_id: 'Tr\u00fcck'"),
        ("truck_id\nmilepost-admin\n", "line 2: truck_id: 'milepost-admin'.* the box's own"),
        ("truck_id,csr\nT1,missing.csr\n", "line 2: csr 'missing.csr': No such file"),
        ("truck_id,csr\nT1,fleet.csv\n", "line 2: csr: not a PKCS #10 request"),
        ("truck_id,depot\nT1,north,east\n", "line 2: has more values than there are columns"),
        ("truck_id,depot,depot\nT1,north,east\n", "names depot twice"),
        ('truck_id,depot\nT1,north\n"T2', "cannot be read as CSV"),  # cut off within a value
    ],
)
def test_a_wrong_file_is_refused_whole_and_says_where(
    registry: LocalRegistry, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "fleet.csv").write_text(text)
    with pytest.raises(Misconfigured, match=message):
        read_fleet(tmp_path / "fleet.csv", registry.check)


def test_a_spreadsheets_file_is_read_as_it_is(registry: LocalRegistry, tmp_path: Path) -> None:
    """A byte order mark, CRLF, blank lines and short rows."""
    (tmp_path / "fleet.csv").write_bytes(b"\xef\xbb\xbftruck_id,depot\r\nT1,K\xc3\xb6ln\r\n\r\nT2\r\n")
    rows = read_fleet(tmp_path / "fleet.csv", registry.check)
    assert [(row.truck_id, row.attributes) for row in rows] == [("T1", {"depot": "K\u00f6ln"}), ("T2", {})]
