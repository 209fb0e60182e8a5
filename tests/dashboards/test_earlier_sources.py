"""The sources of the earlier system: marts on Snowflake (fakesnow's server), the store on DynamoDB (ministack)."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pandas.testing import assert_frame_equal  # type: ignore[import-untyped]

from contract.ports import can_listen, free_port
from dashboards.panels.sql import for_snowflake, literal, select
from dashboards.panels.views import PANELS
from dashboards.streamlit_app.source import DashboardSource
from tests import ministack
from tests.collector.stores.cloud import Cloud
from tests.dashboards.demo import LAST, Demo, arrivals
from tests.dashboards.panel_table import Marts, Shown, table
from tests.dashboards.test_panels import WHOLE
from tests.dashboards.test_streamlit import run
from tests.processes import end
from warehouse.engines.snowflake import SnowflakeEngine
from warehouse.read import plain_rows
from warehouse.settings import WarehouseSettings

_PYTHON = Path(__file__).parents[2] / ".venv-snowflake" / "bin" / "python"
_ASK = """
import datetime, json, sys
import snowflake.connector
asked = json.load(sys.stdin)
cursor = snowflake.connector.connect(**asked["connection"]).cursor()
cursor.execute("USE SCHEMA marts")
answers = []
for sql in asked["queries"]:
    try:
        rows = cursor.execute(sql).fetchall()
        answers.append({"names": [each[0].lower() for each in cursor.description], "rows": rows})
    except Exception as error:
        answers.append({"error": str(error)})
def plain(value):
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    if isinstance(value, datetime.date):
        return value.isoformat()
    return int(value) if value == value.to_integral_value() else float(value)
print(json.dumps(answers, default=plain))
"""
"""Many queries over one connection; `milepost` itself takes a process for each."""


@pytest.fixture(scope="module")
def snowflake(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the marts on fakesnow."""
    if not _PYTHON.exists():
        pytest.skip("no .venv-snowflake here: `make .venv-snowflake/ready`")
    port = free_port()
    with (tmp_path_factory.mktemp("snowflake") / "log").open("wb") as log:
        server = subprocess.Popen([_PYTHON, "-m", "fakesnow", "-s", "-p", str(port)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while can_listen(port):
            assert time.monotonic() < deadline
            assert server.poll() is None
            time.sleep(0.1)
        url = f"snowflake://u:p@fakesnow/MILEPOST?host=127.0.0.1&port={port}&protocol=http&schema=PUBLIC"
        demo.build_on(SnowflakeEngine(url, _PYTHON))
        yield url
    finally:
        end(server)


def _asked(url: str, queries: list[str]) -> dict[str, dict[str, Any]]:
    port = int(url.partition("port=")[2].partition("&")[0])
    connection = {
        "account": "fakesnow", "user": "u", "password": "p", "database": "MILEPOST", "host": "127.0.0.1",
        "port": port, "protocol": "http", "schema": "PUBLIC", "session_parameters": {"TIMEZONE": "UTC"},
    }  # fmt: skip
    done = subprocess.run(
        [_PYTHON, "-c", _ASK], input=json.dumps({"connection": connection, "queries": queries}), text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    return dict(zip(queries, json.loads(done.stdout), strict=True))


@pytest.mark.prove
def test_every_panel_on_snowflake_shows_the_marts_numbers(snowflake: str) -> None:
    shown = [Shown("Snowflake", "", panel, for_snowflake(select(panel, WHOLE)), WHOLE) for panel in PANELS.values()]
    marts = {panel.mart for panel in PANELS.values()} | {p.beside.mart for p in PANELS.values() if p.beside}
    queries = [each.sql for each in shown] + [f"SELECT * FROM {mart}" for mart in marts]
    held = _asked(snowflake, queries)

    def ask(sql: str) -> list[dict[str, Any]]:
        answer = held[sql]
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return plain_rows([dict(zip(answer["names"], row, strict=True)) for row in answer["rows"]])

    lines = table(shown, Marts(ask))
    assert [(line.panel, line.fault) for line in lines if line.fault] == []
    valued = {line.panel for line in lines if line.value is not None}
    assert set(PANELS) - valued <= {"routes_day"}


@pytest.mark.prove
def test_the_pages_read_snowflake_and_dynamodb(snowflake: str, demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud()
    cloud.now = LAST.timestamp() + 86_400
    cloud.ingest.ingest(arrivals())
    for name, value in {**ministack.CREDENTIALS, "AWS_ENDPOINT_URL": ministack.shared()}.items():
        monkeypatch.setenv(name, value)
    aws = DashboardSource(demo.folder, f"dynamodb://{cloud.prefix}", WarehouseSettings(engine=snowflake))
    local = DashboardSource(demo.folder, f"sqlite:///{demo.folder / 'milepost.db'}")
    try:
        for title in ("Campaigns", "Store now"):
            theirs, ours = run(aws, title), run(local, title)
            assert [each.value for each in theirs.error] == []
            assert [each.value for each in theirs.subheader] == [each.value for each in ours.subheader]
            for one, other in zip(theirs.dataframe, ours.dataframe, strict=True):
                assert_frame_equal(one.value, other.value, check_dtype=False)
    finally:
        cloud.close()


@pytest.mark.prove
def test_a_snowflake_that_is_away_is_named(demo: Demo) -> None:
    nobody = f"snowflake://u:geheim@fakesnow/X?host=127.0.0.1&port={free_port()}&protocol=http&login_timeout=2"
    shown = run(DashboardSource(demo.folder, "sqlite:///none.db", WarehouseSettings(engine=nobody)), "Customers")
    assert "no connection" in shown.error[0].value
    assert "geheim" not in shown.error[0].value


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ((), "Connection refused; tried 8 times. Tried again every 30 s."),
        (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "no AWS credentials: run aws configure"),
        (("AWS_REGION", "AWS_DEFAULT_REGION"), "no AWS region: set AWS_REGION"),
    ],
    ids=["away", "no credentials", "no region"],
)
def test_a_dynamodb_that_is_away_is_named_with_the_remedy(
    without: tuple[str, ...], said: str, demo: Demo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The page of the store says so; those of the marts go on. The port is taken, and nobody listens there."""
    away = DashboardSource(demo.folder, "dynamodb://milepost")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{taken.getsockname()[1]}"}
        files = {"AWS_CONFIG_FILE": str(tmp_path / "none"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
        for name, value in {**ministack.CREDENTIALS, **nobody, **files}.items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_PROFILE", *without):
            monkeypatch.delenv(name, raising=False)
        shown = run(away, "Store now")
    assert len(shown.error) == 1
    assert shown.error[0].value.startswith("The store dynamodb://milepost cannot be read: ")
    assert said in shown.error[0].value
    assert [each.value for each in run(away, "Campaigns").error] == []


@pytest.mark.prove
def test_a_dynamodb_without_the_tables_says_what_it_looked_for(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ministack.CREDENTIALS, "AWS_ENDPOINT_URL": ministack.shared()}.items():
        monkeypatch.setenv(name, value)
    shown = run(DashboardSource(demo.folder, "dynamodb://nobody"), "Store now")
    assert [each.value for each in shown.info] == ["Nothing yet in dynamodb://nobody."] * 2


def test_only_names_are_made_upper_case() -> None:
    sql = f"""SELECT "day" FROM x WHERE "to" IN ({literal('a "day" of')})"""
    assert for_snowflake(sql) == """SELECT "DAY" FROM x WHERE "TO" IN ('a "day" of')"""
