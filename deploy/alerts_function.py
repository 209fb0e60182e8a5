"""The Lambda functions of alerts (deploy/alerts.yaml): samples are judged as they are stored, and who waits is told.

One function follows the stream of the table of samples, and is called every minute for what the passing of time alone
changes; another judges conversion once an hour. They read the tables of the main stack and write two of them, alerts
and alert_outbox. The rules are those of one machine, but for certificates, orders and quality rules, whose facts stand
in no table of it. A warm function goes on where it was; a cold one judges the last day again, which changes nothing
(docs/alerts.md).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from alerts.delivery import deliver
from alerts.evaluation import Evaluation
from alerts.fact_watch import FactSources, FactWatch
from alerts.newest_samples import NewestSamples
from alerts.rules import Rule, load_rules
from alerts.senders import send
from alerts.settings import AlertSettings
from alerts.writing import Writing
from collector.settings import CollectorSettings
from collector.stores.dynamodb.changes import stored_samples
from collector.stores.factory import open_store
from contract import machine_clock
from contract.errors import Retryable
from contract.fleet import FleetSettings, read_zones
from contract.settings import load

_FACT_SECONDS = 300.0
_LEFT_MS = 15_000
"""Milliseconds that are kept for telling."""
_LOOK_SECONDS = 900.0
"""How long what the stream did not bring may go unnoticed: it brings everything, but to one warm function."""
_SESSIONS_BACK_MS = 2 * 86_400_000
"""With the window and the week before it less than the 14 days that the tables keep an event."""


class Context(Protocol):
    """What Lambda says of a call."""

    def get_remaining_time_in_millis(self) -> int:
        """Until the call is ended.

        Returns:
            Milliseconds until Lambda ends the call.
        """
        ...


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Judge and tell once.

    Args:
        event: of the schedule, of which nothing is used; or of the stream, with the samples that were stored.
        context: of Lambda.

    Returns:
        `{caught_up, told}`: whether everything stored was judged, and how many messages were taken.
    """
    alerts = _alerts()
    alerts.reader.take(stored_samples(event.get("Records", ())))
    return alerts.step(context)


def conversion_handler(_event: Any, _context: Any) -> dict[str, Any]:
    """Judge conversion; the other function tells of it.

    Args:
        _event: of the schedule; nothing in it is used.
        _context: of Lambda.

    Returns:
        `{}`.
    """
    store, writing, settings, rules = _parts()
    mine = [rule for rule in rules if rule.kind == "conversion"]
    evaluation = Evaluation(mine, settings.receivers, writing)
    FactWatch(mine, evaluation, FactSources(), sessions_back_ms=_SESSIONS_BACK_MS).step(store, machine_clock.now_ms())
    return {}


@dataclass
class _Alerts:
    """What a warm function keeps."""

    settings: AlertSettings
    reader: Any  # a NewestSamples, which stands for a Reader
    writing: Writing
    evaluation: Evaluation
    facts: FactWatch
    facts_due: float = field(default=0.0)

    def step(self, context: Context) -> dict[str, Any]:
        judged = False
        try:
            while not judged and context.get_remaining_time_in_millis() > _LEFT_MS:
                self.evaluation.step(self.reader, machine_clock.now_ms())
                judged = self.evaluation.is_caught_up
            if judged and time.monotonic() >= self.facts_due:
                self.facts.step(self.reader, machine_clock.now_ms())
                self.facts_due = time.monotonic() + _FACT_SECONDS
        except Retryable:  # of the store: what was not done is done at the next call
            judged = False
        told = sum(
            deliver(receiver, self.reader, self.writing, send, machine_clock.now_ms())
            for receiver in self.settings.receivers
        )
        return {"caught_up": judged, "told": told}


@cache
def _alerts() -> _Alerts:
    store, writing, settings, rules = _parts()
    mine = [rule for rule in rules if rule.kind not in ("certificate", "conversion")]
    evaluation = Evaluation(mine, settings.receivers, writing)
    reader = NewestSamples(store, look_seconds=_LOOK_SECONDS)
    return _Alerts(settings, reader, writing, evaluation, FactWatch(mine, evaluation, FactSources()))


@cache
def _parts() -> tuple[Any, Writing, AlertSettings, Sequence[Rule]]:
    """The store, what writes to it, the settings and all rules."""
    settings, fleet = load("alerts", AlertSettings), load("fleet", FleetSettings)
    store = open_store(load("collector", CollectorSettings).store_url)
    zones = read_zones(fleet.zones) if fleet.zones else ()
    return store, Writing(lambda act: act(store)), settings, load_rules(settings.rules, zones, fleet.speed_limit_kmh)
