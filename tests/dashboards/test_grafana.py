"""Grafana's dashboards: generated, conventional, and every number the mart's on a real PostgreSQL."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlglot
import yaml

from contract.errors import Misconfigured
from dashboards.grafana.alerting import DATASOURCE_UID, PROMETHEUS_RULES, PROMETHEUS_UID
from dashboards.grafana.generate import FOLDER, files
from dashboards.panels.sql import Choice
from dashboards.panels.views import GRAFANA
from tests.dashboards.demo import FIRST, LAST, TRUCKS, Demo
from tests.dashboards.grafana_files import documents, expanded, shown
from tests.dashboards.panel_table import Marts, query_of, table
from tests.postgresql import cluster
from warehouse.engines.postgresql import PostgresEngine
from warehouse.read import plain_rows

WHOLE = Choice(FIRST.date(), LAST.date())
SOME = Choice(
    FIRST.date() + timedelta(days=1), FIRST.date() + timedelta(days=3),
    {"truck_id": TRUCKS[:2], "item_id": ["ITEM-1", "ITEM-3"]},
)  # fmt: skip
EVER = Choice(FIRST.date(), FIRST.date().replace(year=2099))  # a build is of the day it is made
ALL_TRUCKS = Choice(WHOLE.first, WHOLE.last, {"truck_id": TRUCKS})  # the dashboard Truck has no "All"
SQL = [("postgresql", name) for name in GRAFANA] + [("athena", name) for name in GRAFANA]


def made_role(url: str, password: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dashboards.reader_role", url]
    environ = {**os.environ, "READER_PASSWORD": password}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def reader(demo: Demo) -> Iterator[PostgresEngine]:
    """The marts on PostgreSQL, read by the role that their owner makes, who may make roles and is no superuser."""
    with cluster() as superuser:
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute("CREATE ROLE owner LOGIN CREATEROLE")
            connection.execute("CREATE ROLE stranger LOGIN")
            connection.execute("GRANT CREATE ON DATABASE postgres TO owner, stranger")
        url = superuser.replace("milepost@", "owner@")
        assert made_role(url, "too early").returncode == 1  # there are no marts yet
        demo.build_on(PostgresEngine(url))
        refused = made_role(superuser.replace("milepost@", "stranger@"), "mine")
        assert (refused.returncode, "CREATEROLE" in refused.stderr) == (1, True)
        assert "milepost_reader made" in made_role(url, "first").stdout
        assert "has a new password" in made_role(url, "geheim").stdout
        assert made_role(superuser.replace("milepost@", "milepost_reader:geheim@"), "mine").returncode == 1
        demo.build_on(PostgresEngine(url))  # a build after the role exists takes nothing from it
        yield PostgresEngine(superuser.replace("milepost@", "milepost_reader:geheim@"))


@pytest.fixture(scope="module")
def marts(reader: PostgresEngine) -> Marts:
    return Marts(lambda sql: plain_rows(reader.query(sql)))


def test_the_files_are_those_that_are_generated() -> None:
    made = files()
    on_disk = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.json")}
    assert on_disk == {name for name in made if name.endswith(".json")}
    drifted = [name for name, text in made.items() if (FOLDER / name).read_text(encoding="utf-8") != text]
    assert drifted == [], "run python -m dashboards.grafana.generate"


@pytest.mark.parametrize("choice", [ALL_TRUCKS, SOME], ids=["all", "chosen"])
def test_every_panel_on_postgresql_shows_the_marts_numbers(choice: Choice, marts: Marts) -> None:
    lines = table(shown("postgresql", choice), marts)
    assert len({(line.page, line.panel) for line in lines}) == sum(map(len, GRAFANA.values()))
    assert [(line.page, line.panel, line.fault) for line in lines if line.fault] == []


def test_all_means_all(marts: Marts) -> None:
    """Where nothing is chosen the variable's own subquery stands in the SQL. In Truck something always is."""
    lines = table(shown("postgresql", WHOLE, leave_out="truck"), marts)
    assert lines
    assert [(line.page, line.panel, line.fault) for line in lines if line.fault] == []


def test_every_panel_on_athena_shows_the_marts_numbers(demo: Demo) -> None:
    """Athena does not run here: its SQL is translated for DuckDB."""
    ask = query_of(demo.folder)
    translated = Marts(lambda sql: ask(sqlglot.transpile(sql, read="athena", write="duckdb")[0]))
    lines = table(shown("athena", ALL_TRUCKS), translated)
    assert lines
    assert [(line.page, line.panel, line.fault) for line in lines if line.fault] == []


