"""Panels over Prometheus and CloudWatch: how Milepost itself does, on one machine and on AWS."""

from dataclasses import dataclass
from typing import Any

from dashboards.grafana.panels import DATASOURCE

Json = dict[str, Any]
PROMETHEUS, CLOUDWATCH = "prometheus", "cloudwatch"


@dataclass(frozen=True, slots=True)
class ServicePanel:
    """A panel over /metrics.

    queries: legend → PromQL. unit: as Grafana names it. warn: from this value on it is drawn as a warning.
    """

    title: str
    description: str
    queries: dict[str, str]
    unit: str = "short"
    warn: float | None = None


SERVICE = (
    ServicePanel(
        "Trucks", "Trucks by what they do; silent: nothing was received for three minutes.",
        {"{{state}}": "milepost_trucks"},
    ),
    ServicePanel(
        "Since the newest sample", "Seconds since any truck was heard.",
        {"newest": "time() - milepost_newest_sample_timestamp_seconds"}, "s", 300,
    ),
    ServicePanel(
        "Alerts that go on", "By severity; `milepost alerts list` names them.",
        {"{{severity}}": "milepost_alerts"}, warn=1,
    ),
    ServicePanel(
        "Samples per second", "Numbered samples received.",
        {"received": "rate(milepost_samples_received_total[5m])"}, "ops",
    ),
    ServicePanel(
        "Samples missing", "Holes now, and those of them that are only late; `milepost audit` names them.",
        {
            "missing": "milepost_samples_missing",
            "late": "milepost_samples_late",
        }, warn=1,
    ),
    ServicePanel(
        "Samples lost", "Lost for certain, in all.",
        {"lost": "milepost_samples_lost_total"}, warn=1,
    ),
    ServicePanel(
        "Clicks per second", "By type of event.",
        {"{{event_type}}": "rate(milepost_clicks_total[5m])"}, "ops",
    ),
    ServicePanel(
        "Refused records", "Kept in dead letters, by door and field.",
        {"{{door}} {{field}}": "milepost_dead_letters"}, warn=1,
    ),
    ServicePanel(
        "Waiting to be written", "Records in the writer's queue.",
        {"waiting": "milepost_write_queue_records"}, warn=1000,
    ),
    ServicePanel(
        "Since the last commit", "Seconds since records were last committed.",
        {"commit": "time() - milepost_last_commit_timestamp_seconds"}, "s",
    ),
    ServicePanel(
        "Parts that fail", "1 while a part of the service does not do its work; the broker's and the loops' failures.",
        {
            "failing": "milepost_failing",
            "broker restarts": "increase(milepost_broker_restarts_total[1h])",
            "loop failures": "increase(milepost_loop_failures_total[1h])",
        }, warn=1,
    ),
    ServicePanel(
        "Messages of alerts waiting", "Not yet taken by a receiver.",
        {"waiting": "milepost_alert_messages_waiting"}, warn=10,
    ),
    ServicePanel(
        "Connections", "Of the HTTP doors.",
        {"{{door}} {{state}}": "milepost_connections"},
    ),
    ServicePanel(
        "Requests refused", "HTTP requests from elsewhere that were refused, per second.",
        {"refused": "rate(milepost_requests_refused_total[5m])"}, "ops",
    ),
    ServicePanel(
        "Size of the stores", "Files in the data directory.",
        {"{{file}}": "milepost_store_bytes"}, "bytes",
    ),
)  # fmt: skip
"""Of the dashboard "Milepost service"."""


@dataclass(frozen=True, slots=True)
class CloudWatchPanel:
    """A panel over CloudWatch: any stream, function or table (`*`) of the account's region.

    metrics: namespace, name, then dimension names and values in turn.
    """

    title: str
    description: str
    metrics: tuple[tuple[str, ...], ...]
    statistic: str = "Sum"
    unit: str = "short"
    warn: float | None = None


_SERVICES = ("milepost-telemetry", "milepost-clicks")
CLOUD = (
    CloudWatchPanel(
        "Messages into the streams", "Records put into Kinesis, per five minutes.",
        (("AWS/Kinesis", "IncomingRecords", "StreamName", "*"),),
    ),
    CloudWatchPanel(
        "What became of them", "Accepted, duplicate, rejected and failed records.",
        tuple(
            ("Milepost", outcome, "service", service)
            for service in _SERVICES
            for outcome in ("Accepted", "Duplicate", "Rejected", "Failed")
        ),
    ),
    CloudWatchPanel(
        "Behind the streams", "The age of the oldest record that a function reads.",
        (("AWS/Lambda", "IteratorAge", "FunctionName", "*"),), "Maximum", "ms", 3_600_000,
    ),
    CloudWatchPanel(
        "Errors of functions", "See the function's log group.", (("AWS/Lambda", "Errors", "FunctionName", "*"),), warn=1
    ),
    CloudWatchPanel(
        "Samples missing and lost", "`milepost audit` names them.",
        tuple(("Milepost", name, "service", "milepost-repair") for name in ("Missing", "Lost")), "Maximum", warn=1,
    ),
    CloudWatchPanel(
        "Write units of tables", "What DynamoDB bills.",
        (("AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", "*"),),
    ),
    CloudWatchPanel(
        "Age of what Firehose holds", "Not yet in S3.",
        (("AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", "*"),), "Maximum", "s", 7200,
    ),
)  # fmt: skip
"""Of the dashboard "Pipeline" on AWS: the figures of the stack's own CloudWatch dashboard, over all stacks."""


def service_panel(panel: ServicePanel, number: int, place: Json) -> Json:
    """A time series over Prometheus."""
    where = {"type": PROMETHEUS, "uid": DATASOURCE}
    targets = [
        {"refId": chr(65 + n), "datasource": where, "expr": expr, "legendFormat": legend, "range": True}
        for n, (legend, expr) in enumerate(panel.queries.items())
    ]
    return {**_time_series(panel), "id": number, "gridPos": place, "datasource": where, "targets": targets}


def cloudwatch_panel(panel: CloudWatchPanel, number: int, place: Json) -> Json:
    """A time series over CloudWatch."""
    where = {"type": CLOUDWATCH, "uid": DATASOURCE}
    targets = [
        {
            "refId": chr(65 + n), "id": f"m{n}", "datasource": where, "region": "default", "namespace": found[0],
            "metricName": found[1], "dimensions": dict(zip(found[2::2], found[3::2], strict=True)),
            "statistic": panel.statistic, "period": "300", "matchExact": False, "queryMode": "Metrics",
            "metricQueryType": 0, "metricEditorMode": 0,
        }
        for n, found in enumerate(panel.metrics)
    ]  # fmt: skip
    return {**_time_series(panel), "id": number, "gridPos": place, "datasource": where, "targets": targets}


def _time_series(panel: ServicePanel | CloudWatchPanel) -> Json:
    steps: list[Json] = [{"color": "#0072B2", "value": None}]
    if panel.warn is not None:
        steps.append({"color": "#D55E00", "value": panel.warn})
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
    defaults = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}, "noValue": "–"}
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}},
        "links": [],
    }
