"""Alert rules of Grafana over the marts and over /metrics, as its provisioning takes them: YAML, so JSON will do."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DATASOURCE_UID = "milepost-postgresql"
"""Of provisioning/datasources/milepost.yaml: alert rules can have no variable in its place."""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A rule: `sql` gives one number; over `over` it fires. metric: which number of docs/metrics.md it is."""

    uid: str
    title: str
    summary: str
    metric: str
    sql: str
    over: float = 0


PROMETHEUS_UID = "milepost-prometheus"
"""Also of provisioning/datasources/milepost.yaml."""
PROMETHEUS_RULES = Path(__file__).parents[2] / "console" / "prometheus-rules.yml"
"""The rules over /metrics, which Prometheus takes as they are; promtool tests them."""

RULES = (
    AlertRule(
        "milepost-samples-lost", "Samples lost", "Samples of the last two days are lost for certain: `milepost audit`.",
        "completeness_day.lost",
        "SELECT COALESCE(SUM(lost), 0) AS lost FROM completeness_day"
        " WHERE day >= (SELECT MAX(day) FROM completeness_day) - 1",
    ),
    AlertRule(
        "milepost-quality", "A quality rule is broken", "See Pipeline, Quality rules.", "quality_run.verdict",
        "SELECT COUNT(*) AS broken FROM quality_run WHERE verdict <> 'ok'",
    ),
    AlertRule(
        "milepost-brakes", "Brakes ask for service", "A truck's current version says so: Fleet, What is due.",
        "maintenance_due.item", "SELECT COUNT(*) AS due FROM maintenance_due WHERE item = 'brakes'",
    ),
    AlertRule(
        "milepost-fuel-drop", "Suspicious fuel drop", "Fuel fell with the engine off in the last two days.",
        "fuel_event.suspicious",
        'SELECT COUNT(*) AS drops FROM fuel_event WHERE suspicious AND "at" >= (SELECT MAX(day) FROM truck_day) - 1',
    ),
    AlertRule(
        "milepost-late", "Orders late", "Over a tenth of the orders delivered in the last seven days came late.",
        "delivery.late_min",
        "SELECT AVG(CASE WHEN late_min > 0 THEN 1.0 ELSE 0.0 END) AS late FROM delivery"
        " WHERE delivered_at >= (SELECT MAX(delivered_at) FROM delivery) - INTERVAL '7 days' AND late_min IS NOT NULL",
        over=0.1,
    ),
)  # fmt: skip


def alert_rules() -> str:
    """The provisioning file: the rules over the marts every five minutes, those over /metrics every minute."""
    service = yaml.safe_load(PROMETHEUS_RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
    groups = [
        _group("Milepost marts", "5m", [_rule(rule) for rule in RULES]),
        _group("Milepost service", "1m", [_service_rule(rule) for rule in service]),
    ]
    return json.dumps({"apiVersion": 1, "groups": groups}, indent=1, ensure_ascii=False) + "\n"


def _group(name: str, interval: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"orgId": 1, "name": name, "folder": "Milepost", "interval": interval, "rules": rules}


def _rule(rule: AlertRule) -> dict[str, Any]:
    model = {"refId": "A", "format": "table", "rawQuery": True, "rawSql": rule.sql}
    said = {"summary": rule.summary, "metric": rule.metric}
    return _fires(rule.uid, rule.title, DATASOURCE_UID, model, rule.over, "5m", said, "warning")


def _service_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """Of a rule for Prometheus: how many series it holds of. Its own value may be 0, which no threshold would find."""
    model = {"refId": "A", "expr": f"count({rule['expr']}) or vector(0)", "instant": True, "range": False}
    uid = "milepost-" + rule["alert"].removeprefix("Milepost").lower()
    said, severity = rule["annotations"], rule["labels"]["severity"]
    return _fires(f"{uid}-service", rule["alert"], PROMETHEUS_UID, model, 0, rule.get("for", "0s"), said, severity)


def _fires(  # noqa: PLR0913 - the parts of one document
    uid: str,
    title: str,
    source: str,
    model: dict[str, Any],
    over: float,
    after: str,
    annotations: dict[str, str],
    severity: str,
) -> dict[str, Any]:
    """A rule that fires where the one number of A is over `over`."""
    asked = {"refId": "A", "datasourceUid": source, "relativeTimeRange": {"from": 600, "to": 0}, "model": model}
    evaluator = {"type": "gt", "params": [over]}
    condition = {"evaluator": evaluator, "operator": {"type": "and"}, "query": {"params": ["A"]}}
    reducer = {"reducer": {"type": "last", "params": []}, "type": "query"}
    threshold = {"refId": "B", "type": "threshold", "expression": "A", "conditions": [{**condition, **reducer}]}
    return {
        "uid": uid, "title": title, "condition": "B", "for": after, "noDataState": "OK", "execErrState": "Error",
        "annotations": annotations, "labels": {"service": "milepost", "severity": severity},
        "data": [asked, {"refId": "B", "datasourceUid": "__expr__", "model": threshold}],
    }  # fmt: skip
