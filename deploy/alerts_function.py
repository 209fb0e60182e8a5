"""The Lambda function of alerts (deploy/alerts.yaml): every minute it judges what was stored and tells who waits.

It reads the tables of the main stack and keeps alerts and their outbox in two of its own. The rules are those of one
machine, but for certificates, conversion and orders, whose facts stand in no table of it. A warm function goes on where
it was; a cold one judges the last day again, which changes nothing (docs/alerts.md).
"""

import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from alerts.delivery import deliver
from alerts.evaluation import Evaluation
from alerts.fact_watch import FactSources, FactWatch
from alerts.newest_samples import NewestSamples
from alerts.rules import load_rules
from alerts.senders import send
from alerts.settings import AlertSettings
from alerts.writing import Writing
from collector.settings import CollectorSettings
from collector.stores.factory import open_store
from contract import machine_clock
from contract.errors import Retryable
from contract.fleet import FleetSettings, read_zones
from contract.settings import load

_FACT_SECONDS = 300.0
_LEFT_MS = 15_000
"""Milliseconds that are kept for telling."""


class Context(Protocol):
    """What Lambda says of a call."""

    def get_remaining_time_in_millis(self) -> int:
        """Until the call is ended.

        Returns:
            Milliseconds until Lambda ends the call.
        """
        ...


def handler(_event: Any, context: Context) -> dict[str, Any]:
    """Judge and tell once.

    Args:
        _event: of the schedule; nothing in it is used.
        context: of Lambda.

    Returns:
        `{caught_up, told}`: whether everything stored was judged, and how many messages were taken.
    """
    return _alerts().step(context)


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
    settings, fleet = load("alerts", AlertSettings), load("fleet", FleetSettings)
    store = open_store(load("collector", CollectorSettings).store_url)
    writing = Writing(lambda act: act(store))
    zones = read_zones(fleet.zones) if fleet.zones else ()
    rules = [each for each in load_rules(settings.rules, zones) if each.kind not in ("certificate", "conversion")]
    evaluation = Evaluation(rules, settings.receivers, writing)
    return _Alerts(settings, NewestSamples(store), writing, evaluation, FactWatch(rules, evaluation, FactSources()))
