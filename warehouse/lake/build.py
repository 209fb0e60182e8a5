"""`lake build`: what the store received since the last finished build, into the lake."""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy.exc import SQLAlchemyError

from collector.queries.changes import clicks_received, samples_received
from collector.stores import Reader
from commerce.queries import Database
from contract import machine_clock, timestamps
from contract.errors import Retryable
from warehouse.lake import commerce_rows, schema, store_rows
from warehouse.lake.catalog import Build, LakeCatalog
from warehouse.lake.tables import (
    COMMERCE,
    TABLES,
    click_select,
    commerce_select,
    dead_letter_select,
    telemetry_select,
    version_select,
)
from warehouse.lake.writing import REMEDY, DamagedFile, TableWriter, connection, full_disk

_OVERLAP_MS = 600_000  # a click's row may be replaced by one received a little before the last build began


@dataclass(slots=True)
class _Progress:
    """What one build has written so far."""

    snapshots: dict[str, int | None] = field(default_factory=dict)
    days: dict[str, list[str]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LakeSources:
    """What a lake is made of: the collector's store and the database of commerce; None where there is none yet."""

    reader: Reader | None = None
    shop: Database | None = None


class Lake:
    """A lake folder and how to bring it up to date with a store.

    Args:
        folder: the lake's folder; made where it is missing.
        memory: what DuckDB may use at most, as it writes sizes.
        keep_days: how long snapshots of earlier builds are kept.
    """

    def __init__(self, folder: Path, *, memory: str = "1GB", keep_days: float = 7) -> None:
        self.folder = folder.resolve()
        self.catalog = LakeCatalog(self.folder)
        self._memory, self._keep_days = memory, keep_days

    def build(self, sources: LakeSources, *, whole: bool = False, started_ms: int | None = None) -> dict[str, Any]:
        """Bring every table up to date.

        Args:
            sources: the store and the database of commerce; what is not there makes empty tables.
            whole: read everything again, whatever was read before.
            started_ms: Unix ms of the build's begin; the clock's where it is None.

        Returns:
            `{build, finished_at, tables: {name: {days: [day], rows}}}`: the days written anew and the rows they have;
            `build` is that of the last one where nothing was new.

        Raises:
            Retryable: another build runs on this lake.
            Misconfigured: the catalogue cannot be used.
            Unreachable: the disk is full, or a data file cannot be read or written.
        """
        started = machine_clock.now_ms() if started_ms is None else started_ms
        with self._alone():
            self._settle()
            last = self.catalog.newest()
            whole = whole or last is None
            if not whole:
                with contextlib.suppress(DamagedFile):  # the store still has every row that it keeps
                    return self._build(sources, last, last, started, events=last)
            try:
                return self._build(sources, None, last, started, events=last)
            except DamagedFile:
                return self._build(sources, None, last, started)

    def adapt_location(self) -> None:
        """Make a lake that was copied here from another folder readable; any other stays as it is.

        Raises:
            Misconfigured: a file of it is missing.
            Retryable: a build runs on it.
        """
        if self.folder.exists():
            with self._alone():
                self._settle()

    def _settle(self) -> None:
        if self.catalog.was_moved():
            from warehouse.lake import relocation  # imports pyiceberg, which a build without news does not need

            relocation.adapt_location(self.catalog)

    def _build(
        self, sources: LakeSources, base: Build | None, last: Build | None, started: int, *, events: Build | None = None
    ) -> dict[str, Any]:
        scratch = self.folder / ".stage"
        shutil.rmtree(scratch, ignore_errors=True)
        run = _Run(self.catalog, sources, base, events, started, self._memory)
        try:
            marks = run.all_tables()
            done = run.progress
            if last is None or done.snapshots != last.snapshots or _read(marks) != _read(last.marks):
                last = self.catalog.record(machine_clock.now(), snapshots=done.snapshots, marks=marks, days=done.days)
                self._expire(started)
        except (OSError, duckdb.Error, SQLAlchemyError) as error:
            raise full_disk(error, self.folder) or error from None
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        tables = {name: {"days": done.days[name], "rows": done.rows.get(name, 0)} for name in done.days}
        return {"build": last.id, "finished_at": last.finished_at, "tables": tables}

    def _expire(self, now_ms: int) -> None:
        self.catalog.forget_builds(timestamps.from_ms(now_ms - int(self._keep_days * 86_400_000)))
        builds = self.catalog.builds()
        for table in TABLES:
            kept = {build.snapshots.get(table.name) for build in builds}
            self.catalog.expire(table, {id for id in kept if id is not None})

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Retryable(f"another build runs on the lake {self.folder}: try again when it is done") from None
            yield


def _read(marks: Mapping[str, Any]) -> dict[str, Any]:
    return {name: mark for name, mark in marks.items() if name != "started_ms"}


class _Run:
    """One build under way.

    base: the build whose rows are kept and whose marks are read from; None reads all. events: the build whose shop
    events are kept where the store has dropped them; None keeps none of them.
    """

    def __init__(  # noqa: PLR0913 - what a build is made of
        self,
        catalog: LakeCatalog,
        sources: "LakeSources",
        base: Build | None,
        events: Build | None,
        started: int,
        memory: str,
    ) -> None:
        self._catalog, self._base, self._events, self._started = catalog, base, events, started
        self._reader, self._shop = sources.reader, sources.shop
        self._db = connection(catalog.folder / ".stage", memory)
        self._marks: Mapping[str, Any] = base.marks if base else {}
        self._trucks: list[str] = []
        self.progress = _Progress()

    def all_tables(self) -> dict[str, Any]:
        """Read and commit every table; the marks of what was read."""
        marks: dict[str, Any] = {"folder": str(self._catalog.folder), "started_ms": self._started}
        policy = self._reader.policy() if self._reader else None
        marks["samples"] = self._telemetry(policy)
        marks["policy"] = policy
        self._versions(every=policy != self._marks.get("policy"))
        marks["clicks"] = self._clicks()
        reader, shop = self._reader, self._shop
        letters = store_rows.dead_letters(reader.dead_letters()) if reader else iter(())
        self._snapshot(schema.DEAD_LETTER, "letters", store_rows.DEAD_LETTER, letters, dead_letter_select())
        gaps = store_rows.stream_gaps(reader) if reader else iter(())
        self._snapshot(schema.STREAM_GAP, "gaps", store_rows.STREAM_GAP, gaps, "SELECT * FROM gaps")
        for table in COMMERCE:
            documents = commerce_rows.rows(table.name, shop) if shop else iter(())
            self._snapshot(table, "documents", commerce_rows.DOCUMENT, documents, commerce_select(table))
        return marks

    def _writer(self, table: schema.LakeTable, *, fresh: bool = False) -> TableWriter:
        """fresh: as if the table held nothing."""
        return self._writer_from(table, None if fresh else self._base)

    def _writer_from(self, table: schema.LakeTable, base: Build | None) -> TableWriter:
        snapshot = base.snapshots.get(table.name) if base else None
        held = self._intact(table, snapshot)
        ids = self._catalog.field_ids(table)
        return TableWriter(self._db, table, self._catalog.folder, held=held, ids=ids)

    def _intact(self, table: schema.LakeTable, snapshot: int | None) -> dict[str, list[str]]:
        """The files of a snapshot by day, once each is seen to have the bytes that were written: one that was changed
        since would otherwise be found only by who reads its day. A build of everything leaves it out."""
        held: dict[str, list[str]] = {}
        for day, path, _, written in self._catalog.data_files(table, snapshot):
            found = Path(path).stat().st_size if Path(path).exists() else 0
            if found == written:
                held.setdefault(day, []).append(path)
            elif self._base is not None:
                raise DamagedFile(f"{path} has {found:,} bytes instead of {written:,}; {REMEDY}")
        return held

    def _commit(self, table: schema.LakeTable, writer: TableWriter, written: Mapping[str, Sequence[str]]) -> None:
        untouched = {day: paths for day, paths in writer.files.items() if day not in written}
        paths = [path for each in (untouched, written) for group in each.values() for path in group]
        self.progress.snapshots[table.name] = self._catalog.commit(table, paths)
        self.progress.days[table.name] = sorted(written)
        self.progress.rows[table.name] = writer.rows
        writer.close()

    def _telemetry(self, policy: str | None) -> str | None:
        table = schema.TELEMETRY
        if self._reader is None:
            self._commit(table, self._writer(table), {})
            return None
        mark = self._marks.get("samples") if policy == self._marks.get("policy") else None
        received = samples_received(self._reader, mark)
        writer = self._writer(table, fresh=received.whole)
        self._db.register("samples", store_rows.batches(store_rows.SAMPLE, store_rows.samples(received.rows)))
        days = writer.stage("SELECT *, order_key[:10] AS day FROM samples", telemetry_select)
        self._db.unregister("samples")
        found = self._db.execute(f"SELECT DISTINCT truck_id FROM {writer.staged()} ORDER BY truck_id").fetchall()
        self._trucks = [truck_id for (truck_id,) in found]
        self._commit(table, writer, {day: writer.write(day, writer.merged(day)) for day in days})
        return received.mark

    def _versions(self, *, every: bool) -> None:
        """Trucks that received something have their versions compared."""
        table = schema.TRUCK_VERSION
        writer = self._writer(table, fresh=every)
        trucks = self._reader.truck_ids() if self._reader and every else self._trucks
        rows = (row for truck in trucks for row in store_rows.versions(truck, self._versions_of(truck)))
        self._db.register("incoming", store_rows.batches(store_rows.VERSION, rows))
        self._db.execute("CREATE OR REPLACE TEMP TABLE versions AS SELECT * FROM incoming")
        self._db.unregister("incoming")
        of = "truck_id IN (SELECT truck_id FROM versions)"
        self._commit(table, writer, self._changed(writer, version_select(), of))

    def _versions_of(self, truck_id: str) -> Iterator[Any]:
        return self._reader.versions(truck_id) if self._reader else iter(())

    def _clicks(self) -> str | None:
        table = schema.CLICK
        if self._reader is None:
            self._commit(table, self._writer(table), {})
            return None
        since = int(self._marks.get("started_ms", 0)) - _OVERLAP_MS
        received = clicks_received(self._reader, self._marks.get("clicks"), max(since, 0))
        dropped = self._reader.recountable_from() if received.whole else ""
        base = self._events if dropped else None if received.whole else self._base
        writer = self._writer_from(table, base)
        self._db.register("clicks", store_rows.batches(store_rows.CLICK, store_rows.clicks(received.rows)))
        days = writer.stage("SELECT *, occurred[:10] AS day FROM clicks", click_select)
        self._db.unregister("clicks")
        again = f"SELECT event_id FROM {writer.staged()}"
        if dropped:  # what the store still has comes from it alone
            again += (
                f" UNION SELECT event_id FROM {writer.held()} WHERE occurred_at >= '{dropped[:16]}:00Z'::TIMESTAMPTZ"
            )
        days_of = "SELECT DISTINCT CAST(held.day AS VARCHAR) FROM"
        query = f"{days_of} {writer.held()} AS held SEMI JOIN ({again}) USING (event_id)"
        earlier = {row[0] for row in self._db.execute(query).fetchall()} if days or dropped else set()
        gone = f"({again})" if dropped or earlier - set(days) else None
        every = sorted({*days, *earlier})
        self._commit(table, writer, {day: writer.write(day, writer.merged(day, gone)) for day in every})
        return received.mark

    def _snapshot(
        self, table: schema.LakeTable, name: str, columns: Any, rows: Iterator[tuple[Any, ...]], query: str
    ) -> None:
        """A table that is read whole each time; only days whose rows differ are written."""
        writer = self._writer(table)
        self._db.register("incoming", store_rows.batches(columns, rows))
        self._db.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM incoming")
        self._db.unregister("incoming")
        self._commit(table, writer, self._changed(writer, query, "true"))

    def _changed(self, writer: TableWriter, query: str, of: str) -> dict[str, list[str]]:
        """Write the days on which the rows of a query differ from those held; `of` says which held rows it replaces."""
        writer.stage(query)
        return {day: writer.write(day, writer.replaced(day, of)) for day in writer.different(of)}
