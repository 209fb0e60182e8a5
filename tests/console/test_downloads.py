"""Tables and tracks as files: what the reader of each format sees is what the API says."""

import csv
import io
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest

from console import downloads
from contract import timestamps
from contract.errors import Rejected
from tests.console.records import SCRIPT
from tests.contract.examples import RECEIVED_MS
from tests.milepost_here import run

GPX, KML = "{http://www.topografix.com/GPX/1/1}", "{http://www.opengis.net/kml/2.2}"
EVIL = '=HYPERLINK("http://attacker.example")'


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    """A warehouse with the marts of two stops and a trip, in the types that the models give."""
    duckdb = pytest.importorskip("duckdb", reason="pip install 'milepost[warehouse]'")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as db:
        db.execute("CREATE SCHEMA marts")
        db.execute("CREATE SCHEMA base")
        db.execute(
            "CREATE TABLE marts.truck_stop AS SELECT * FROM (VALUES"
            " ('T1', TIMESTAMP '2026-01-01 10:00', TIMESTAMP '2026-01-01 10:20', 52.5, 13.4, 3.5),"
            " ('T1', TIMESTAMP '2026-01-02 10:00', TIMESTAMP '2026-01-02 10:20', NULL, NULL, 0),"
            " ('T2', TIMESTAMP '2026-01-01 10:00', TIMESTAMP '2026-01-01 10:20', 52.6, 13.5, 0))"
            " AS t(truck_id, stop_start, stop_end, latitude, longitude, idle_min)"
        )
    return tmp_path


def test_stops_are_the_marts_in_every_format(url: str, warehouse: Path) -> None:
    path = f"{url}/api/v1/trucks/T1/stops"
    period = {"from": "2026-01-01T10:10:00Z", "to": "2026-01-02T00:00:00Z"}
    [stop] = httpx.get(path, params=period, timeout=60).json()
    assert (stop["stop_start"], stop["idle_min"]) == ("2026-01-01T10:00:00.000Z", 3.5)
    [row] = csv.DictReader(io.StringIO(httpx.get(path, params={**period, "format": "csv"}, timeout=60).text))
    assert row == {name: str(value) for name, value in stop.items()}
    answer = httpx.get(path, params={**period, "format": "gpx"}, timeout=60)
    assert answer.headers["content-disposition"] == 'attachment; filename="T1-stops.gpx"'
    [point] = ElementTree.fromstring(answer.content).iter(f"{GPX}wpt")
    assert (float(point.get("lat", 0)), float(point.get("lon", 0))) == (52.5, 13.4)
    kml = httpx.get(path, params={"from": "2026-01-01T00:00:00Z", "format": "kml"}, timeout=60).content
    assert len([*ElementTree.fromstring(kml).iter(f"{KML}Point")]) == 1  # a stop without a place has none
    assert httpx.get(path, params={"format": "pdf"}, timeout=60).status_code == 422
    assert httpx.get(f"{url}/api/v1/trucks/T1'%20OR%20'1/stops", timeout=60).status_code == 422
    assert httpx.get(f"{url}/api/v1/trucks/T1/trips", timeout=60).status_code == 404  # this warehouse has no such mart


def test_the_commands_give_the_same(url: str, warehouse: Path) -> None:
    period = ("--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T12:00:00Z", "--data-dir", str(warehouse))
    asked = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T12:00:00Z"}
    for format in ("csv", "gpx", "kml"):
        file = httpx.get(f"{url}/api/v1/trucks/T1/stops", params={**asked, "format": format}, timeout=60).content
        assert run("stops", "T1", *period, "--format", format).out == file
    assert (
        run("stops", "T1", *period, "--json").json
        == httpx.get(f"{url}/api/v1/trucks/T1/stops", params=asked, timeout=60).json()
    )
    assert run("trips", "T1", *period, "--format", "gpx").code == 2


def test_a_track_is_where_the_samples_were(url: str) -> None:
    period = {"from": timestamps.from_ms(RECEIVED_MS - 7_200_000), "to": timestamps.from_ms(RECEIVED_MS)}
    samples = httpx.get(f"{url}/api/v1/trucks/T1/signals", params=period, timeout=60).json()
    gpx = ElementTree.fromstring(httpx.get(f"{url}/api/v1/trucks/T1/track", params=period, timeout=60).content)
    points = [(point.findtext(f"{GPX}time"), float(point.get("lat", 0))) for point in gpx.iter(f"{GPX}trkpt")]
    assert points == [(each["sampled_at"], each["gps_location"]["latitude"]) for each in samples]
    kml = ElementTree.fromstring(
        httpx.get(f"{url}/api/v1/trucks/T1/track", params={**period, "format": "kml"}, timeout=60).content
    )
    line = next(kml.iter(f"{KML}coordinates")).text or ""
    assert len(line.split()) == len(samples) == 10


def test_any_list_comes_as_a_file(url: str) -> None:
    letters = httpx.get(f"{url}/api/v1/dead-letters", timeout=60).json()["dead_letters"]
    rows = [*csv.DictReader(io.StringIO(httpx.get(f"{url}/api/v1/dead-letters?format=csv", timeout=60).text))]
    assert [row["id"] for row in rows] == [letter["id"] for letter in letters]
    assert SCRIPT in rows[0]["payload"]
    assert httpx.get(f"{url}/api/v1/alerts?format=xlsx", timeout=60).content[:2] == b"PK"
    assert httpx.get(f"{url}/api/v1/shop?format=csv", timeout=60).status_code == 422


def test_what_strangers_sent_is_no_formula_in_a_spreadsheet() -> None:
    from openpyxl import load_workbook

    rows = [{"name": EVIL, "at": "2026-01-01T00:00:00.000Z", "size": -1.5, "more": {"list": [1, None]}}]
    sheet = load_workbook(io.BytesIO(downloads.table("t", "xlsx", rows).body)).active
    assert sheet is not None
    header, [name, at, size, listed] = [[*row] for row in sheet.iter_rows()]
    assert [cell.value for cell in header] == ["name", "at", "size", "more.list"]
    assert (name.value, name.data_type, size.value, listed.value) == (EVIL, "s", -1.5, "[1,null]")
    assert at.is_date
    [row] = csv.DictReader(io.StringIO(downloads.table("t", "csv", rows).body.decode()))
    assert (row["name"], row["size"]) == (f"'{EVIL}", "-1.5")
    with pytest.raises(Rejected):
        downloads.table("t", "gpx", rows)
