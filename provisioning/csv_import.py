"""`milepost provision import FILE.csv`: thousands of trucks, interrupted anywhere and run again.

The file has a header: `truck_id`, optionally `csr` (the path of a signing request, relative to the file), and any
further columns, which become attributes. A file of `export` has columns besides that say what another registry knew of
a truck: those become none. It is judged whole before anything is done. Each truck is a step that may be
repeated; a run goes through all of them again and passes quickly over what is there.
"""

import csv
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from contract.errors import MilepostError, Misconfigured, Rejected
from provisioning import certificate_authority
from provisioning.enrollment.gateway_bundle import is_whole, keep_key, make_bundle
from provisioning.registry import Registry

Check = Callable[[str, Mapping[str, str]], None]
_COLUMN = "truck_id"
_MAX_NAMED = 5
EXPORTED = (_COLUMN, "state", "added_at", "last_seen", "certificate", "not_after")
"""The first columns of an export: what the registry knows of a truck itself."""


@dataclass(frozen=True, slots=True)
class TruckRow:
    """One truck of the file. line: where it stands."""

    line: int
    truck_id: str
    attributes: dict[str, str]
    csr: str | None


@dataclass
class Import:
    """What a run has done. failed: truck → why."""

    trucks: int = 0
    new: int = 0
    certificates: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def read_fleet(path: Path, check: Check) -> list[TruckRow]:
    """The rows of a fleet file. Misconfigured, naming lines, if any of them is wrong: then nothing is done.

    check: the registry's, of a name and attributes.
    """
    wrong: list[str] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            columns = list(reader.fieldnames or ())
            if _COLUMN not in columns:
                raise Misconfigured(f"{path}: its first line must name the columns, one of them {_COLUMN}")
            if twice := sorted({one for one in columns if columns.count(one) > 1}):
                raise Misconfigured(f"{path}: its first line names {', '.join(twice)} twice: rename or remove one")
            rows = list(_rows(path, reader, wrong))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Misconfigured(f"{path} cannot be read as CSV in UTF-8: {error}") from None
    wrong += _faults(rows, check)
    if wrong:
        more = f"; and {len(wrong) - _MAX_NAMED} more" if len(wrong) > _MAX_NAMED else ""
        raise Misconfigured(f"{path}: {'; '.join(wrong[:_MAX_NAMED])}{more}: mend the file, nothing was imported")
    return rows


def _rows(path: Path, reader: "csv.DictReader[str]", wrong: list[str]) -> Iterator[TruckRow]:
    """The rows that can be read; what is wrong with the others goes to `wrong`."""
    columns = tuple(reader.fieldnames or ())
    left_out = EXPORTED[1:] if columns[: len(EXPORTED)] == EXPORTED else ()
    for values in reader:
        line = reader.line_num
        if None in values:
            wrong.append(f"line {line}: has more values than there are columns: quote values that hold a comma")
            continue
        texts = {key: value.strip() for key, value in values.items() if key and value and key not in left_out}
        truck_id, csr = texts.pop(_COLUMN, ""), texts.pop("csr", "")
        attributes = {key: value for key, value in texts.items() if value}
        try:
            yield TruckRow(line, truck_id, attributes, (path.parent / csr).read_text(encoding="ascii") if csr else None)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a PKCS #10 request in PEM"
            wrong.append(f"line {line}: csr {csr!r:.80}: {why}")


def _faults(rows: list[TruckRow], check: Check) -> Iterator[str]:
    seen: dict[str, int] = {}
    for row in rows:
        try:
            check(row.truck_id, row.attributes)
            if row.csr:
                certificate_authority.read_csr(row.csr)
        except Rejected as error:
            yield f"line {row.line}: {error}"
        if row.truck_id in seen:
            yield f"line {row.line}: {row.truck_id} stands in line {seen[row.truck_id]} already"
        seen.setdefault(row.truck_id, row.line)


def import_fleet(
    registry: Registry,
    rows: list[TruckRow],
    *,
    folder: Path | None,
    keys: bool,
    progress: Callable[[int], None] = lambda done: None,
) -> Import:
    """Bring every row into the registry, and its bundle into `folder/TRUCK_ID` if one is given.

    One truck's fault is noted and the others go on; an error that would meet all of them is raised.
    """
    result = Import()

    def one(row: TruckRow) -> tuple[bool, bool]:
        if folder is None:
            return registry.add(row.truck_id, row.attributes), False
        return _equip(registry, row, folder / row.truck_id, keys)

    with ThreadPoolExecutor(registry.workers, thread_name_prefix="import") as pool:
        for future, row in _in_turn(pool, one, rows, registry.workers * 2):
            try:
                new, certificate = future.result()
                result.new += new
                result.certificates += certificate
            except Rejected as error:
                result.failed[row.truck_id] = str(error)
            result.trucks += 1
            progress(result.trucks)
    os.sync()
    return result


def _in_turn(
    pool: ThreadPoolExecutor, work: Callable[[TruckRow], tuple[bool, bool]], rows: list[TruckRow], ahead: int
) -> Iterator[tuple["Future[tuple[bool, bool]]", TruckRow]]:
    """Each row's future as it ends, with no more than `ahead` begun: an error ends the run soon."""
    waiting: dict[Future[tuple[bool, bool]], TruckRow] = {}
    left = iter(rows)
    try:
        while True:
            while len(waiting) < ahead and (row := next(left, None)) is not None:
                waiting[pool.submit(work, row)] = row
            if not waiting:
                return
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future, waiting.pop(future)
    except MilepostError:
        pool.shutdown(cancel_futures=True)
        raise


def _equip(registry: Registry, row: TruckRow, folder: Path, keys: bool) -> tuple[bool, bool]:
    """Make the truck, and its bundle if it is not whole; whether the truck is new, and whether it got a certificate."""
    whole = is_whole(folder)
    request = row.csr or (keep_key(folder, row.truck_id) if keys and not whole else None)
    with registry.transaction():
        new = registry.add(row.truck_id, row.attributes)
        if request and not whole:
            registry.issue(row.truck_id, request)
    if whole or (request is None and (folder / "enroll.json").exists()):
        return new, False  # a new token would end the one that was handed out
    return new, make_bundle(registry, row.truck_id, folder, key=keys, csr=request).certificate is not None
