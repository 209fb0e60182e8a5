"""Panels over Prometheus and CloudWatch in the same table as the others: panel → metric → its definition → value.

They show counters and gauges of the running service, which no mart holds; what they mean stands in
contract/operational_metrics.toml, and so in docs/metrics.md.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from contract.ingest_items import Receipt
from contract.operational_metrics import operational_metrics
from contract.ports import free_port
from dashboards.grafana.generate import FOLDER
from dashboards.grafana.service import CLOUD, SERVICE, CloudWatchPanel, ServicePanel
from deploy.render import render
from tests.console.conftest import collector, url  # noqa: F401 - the console over a store of its own

_NAME = re.compile(r"milepost_\w+")


def metrics_of(panel: ServicePanel | CloudWatchPanel) -> list[str]:
    """The metrics that a panel shows, by the names of the table of definitions."""
    if isinstance(panel, CloudWatchPanel):
        return sorted({f"{namespace} {name}" for namespace, name, *_ in panel.metrics})
    return sorted({name for query in panel.queries.values() for name in _NAME.findall(query)})


def orphans(panel: ServicePanel | CloudWatchPanel) -> list[str]:
    """Those of them that nothing defines."""
    known = operational_metrics()["cloudwatch" if isinstance(panel, CloudWatchPanel) else "prometheus"]
    return [name for name in metrics_of(panel) if name not in known]


def test_every_metric_of_a_panel_is_defined_and_an_orphan_is_found() -> None:
    assert {panel.title: orphans(panel) for panel in (*SERVICE, *CLOUD) if orphans(panel)} == {}
    assert orphans(replace(SERVICE[0], queries={"x": "rate(milepost_truks[5m])"})) == ["milepost_truks"]
    assert orphans(replace(CLOUD[0], metrics=(("Milepost", "Acepted", "service", "x"),))) == ["Milepost Acepted"]


def test_what_metrics_tells_is_what_is_defined(url: str) -> None:  # noqa: F811
    told = {
        sample.name
        for family in text_string_to_metric_families(httpx.get(f"{url}/metrics", timeout=30).text)
        for sample in family.samples
    }
    known = set(operational_metrics()["prometheus"])
    assert told <= known
    not_on_this_machine = {
        "milepost_stream_lag_records", "milepost_stream_worker_restarts_total",  # Kafka
        "milepost_certificate_days_left", "milepost_truck_certificates",  # identities
        "milepost_connections", "milepost_clicks_refused_total",  # doors of `milepost up`
    }  # fmt: skip
    assert known - told <= not_on_this_machine


@pytest.fixture
def prometheus(url: str, tmp_path: Path) -> Iterator[str]:  # noqa: F811
    """A real Prometheus that reads that console each second."""
    target = url.removeprefix("http://")
    port = free_port()
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: m, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    command = [
        "prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    ]  # fmt: skip
    with subprocess.Popen(command) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + 90
            while len(asked(address, "count_over_time(milepost_trucks[1m]) > 2")) == 0:
                assert time.monotonic() < deadline, "Prometheus read nothing"
                time.sleep(0.3)
            yield address
        finally:
            process.terminate()
            process.wait(60)


def asked(address: str, query: str) -> list[Mapping[str, Any]]:
    """What a query answers now; nothing while Prometheus starts."""
    try:
        answer = httpx.get(f"{address}/api/v1/query", params={"query": query}, timeout=60)
    except httpx.TransportError:
        return []
    if answer.status_code == 503:
        return []
    assert answer.status_code == 200, answer.text
    found: list[Mapping[str, Any]] = answer.json()["data"]["result"]
    return found


def test_every_panel_over_prometheus_runs_and_a_plain_figure_is_that_of_metrics(url: str, prometheus: str) -> None:  # noqa: F811
    told = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(httpx.get(f"{url}/metrics", timeout=30).text)
        for sample in family.samples
    }
    lines = []
    for panel in SERVICE:
        for legend, query in panel.queries.items():
            rows = asked(prometheus, query)
            values = {
                tuple(
                    sorted((k, v) for k, v in row["metric"].items() if k not in ("__name__", "job", "instance"))
                ): float(row["value"][1])
                for row in rows
            }
            lines.append((panel.title, legend, ", ".join(_NAME.findall(query)), sum(values.values()) if rows else None))
            if _NAME.fullmatch(query) and query != "milepost_store_bytes":
                assert values == {
                    labels: value
                    for (name, *labels_), value in told.items()
                    for labels in [tuple(labels_)]
                    if name == query
                }
    print()
    for title, legend, metric, value in lines:
        print(f"{title:28} {legend:22} {metric:48} operational {value}")
    shown = {title for title, _, _, value in lines if value is not None}
    assert {panel.title for panel in SERVICE} - shown <= {"Connections"}, "only `milepost up` has doors"


def test_the_files_ask_what_the_panels_say() -> None:
    for key, panels, read in (
        ("prometheus", SERVICE, lambda target: target["expr"]),
        ("cloudwatch", CLOUD, lambda target: (target["namespace"], target["metricName"])),
    ):
        documents = [json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards" / key).glob("*.json"))]
        found = {
            panel["title"]: {read(target) for target in panel["targets"]}
            for document in documents
            for panel in document["panels"]
            if panel["type"] != "row"
        }
        said = {
            each.title: set(each.queries.values())
            if isinstance(each, ServicePanel)
            else {(one[0], one[1]) for one in each.metrics}
            for each in panels
        }
        assert found == said


def test_every_widget_of_the_stacks_own_dashboard_is_defined() -> None:
    resources = render()["Resources"].values()
    body = next(
        each["Properties"]["DashboardBody"]["Fn::Sub"] for each in resources if each["Type"].endswith("Dashboard")
    )
    shown = {
        f"{metric[0]} {metric[1]}"
        for widget in json.loads(body)["widgets"]
        for metric in widget["properties"].get("metrics", [])
        if isinstance(metric[0], str)  # an expression over those beside it has an object there
    }
    assert len(shown) > 15
    assert sorted(shown - set(operational_metrics()["cloudwatch"])) == []


def test_our_own_cloudwatch_metrics_are_those_that_the_functions_count() -> None:
    """The names by which a handler's counts arrive: `name.capitalize()` of what is in their sources."""
    handlers = Path(__file__).parents[2] / "collector" / "handlers"
    text = "".join((handlers / f"{name}.py").read_text(encoding="utf-8") for name in ("repair", "batch", "beacon"))
    counted = {name.capitalize() for name in re.findall(r'"(\w+)"', text)}
    counted |= {name.capitalize() for name in get_args(Receipt.__annotations__["status"])}
    counted |= {f"Status{digit}xx" for digit in (2, 4, 5)} | {"ColdStart"}  # powertools' own
    ours = {name.split(" ")[1] for name in operational_metrics()["cloudwatch"] if name.startswith("Milepost ")}
    assert sorted(ours - counted) == []
