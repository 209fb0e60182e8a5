"""`milepost provision` for many trucks at once, and what it says of those whose time ends."""

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest

from provisioning import certificate_authority
from provisioning.registry import authority_files
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings
from tests.provisioning.cli import Cli
from tests.waiting import until


def test_many_trucks_at_once_by_attribute_list_or_name(cli: Cli, tmp_path: Path) -> None:
    cli("init")
    (tmp_path / "fleet.csv").write_text("truck_id,group\nN1,north\nN2,north\nS1,south\nS2,south\nS3,south\n")
    cli.json("import", "fleet.csv", "--to", "out", "--make-keys")
    assert [one["truck_id"] for one in cli.json("truck", "list", "-w", "group=south", "--limit", 2)] == ["S1", "S2"]
    assert [one["truck_id"] for one in cli.json("truck", "list", "--after", "S1")] == ["S2", "S3"]
    assert cli.json("truck", "retire", "-w", "group=north", "--yes", "--why", "sold")["revoked"] == 2
    assert [one["truck_id"] for one in cli.json("truck", "list", "--state", "retired")] == ["N1", "N2"]
    assert [one["truck_id"] for one in cli.json("status", "-w", "group=south", "--limit", 2)] == ["S1", "S2"]
    assert [one["truck_id"] for one in cli.json("status", "-w", "group=south", "--after", "S1")] == ["S2", "S3"]
    assert [one["truck_id"] for one in cli.json("status", "--note", "retired")] == ["N1", "N2"]
    (tmp_path / "list.txt").write_text("S1\nS2\n")
    assert cli.json("rotate", "--list", "list.txt", "--ask")["trucks"] == ["S1", "S2"]
    lines = cli.json("log", "--limit", 4)
    assert [(one["action"], one["truck_id"], one["why"]) for one in lines] == [
        ("ask_renewal", "S2", ""),
        ("ask_renewal", "S1", ""),
        ("retire", "N2", "sold"),
        ("retire", "N1", "sold"),
    ]
    older = cli.json("log", "--limit", 1, "--before", lines[-1]["id"])
    assert older[0]["id"] == lines[-1]["id"] - 1
    assert cli("truck", "retire", "-w", "group=west", "--yes")[0] == 2
    assert cli("truck", "retire", "S1", "NOBODY", "--yes")[0] == 2  # then nothing is done to any
    assert cli.json("truck", "show", "S1")["state"] == "active"


@pytest.fixture
def fleet(cli: Cli, tmp_path: Path) -> list[str]:
    """Five trucks of two groups with certificates, imported."""
    cli("init")
    (tmp_path / "fleet.csv").write_text("truck_id,group\nN1,north\nN2,north\nS1,south\nS2,south\nS3,south\n")
    cli.json("import", "fleet.csv", "--to", "out", "--make-keys")
    return ["N1", "N2", "S1", "S2", "S3"]


def states(cli: Cli) -> dict[str, str]:
    return {one["truck_id"]: one["state"] for one in cli.json("truck", "list")}


@pytest.mark.parametrize("text", ["S1\n\nN2\n", "depot,truck_id\nx,S1\ny,N2\n", "S1\nN2\nS1\n"])
def test_a_list_of_trucks_is_retired_and_nobody_else(cli: Cli, fleet: list[str], tmp_path: Path, text: str) -> None:
    (tmp_path / "sold").write_text(text)
    done = cli.json("truck", "retire", "--list", "sold", "--yes", "--why", "sold")
    assert (done["trucks"], done["revoked"], done["failed"]) == (["S1", "N2"], 2, {})
    assert {name for name, state in states(cli).items() if state == "retired"} == {"S1", "N2"}


def test_a_list_that_names_a_stranger_retires_nobody(cli: Cli, fleet: list[str], tmp_path: Path) -> None:
    (tmp_path / "sold").write_text("S1\nNOBODY\n")
    code, _, err = cli("truck", "retire", "--list", "sold", "--yes")
    assert (code, "NOBODY" in err) == (2, True)
    assert set(states(cli).values()) == {"active"}


def test_the_trucks_of_a_group_are_asked_to_renew_and_nobody_else(cli: Cli, fleet: list[str]) -> None:
    assert cli.json("rotate", "-w", "group=south", "--ask")["trucks"] == ["S1", "S2", "S3"]
    asked = [one["truck_id"] for one in cli.json("log", "--action", "ask_renewal")]
    assert asked == ["S3", "S2", "S1"]


def test_the_older_certificates_of_a_group_are_revoked_together(cli: Cli, fleet: list[str]) -> None:
    for name in fleet:
        cli.json("bundle", name, "--to", f"{name}-2", "--make-key")
    assert cli.json("rotate", "--where", "group=north", "--finish", "--yes")["revoked"] == 2
    active = dict.fromkeys(fleet, 0)
    for one in cli.json("truck", "list"):
        active[one["truck_id"]] = sum(certificate["state"] == "active" for certificate in one["certificates"])
    assert active == {"N1": 1, "N2": 1, "S1": 2, "S2": 2, "S3": 2}


