"""The one read side: what the CLI prints and a dashboard shows, as plain JSON values (docs/commands.md).

Every function takes a `Reader`, or None where there is no store yet, which reads as an empty one.
"""

from collector.queries.changes import clicks_received, purchases, samples_received
from collector.queries.clicks import VIEWS, clicks
from collector.queries.completeness import audit, balanced, complete, late_samples
from collector.queries.customers import Visits
from collector.queries.dead_letters import dead_letter, dead_letters
from collector.queries.fleet import SILENT_AFTER_MS, fleet, fleet_row, latest_samples, samples_in_order, signals, whole
from collector.queries.item_sessions import item_sessions, items_of_session, items_of_user, opened_reader
from collector.queries.limited_reader import limited_readers
from collector.queries.trucks import history, history_known_at, position, trucks

__all__ = [
    "SILENT_AFTER_MS",
    "VIEWS",
    "Visits",
    "audit",
    "balanced",
    "clicks",
    "clicks_received",
    "complete",
    "dead_letter",
    "dead_letters",
    "fleet",
    "fleet_row",
    "history",
    "history_known_at",
    "item_sessions",
    "items_of_session",
    "items_of_user",
    "late_samples",
    "latest_samples",
    "limited_readers",
    "opened_reader",
    "position",
    "purchases",
    "samples_in_order",
    "samples_received",
    "signals",
    "trucks",
    "whole",
]
