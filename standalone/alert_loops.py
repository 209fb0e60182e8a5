"""Alerts on one machine: judged as data come, and told to each receiver by a thread of its own."""

import logging
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from alerts.delivery import deliver
from alerts.evaluation import Evaluation
from alerts.fact_watch import FactSources, FactWatch
from alerts.rules import Rule, load_rules
from alerts.senders import send
from alerts.settings import AlertSettings, Receiver
from alerts.writing import Writing
from collector import queries
from contract import machine_clock
from contract.errors import MilepostError, Misconfigured, Retryable
from contract.file_stamp import Stamp, file_stamp
from contract.fleet import FleetSettings, read_zones
from standalone.group_commit_writer import Writer
from warehouse import read
from warehouse.settings import WarehouseSettings, warehouse_file

log = logging.getLogger(__name__)

_JUDGE_SECONDS = 2.0
_FACT_SECONDS = 30.0
_TELL_SECONDS = 1.0

_QUALITY = "SELECT run_at, rule, table_name, rows, failed, threshold, verdict FROM quality_run"

Loop = tuple[Any, ...]
"""A function that takes `stop`, and the arguments before it."""


def alert_loops(
    settings: AlertSettings, fleet: FleetSettings, store_url: str, sources: FactSources, writer: Writer
) -> list[Loop]:
    """What Standalone runs beside its own loops: judging, and one loop for each receiver.

    Args:
        settings: the `[alerts]` table.
        fleet: the `[fleet]` table; its file of zones is named, and may change while it runs.
        store_url: the store.
        sources: what is judged beside the store.
        writer: of the store.

    Raises:
        Misconfigured: the rules or the zones cannot be read.
    """
    assert fleet.zones is not None
    watched = _ZoneRules(load_rules(settings.rules, speed_limit_kmh=fleet.speed_limit_kmh), fleet.zones)
    rules = watched.rules
    writing = Writing(lambda act: writer.call(act).result())
    evaluation = Evaluation(rules, settings.receivers, writing)
    judging = (keep_judging, evaluation, FactWatch(rules, evaluation, sources), watched, store_url)
    return [judging, *((keep_telling, receiver, writing, store_url) for receiver in settings.receivers)]


class _ZoneRules:
    """The rules over the zones of a file. A file that changed while it runs and is wrong is told once, and not used."""

    def __init__(self, rules: list[Rule], path: Path) -> None:
        self._path, self._stamp = path, _stamp(path)
        zones = read_zones(path)
        self.rules = [rule.over(zones) for rule in rules]

    def is_new(self) -> bool:
        """Whether the file is another one than at the last look, and `rules` are over its zones now."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            zones = read_zones(self._path)
        except Misconfigured as error:
            log.warning("zones_not_read error=%s", error)
            return False
        self.rules = [rule.over(zones) for rule in self.rules]
        return True


class QualityRun:
    """The newest run of the quality rules, for `FactSources`: called for the rows of mart `quality_run`.

    Only of marts in a DuckDB file: another engine's would be asked over and over whether they changed. A file that
    cannot be read is told once, and asked again at each look.

    Args:
        data_dir: whose warehouse.
        settings: where its marts are.
    """

    def __init__(self, data_dir: Path, settings: WarehouseSettings) -> None:
        self._data_dir, self._settings = data_dir, settings
        self._path = warehouse_file(settings, data_dir) if settings.engine == "duckdb" else None
        self._stamp: Stamp | None = None
        self._is_read = False
        self._is_told = False
        self._rows: list[dict[str, Any]] = []

    def __call__(self) -> list[dict[str, Any]]:
        stamp = _stamp(self._path) if self._path else None
        if stamp != self._stamp:
            self._stamp, self._is_read, self._is_told, self._rows = stamp, False, False, []
        if stamp is not None and not self._is_read:
            try:
                self._rows = read.query(_QUALITY, self._data_dir, self._settings)
                self._is_read = True
            except MilepostError as error:
                self._rows = []
                if not self._is_told:
                    log.warning("quality_not_read error=%s", error)
                self._is_told = True
        return self._rows


def _stamp(path: Path) -> Stamp | None:
    """None: it is not there."""
    try:
        return file_stamp(path)
    except OSError:
        return None


def keep_judging(
    evaluation: Evaluation, facts: FactWatch, watched: _ZoneRules, store_url: str, *, stop: threading.Event
) -> None:
    """For a thread of its own, until `stop`."""
    facts_due = 0.0
    with queries.opened_reader(store_url) as reader:
        while not stop.wait(_JUDGE_SECONDS if evaluation.is_caught_up else 0.1):
            with suppress(Retryable):  # what another writer changed is read again by the next step
                if watched.is_new():
                    evaluation.use(watched.rules)
                if reader is not None:
                    evaluation.step(reader, machine_clock.now_ms())
                if reader is not None and time.monotonic() >= facts_due:
                    facts_due = time.monotonic() + _FACT_SECONDS
                    facts.step(reader, machine_clock.now_ms())


def keep_telling(receiver: Receiver, writing: Writing, store_url: str, *, stop: threading.Event) -> None:
    """For a thread of its own, until `stop`: a receiver that is slow or down keeps no other waiting."""
    with queries.opened_reader(store_url) as reader:
        while not stop.wait(_TELL_SECONDS):
            with suppress(Retryable):  # the store could not be written: it is told again
                if reader is not None:
                    deliver(receiver, reader, writing, send, machine_clock.now_ms())