def exported(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["truck_id"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("which", [("-w", "group=north"), ("--list", "some"), ()])
def test_an_export_holds_the_certificates_of_the_trucks_that_were_asked_for(
    cli: Cli, fleet: list[str], tmp_path: Path, which: tuple[str, ...]
) -> None:
    (tmp_path / "some").write_text("N1\nN2\n")
    code, out, _ = cli("export", "some.csv", *which)
    wanted = ["N1", "N2"] if which else fleet
    assert (code, out) == (0, f"{len(wanted)} trucks written to some.csv\n")
    rows = exported(tmp_path / "some.csv")
    assert list(rows) == wanted
    for name, row in rows.items():
        (certificate,) = cli.json("truck", "show", name)["certificates"]
        assert (row["certificate"], row["not_after"]) == (certificate["id"], certificate["not_after"])
        pem = (tmp_path / "out" / name / "identity" / "current" / "certificate.pem").read_text()
        assert certificate_authority.described(pem).serial == row["certificate"]
    assert (tmp_path / "some.csv").stat().st_mode & 0o777 == 0o600


def test_an_export_of_what_is_not_there_writes_nothing(cli: Cli, fleet: list[str], tmp_path: Path) -> None:
    (tmp_path / "some").write_text("N1\nNOBODY\n")
    for which in (("--list", "some"), ("-w", "group=west"), ("--list", "some", "-w", "group=north")):
        assert cli("export", "some.csv", *which)[0] == 2
    assert not (tmp_path / "some.csv").exists()


def test_an_export_can_be_imported_elsewhere_and_says_the_same_there(
    cli: Cli, fleet: list[str], tmp_path: Path
) -> None:
    """What the registry itself keeps does not become an attribute."""
    assert cli("export", "fleet-2.csv")[0] == 0
    cli("init", "--data-dir", "elsewhere")
    done = cli.json("import", "fleet-2.csv", "--data-dir", "elsewhere")
    assert (done["trucks"], done["new"]) == (5, 5)
    for one in cli.json("truck", "list", "--data-dir", "elsewhere"):
        assert one["attributes"] == {"group": "north" if one["truck_id"][0] == "N" else "south"}
    assert cli("export", "again.csv", "--data-dir", "elsewhere")[0] == 0
    header = (tmp_path / "again.csv").read_text().splitlines()[0]
    assert header == "truck_id,state,added_at,last_seen,certificate,not_after,group"


def test_a_file_with_a_column_that_an_export_has_too_keeps_it_as_an_attribute(cli: Cli, tmp_path: Path) -> None:
    cli("init")
    (tmp_path / "fleet.csv").write_text("truck_id,state\nT1,Texas\n")
    cli.json("import", "fleet.csv")
    assert cli.json("truck", "show", "T1")["attributes"] == {"state": "Texas"}
    code, out, _ = cli("export", "-")
    assert (code, out.splitlines()[0]) == (0, "truck_id,state,added_at,last_seen,certificate,not_after")


def test_a_truck_whose_certificate_has_ended_is_named_and_status_fails(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("init")
    cli.json("truck", "add", "GOOD")
    cli.json("bundle", "GOOD", "--to", "good", "--make-key")
    cli.json("truck", "add", "LATE")
    monkeypatch.setenv("MILEPOST_PROVISIONING__CERTIFICATE_DAYS", "0.00001")  # 0.9 s
    cli.json("bundle", "LATE", "--to", "late", "--make-key")
    (certificate,) = cli.json("truck", "show", "LATE")["certificates"]
    until(lambda: datetime.now(UTC) > datetime.fromisoformat(certificate["not_after"]))
    code, out, err = cli("status")
    assert (code, err) == (1, "milepost provision: expired: LATE\n")
    (line,) = [line for line in out.splitlines() if "LATE" in line]
    assert "expired" in line
    assert cli.json("truck", "retire", "LATE", "--yes")
    assert cli("status")[0] == 0  # a retired truck's end is no news


@pytest.mark.parametrize(
    ("constant", "file", "said"),
    [
        ("SERVER_DAYS", "server.pem", "server.pem ends on {}: `milepost up` renews it"),
        ("AUTHORITY_DAYS", "ca.pem", "the CA ends on {}: `milepost provision ca rotate` makes"),
    ],
)
def test_a_server_or_ca_certificate_near_its_end_is_named_and_status_fails(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, constant: str, file: str, said: str
) -> None:
    """Within the given days; a CA within a year, since changing it takes long."""
    module, days = (authority_files, 10) if constant == "SERVER_DAYS" else (certificate_authority, 300)
    monkeypatch.setattr(module, constant, days)
    cli("init")
    end = certificate_authority.ends_at((Path("milepost-data/provisioning") / file).read_text())
    code, _, err = cli("status")
    assert (code, f"milepost provision: {said.format(end.date())}" in err) == (1, True), err


def test_metrics_count_what_has_ended_what_ends_soon_and_what_seems_cloned(tmp_path: Path) -> None:
    """As `/metrics` shows them; a retired truck is none of them."""
    for truck_id, days in (("ENDED", 0.00001), ("GONE", 0.00001), ("ENDING", 10.0), ("GOOD", 90.0), ("CLONED", 90.0)):
        registry = LocalRegistry(tmp_path, ProvisioningSettings(certificate_days=days))
        registry.init()
        registry.add(truck_id, {})
        registry.issue(truck_id, certificate_authority.new_key()[1])
        registry.close()
    registry.retire("GONE")
    registry.note("clone_suspected", "CLONED")
    until(lambda: registry.figures()["trucks_ended"])
    found = registry.figures()
    counted = {name: found[name] for name in ("trucks", "trucks_ended", "trucks_ending", "trucks_cloned")}
    assert counted == {"trucks": 4, "trucks_ended": 1, "trucks_ending": 1, "trucks_cloned": 1}
    registry.close()