def test_variables_annotations_and_alert_rules_ask_what_is_there(reader: PostgresEngine) -> None:
    for document in documents("postgresql").values():
        for variable in document["templating"]["list"]:
            if variable["type"] == "query":
                assert reader.query(variable["query"])
        for annotation in document["annotations"]["list"][1:]:
            sql = expanded(annotation["target"]["rawSql"], EVER, {})
            assert {"time", "text"} <= set(reader.query(sql)[0])
    rules = json.loads(files()["provisioning/alerting/milepost.yaml"])["groups"][0]["rules"]
    assert {data["datasourceUid"] for rule in rules for data in rule["data"]} == {DATASOURCE_UID, "__expr__"}
    told = {rule["uid"]: plain_rows(reader.query(rule["data"][0]["model"]["rawSql"]))[0] for rule in rules}
    numbers = {uid: next(iter(row.values())) for uid, row in told.items()}
    late = [row["late_min"] > 0 for row in reader.query("SELECT late_min FROM delivery WHERE late_min IS NOT NULL")]
    assert numbers["milepost-late"] == pytest.approx(sum(late) / len(late))
    assert (numbers["milepost-brakes"], numbers["milepost-samples-lost"]) == (1, 0)
    assert numbers["milepost-fuel-drop"] == len(reader.query("SELECT 1 FROM fuel_event WHERE suspicious"))
    assert numbers["milepost-quality"] == len(reader.query("SELECT 1 FROM quality_run WHERE verdict <> 'ok'"))


def test_the_role_of_the_readers_reads_the_marts_and_nothing_else(reader: PostgresEngine) -> None:
    assert reader.query("SELECT * FROM truck_day")
    for wrong in (
        "DELETE FROM truck_day",
        "CREATE TABLE marts.x (y int)",
        "SELECT * FROM pg_authid",
        "SET default_transaction_read_only = off; DELETE FROM truck_day",
        "CREATE ROLE other",
    ):
        with pytest.raises(Misconfigured, match="refuses"):
            reader.query(wrong)


@pytest.mark.parametrize("key", ["postgresql", "athena", "prometheus", "cloudwatch"])
def test_the_conventions(key: str) -> None:
    uids = [
        document["uid"]
        for each in ("postgresql", "athena", "prometheus", "cloudwatch")
        for document in documents(each).values()
    ]
    assert len(set(uids)) == len(uids)
    assert documents(key)
    for path, document in documents(key).items():
        assert document["tags"] == ["milepost", key]
        assert document["timezone"] == "browser"
        assert document["templating"]["list"][0]["type"] == "datasource"
        sources = set(
            re.findall(r'"uid": "([^"]*)"', json.dumps({"panels": document["panels"], "t": document["templating"]}))
        )
        assert sources == {"${datasource}"}, path
        ids = [panel["id"] for panel in document["panels"]]
        assert len(set(ids)) == len(ids)
        for panel in document["panels"]:
            if panel["type"] == "row":
                continue
            assert panel["description"], panel["title"]
            assert "currencyEUR" not in json.dumps(panel)  # `[warehouse] currency` may be another
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"], panel["title"]
            assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert not _overlaps([panel["gridPos"] for panel in document["panels"]]), path
    if key in ("postgresql", "athena"):
        fleet = documents(key)[FOLDER / "dashboards" / key / "fleet.json"]
        geomap = next(panel for panel in fleet["panels"] if panel["type"] == "geomap")
        assert (
            geomap["fieldConfig"]["defaults"]["links"][0]["url"]
            == "${console}/truck/${__data.fields.truck_id}?at=${__value.time}"
        )
        truck = documents(key)[FOLDER / "dashboards" / key / "truck.json"]
        assert truck["panels"][0]["repeat"] == "truck"


