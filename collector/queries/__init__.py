"""The one read side: what the CLI prints and a dashboard shows, as plain JSON values (docs/commands.md).

Every function takes a `Reader`, or None where there is no store yet, which reads as an empty one.
"""

from collector.queries.clicks import VIEWS, clicks
from collector.queries.completeness import audit, balanced, complete
from collector.queries.dead_letters import dead_letter, dead_letters
from collector.queries.fleet import changed, fleet, signals
from collector.queries.item_sessions import item_sessions, items_of_session, items_of_user, opened_reader
from collector.queries.trucks import history, history_known_at, position, trucks

__all__ = [
    "VIEWS",
    "audit",
    "balanced",
    "changed",
    "clicks",
    "complete",
    "dead_letter",
    "dead_letters",
    "fleet",
    "history",
    "history_known_at",
    "item_sessions",
    "items_of_session",
    "items_of_user",
    "opened_reader",
    "position",
    "signals",
    "trucks",
]
