"""What is read of alerts: by the commands, the console and the warehouse."""

from collections.abc import Sequence
from typing import Any

from alerts.acknowledgement import Acknowledgements
from alerts.alert import Alert
from alerts.engine import in_order
from alerts.keeping import alert_in, alerts_in
from alerts.look_back import watched
from alerts.rules import Rule
from alerts.silence import HeardMinutes
from collector.stores import Reader
from contract import timestamps


def alerts_between(reader: Reader | None, rules: Sequence[Rule], first: str, now: str) -> list[Alert]:
    """The alerts that went on at any time from one instant to another, by start, subject, rule and name.

    Args:
        reader: of the store, None where there is none yet.
        rules: what is watched.
        first: RFC 3339 in this project's form.
        now: the same; what was sampled later is left out.

    Returns:
        Each as it is, with the id that it has whatever period is asked for. What counts as silence is judged by what
        was heard in the period.
    """
    heard = HeardMinutes()
    watches = []
    for truck_id in reader.truck_ids() if reader else ():
        assert reader is not None
        watches.append(watched(reader, rules, truck_id, since=first, now=now, heard=heard))
    now_ms = timestamps.to_ms(now)
    found = [alert for watch in watches for alert in watch.alerts(now_ms, heard)]
    return sorted((alert for alert in found if alert.end is None or alert.end >= first), key=in_order)


def kept_alerts(reader: Reader | None, *, first: str = "", most: int = 1_000) -> list[dict[str, Any]]:
    """The table of alerts as `milepost up` keeps it: those that go on and the newest others.

    Args:
        reader: of the store, None where there is none yet.
        first: RFC 3339; without those that were over before it.
        most: at most so many.

    Returns:
        `[{id, rule, title, severity, subject, start, end, evidence, kind, name, samples, acknowledged}]`, those that go
        on first, then by start, newest first; acknowledged is `{at, by, note}` or null.
    """
    rows = reader.alert_rows() if reader else []
    acknowledged = Acknowledgements(rows)
    alerts = [alert for alert in alerts_in(rows).values() if alert.end is None or alert.end >= first]
    alerts.sort(key=lambda alert: (alert.end is None, alert.start, alert.id), reverse=True)
    return [{**alert._asdict(), "acknowledged": acknowledged.of(alert)} for alert in alerts[:most]]


def find_kept(reader: Reader | None, alert_id: str) -> Alert | None:
    """An alert of the table of alerts.

    Args:
        reader: of the store, None where there is none yet.
        alert_id: its id.

    Returns:
        The alert; None where there is none.
    """
    for row in reader.alert_rows() if reader else ():
        if row.key.startswith("alert#") and row.key.endswith(f"#{alert_id}"):
            return alert_in(row)
    return None


def find_alert(reader: Reader | None, rules: Sequence[Rule], alert_id: str, *, first: str, now: str) -> Alert | None:
    """An alert by its id: of the table, else of the samples of a period; None where there is none."""
    kept = find_kept(reader, alert_id)
    return kept or next((alert for alert in alerts_between(reader, rules, first, now) if alert.id == alert_id), None)