def test_uids_and_folder_stay_and_no_source_is_missing() -> None:
    """Links and bookmarks go by uid: one that changes breaks them all."""
    marts = {f"milepost-{title.lower()}-{key}" for title in GRAFANA for key in ("postgresql", "athena")}
    others = {"milepost-service-prometheus", "milepost-pipeline-cloudwatch"}
    keys = ("postgresql", "athena", "prometheus", "cloudwatch")
    assert {document["uid"] for key in keys for document in documents(key).values()} == marts | others
    provisioning = FOLDER / "provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "milepost.yaml").read_text())["providers"]
    assert (provider["folder"], provider["folderUid"]) == ("Milepost", "milepost")
    sources = yaml.safe_load((provisioning / "datasources" / "milepost.yaml").read_text())["datasources"]
    assert {source["uid"] for source in sources} == {DATASOURCE_UID, PROMETHEUS_UID}
    assert all("$" in str(source["url"]) for source in sources)  # addresses and secrets come from the environment
    assert "geheim" not in str(sources)
    told = {key: [{each["name"] for each in document["annotations"]["list"]} for document in documents(key).values()]
            for key in keys}  # fmt: skip
    assert all({"Annotations & Alerts", "Due", "Builds"} <= names for key in keys[:2] for names in told[key])
    assert all({"Alerts", "Deploys"} <= names for names in told["prometheus"])


def test_the_rules_for_prometheus_are_alerts_of_grafana_too(tmp_path: Path) -> None:
    """Each fires where the rule holds of any series; promtool reads what it asks."""
    rules = yaml.safe_load(PROMETHEUS_RULES.read_text())["groups"][0]["rules"]
    (group,) = [each for each in json.loads(files()["provisioning/alerting/milepost.yaml"])["groups"]
                if each["name"] == "Milepost service"]  # fmt: skip
    assert [each["title"] for each in group["rules"]] == [rule["alert"] for rule in rules]
    asked = [each["data"][0] for each in group["rules"]]
    assert {each["datasourceUid"] for each in asked} == {PROMETHEUS_UID}
    assert [each["for"] for each in group["rules"]] == [rule.get("for", "0s") for rule in rules]
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    alerts = [{"alert": f"A{n}", "expr": f"({each['model']['expr']}) > 0"} for n, each in enumerate(asked)]
    down = {
        "interval": "1m", "input_series": [{"series": 'up{job="milepost"}', "values": "1 1 1 0 0"}],
        "alert_rule_test": [
            {"eval_time": "2m", "alertname": "A0", "exp_alerts": []},
            {"eval_time": "4m", "alertname": "A0", "exp_alerts": [{}]},
        ],
    }  # fmt: skip
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "grafana", "rules": alerts}]}))
    (tmp_path / "tests.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": [down]}))
    done = subprocess.run([promtool, "test", "rules", tmp_path / "tests.yml"], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode()


def _overlaps(places: list[dict[str, int]]) -> bool:
    taken: set[tuple[int, int]] = set()
    for place in places:
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        if cells & taken:
            return True
        taken |= cells
    return False


def test_planted_faults_are_found_in_the_files(marts: Marts) -> None:
    whole: list[Any] = [each for each in shown("postgresql", ALL_TRUCKS) if each.panel.name == "trips"]
    each = whole[0]
    for wrong in ("distance_km * 1.01 AS distance_km", "CAST(distance_km AS text) AS distance_km"):
        sql = each.sql.replace("distance_km", wrong, 1)
        bad = type(each)(each.tool, each.page, each.panel, sql, each.choice, each.rename)
        assert "" not in {line.fault for line in table([bad], marts)}


def test_the_service_dashboard_asks_for_metrics_that_there_are() -> None:
    """Against what `/metrics` of the console gives: names, and the labels that the legends use."""
    source = (FOLDER.parents[1] / "console" / "metrics.py").read_text()
    given = {f"milepost_{name}" for name in re.findall(r'_gauge\(\s*"(\w+)"', source)}
    given |= {f"milepost_{name}_total" for name in re.findall(r'_counter\(\s*"(\w+)"', source)}
    labels: dict[str, set[str]] = {}
    for kind, name, said in re.findall(r'(Gauge|Counter)MetricFamily\(\s*"(\w+)",[^)]*labels=\(([^)]*)\)', source):
        labels[name + "_total" * (kind == "Counter")] = set(re.findall(r"\w+", said))
    for document in documents("prometheus").values():
        for panel in document["panels"]:
            for target in panel["targets"]:
                for name in re.findall(r"milepost_\w+", target["expr"]):
                    assert name in given | labels.keys(), name
                    assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels.get(name, set()), name
