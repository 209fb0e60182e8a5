"""Grafana's alert rules over the marts, as its provisioning takes them (YAML, which JSON is part of)."""

import json
from dataclasses import dataclass
from typing import Any

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
    """The provisioning file: one group, looked at every five minutes."""
    group = {
        "orgId": 1, "name": "Milepost marts", "folder": "Milepost", "interval": "5m",
        "rules": [_rule(rule) for rule in RULES],
    }  # fmt: skip
    return json.dumps({"apiVersion": 1, "groups": [group]}, indent=1, ensure_ascii=False) + "\n"


def _rule(rule: AlertRule) -> dict[str, Any]:
    asked = {"refId": "A", "datasourceUid": DATASOURCE_UID, "relativeTimeRange": {"from": 600, "to": 0}}
    evaluator = {"type": "gt", "params": [rule.over]}
    over = {"evaluator": evaluator, "operator": {"type": "and"}, "query": {"params": ["A"]}}
    reducer = {"reducer": {"type": "last", "params": []}, "type": "query"}
    threshold = {
        "refId": "B", "datasourceUid": "__expr__",
        "model": {"refId": "B", "type": "threshold", "expression": "A", "conditions": [{**over, **reducer}]},
    }  # fmt: skip
    model = {"refId": "A", "format": "table", "rawQuery": True, "rawSql": rule.sql}
    return {
        "uid": rule.uid, "title": rule.title, "condition": "B", "for": "5m", "noDataState": "OK",
        "execErrState": "Error",
        "annotations": {"summary": rule.summary, "metric": rule.metric},
        "labels": {"service": "milepost"},
        "data": [{**asked, "model": model}, threshold],
    }  # fmt: skip
