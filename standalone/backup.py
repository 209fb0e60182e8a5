"""Backup and restore of one data directory: every store in it, at one instant, also while `milepost up` runs.

All SQLite files are held for the milliseconds in which a snapshot of each is opened, so that no store is newer than
another; then writers go on, and the snapshots are copied. Other files are copied after that: those of the lake never
change, and its catalogue, which is of the instant, names those that count; restored into another folder, the lake is
settled there over its files. Orders in a PostgreSQL database are dumped by
a snapshot of the same instant. Not covered, since they can be made again or keep themselves: the marts that `warehouse
build` has written to a PostgreSQL, and what is in Kafka; where records come through it, the backup has its workers'
offsets (collector.streams.kafka_offsets).
"""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.buffer.inspection import copy_of
from collector.streams.kafka_offsets import OFFSETS
from contract import atomic_file
from contract.errors import Misconfigured, Rejected, Unreachable
from contract.forgotten import MARKERS, SECRET, Forgotten
from contract.timestamps import from_datetime
from standalone import postgresql_backup
from standalone.child_processes import LOCK, lock
from standalone.postgresql_backup import Snapshot, held

if TYPE_CHECKING:
    from provisioning.registry.authority_files import AuthorityFiles

MANIFEST = "backup.json"
ORDERS = "orders.pgdump"
LAKE = "lake"
_MAGIC = b"SQLite format 3\x00"
_BUFFER = "buffer.db"  # trucks/ID/buffer.db, of `up --trucks` and `simulate trucks`
_BUSY_SECONDS = 30
_NOT_KEPT = frozenset({LOCK, "up.json", "children.json", MANIFEST})
_NOT_KEPT_ENDS = ("-wal", "-shm", "-journal", ".tmp", ".log", ".log.1")


@dataclass(frozen=True, slots=True)
class Restored:
    """files: how many. replaced: where the former directory is now. kept_revoked: serial numbers of certificates that
    the backup takes for active and that were revoked since; they stay revoked. forgotten_since: marks of `milepost
    forget` that the backup does not have; they hold for what comes, and what the backup brings back is to be forgotten
    again."""

    files: int
    replaced: Path | None
    kept_revoked: tuple[str, ...]
    forgotten_since: int = 0


def back_up(
    data_dir: Path,
    target: Path,
    *,
    orders_url: str | None = None,
    elsewhere: Mapping[str, Path] | None = None,
    offsets: Callable[[], str] | None = None,
) -> int:
    """Copy a data directory into a new folder, closed to others; how many files.

    Args:
        data_dir: of the service, which may run.
        target: the new folder.
        orders_url: of the PostgreSQL database that orders are in, None where they are in the directory.
        elsewhere: files and folders that the settings put elsewhere: their ordinary name in the data directory → where
            they are. In the backup they have their ordinary names.
        offsets: says where the workers of a stream stand; asked before the instant, so that nothing is between.

    Raises:
        Misconfigured: there is nothing to back up, the target exists, or it cannot be written.
        Unreachable: a store stays locked by a writer.
    """
    if not data_dir.is_dir():
        raise Misconfigured(f"{data_dir} is no data directory: give another --data-dir")
    if target.exists():
        raise Misconfigured(f"{target} exists: give a folder that does not")
    if target.resolve().is_relative_to(data_dir.resolve()):
        raise Misconfigured(f"{target} is inside {data_dir}: give a folder elsewhere")
    with _draft(target.with_name(f"{target.name}.partial")) as draft:
        if offsets and not (data_dir / OFFSETS).exists():  # else a restored one's workers have not been taken back yet
            atomic_file.write(draft / OFFSETS, offsets(), mode=0o600)
        sources = _sources(data_dir, elsewhere or {})
        databases = [path for path in sources.values() if _is_database(path)]
        names = {path: name for name, path in sources.items()}
        with ExitStack() as stack:
            taken_at = from_datetime(datetime.now(UTC))
            orders: list[Snapshot] = []

            def hold_orders() -> None:
                if orders_url:
                    orders.append(stack.enter_context(held(orders_url)))

            snapshots = _snapshots(stack, databases, meanwhile=hold_orders)
            if orders_url:
                postgresql_backup.dump(orders_url, orders[0], draft / ORDERS)
            for path, snapshot in snapshots.items():
                _copy_database(snapshot, _made(draft / names[path], draft))
        for name, path in _sources(data_dir, elsewhere or {}).items():
            if not (draft / name).exists():
                shutil.copy2(path, _made(draft / name, draft))
        digests = {str(path.relative_to(draft)): _digest(path) for path in _files(draft)}
        manifest = {"version": 1, "taken_at": taken_at, "data_dir": str(data_dir.resolve()), "files": digests}
        atomic_file.write(draft / MANIFEST, json.dumps(manifest, indent=1) + "\n", mode=0o600)
        os.sync()
        draft.rename(target)
    return len(digests)


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """A new folder, closed to others, which is gone if what fills it fails: on a full disk it would fill the rest."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def restore(
    backup: Path,
    data_dir: Path,
    *,
    replace: bool = False,
    orders_url: str | None = None,
    elsewhere: Mapping[str, Path] | None = None,
) -> Restored:
    """Put a backup in place as a data directory; a former one is kept beside it, and what it revoked stays revoked.

    A kill leaves the former directory, or the restored one, or (between two renames) the former one beside it; orders
    in PostgreSQL are put back before that, whole or not at all. Said again, it ends as if it had run once.

    Args:
        backup: what `back_up` has made.
        data_dir: where to put it.
        replace: also where there is something.
        orders_url: of the PostgreSQL database for the orders, where the backup has them from one.
        elsewhere: what the settings put elsewhere, as for `back_up`; what is there is kept beside it.

    Raises:
        Misconfigured: no backup, a file of it is damaged, the directory exists (and not `replace`) or is in use, the
            orders were in PostgreSQL and no database is given, or (all else is restored then) the lake lacks a file.
    """
    manifest = _checked(backup)
    digests: dict[str, str] = manifest["files"]
    if ORDERS in digests and not orders_url:
        raise Misconfigured("the orders of this backup were in PostgreSQL: set [commerce] database to an empty one")
    if data_dir.exists() and any(data_dir.iterdir()) and not replace:
        raise Misconfigured(f"{data_dir} is not empty: say --replace, and it is kept beside the restored one")
    draft = data_dir.with_name(f"{data_dir.name}.restoring")
    moves = {name: path for name, path in (elsewhere or {}).items() if (backup / name).exists()}
    for name, path in moves.items():
        if path.exists() and not replace:
            raise Misconfigured(f"{path} exists, and {name} of the backup belongs there: say --replace")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(backup, draft, ignore=shutil.ignore_patterns(MANIFEST, ORDERS))
    replaced = None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    with ExitStack() as stack:
        kept: tuple[str, ...] = ()
        forgotten = 0
        if former := _former(data_dir):
            forgotten = _keep_markers(former, draft)
            kept = _keep_revocations(former / "provisioning", draft / "provisioning")
        if data_dir.exists():
            stack.enter_context(lock(data_dir))
        if ORDERS in digests and orders_url:
            postgresql_backup.load(orders_url, backup / ORDERS, replace=replace)
        if data_dir.exists():
            replaced = data_dir.with_name(f"{data_dir.name}.replaced-{stamp}")
            os.sync()
            data_dir.rename(replaced)
        draft.rename(data_dir)
        for name, path in moves.items():
            _put_elsewhere(data_dir / name, path, stamp)
        os.sync()
    _settle_lake(moves.get(LAKE, data_dir / LAKE))
    return Restored(len(digests), replaced, kept, forgotten)


def _put_elsewhere(restored: Path, place: Path, stamp: str) -> None:
    """Move a restored file or folder to its place; what is there stays beside it, with what SQLite keeps beside it."""
    draft = place.with_name(f"{place.name}.restoring")
    shutil.rmtree(draft, ignore_errors=True)
    draft.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(restored, draft)
    for beside in [place.with_name(f"{place.name}{end}") for end in ("", "-wal", "-shm")]:
        if beside.exists():
            beside.rename(beside.with_name(f"{place.name}.replaced-{stamp}{beside.name.removeprefix(place.name)}"))
    draft.rename(place)


def _settle_lake(folder: Path) -> None:
    """Where the warehouse is not installed, `lake build` does it later."""
    if (folder / "catalog.db").exists():
        try:
            from warehouse.lake.build import Lake
        except ImportError:
            return
        Lake(folder).adapt_location()


def _checked(backup: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((backup / MANIFEST).read_text(encoding="utf-8"))
        digests: dict[str, str] = manifest["files"]
    except (OSError, ValueError, KeyError):
        raise Misconfigured(f"{backup} is no backup: {MANIFEST} is missing or damaged") from None
    for name, digest in digests.items():
        path = backup / name
        if not path.is_file() or _digest(path) != digest:
            raise Misconfigured(f"{path} is missing or damaged: use another backup")
    return manifest


def _former(data_dir: Path) -> Path | None:
    """The directory that is replaced; where a kill has left a restore between its two renames, what it put aside."""
    if data_dir.exists():
        return data_dir
    return max(data_dir.parent.glob(f"{data_dir.name}.replaced-*"), default=None)


def _keep_revocations(present: Path, restored: Path) -> tuple[str, ...]:
    """Put what the present directory revoked, and a CA that is newer than the backup, into the restored one; the serial
    numbers that the backup takes for active."""
    if not all((folder / "crl.pem").exists() for folder in (present, restored)):
        return ()
    from provisioning.certificate_authority import revoked_by
    from provisioning.registry.authority_files import AuthorityFiles

    ours, theirs = AuthorityFiles(present), AuthorityFiles(restored)
    if not _is_of_one_authority(ours, theirs):
        return ()
    for number in set(ours.numbers) - set(theirs.numbers):
        shutil.copy2(ours.key_file(number), theirs.key_file(number))
        shutil.copy2(ours.certificate_file(number), theirs.certificate_file(number))
    roots = theirs.roots()
    try:
        now, then = (
            {one.serial for one in revoked_by(roots, (folder / "crl.pem").read_text(encoding="ascii"))}
            for folder in (present, restored)
        )
    except Rejected:
        return ()
    shutil.copy2(present / "crl.pem", restored / "crl.pem")
    return tuple(sorted(now - then))


def _keep_markers(present: Path, restored: Path) -> int:
    """Put the present marks of what must stay forgotten into the restored directory; how many it did not have."""
    if not (present / MARKERS).exists():
        return 0
    secrets = [(folder / SECRET).read_bytes() for folder in (present, restored) if (folder / SECRET).exists()]
    if len(set(secrets)) != 1:
        return 0  # of two installations
    then = Forgotten(restored).markers()
    for name in (SECRET, MARKERS):
        shutil.copy2(present / name, restored / name)
    now = Forgotten(restored).markers()
    return len(now.people.keys() - then.people.keys()) + len(set(now.spans) - set(then.spans))


def _is_of_one_authority(ours: "AuthorityFiles", theirs: "AuthorityFiles") -> bool:
    """Whether none of the CAs that both have is another one."""
    both = set(ours.numbers) & set(theirs.numbers)
    return all(ours.certificate_file(one).read_bytes() == theirs.certificate_file(one).read_bytes() for one in both)


def _snapshots(
    stack: ExitStack, databases: list[Path], *, meanwhile: Callable[[], None]
) -> dict[Path, sqlite3.Connection]:
    """An open snapshot of each database, all of one instant: no writer is between two of them.

    A truck's buffer is the agent's alone and cannot be held: it is copied while the others are, so that nothing that it
    counts as delivered is missing from them.

    meanwhile: called while all of them are held.
    """
    found = {}
    buffers = [path for path in databases if path.name == _BUFFER]
    others = [path for path in databases if path not in buffers]
    with ExitStack() as holding:
        try:
            for path in others:
                holder = holding.enter_context(closing(_opened(path)))
                holder.execute("BEGIN IMMEDIATE")
            meanwhile()
            for path in buffers:
                found[path] = stack.enter_context(copy_of(path))
            for path in others:
                found[path] = stack.enter_context(closing(_opened(path)))
                found[path].execute("BEGIN")
                found[path].execute("SELECT count(*) FROM sqlite_master").fetchone()
        except (sqlite3.Error, OSError) as error:
            raise Unreachable(f"{path} cannot be read for the backup: {error}: try again") from None
    return found


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)


def _copy_database(snapshot: sqlite3.Connection, copy: Path) -> None:
    copy.touch(mode=0o600)
    try:
        with closing(sqlite3.connect(copy)) as made:
            snapshot.backup(made)
    except sqlite3.Error as error:
        raise Unreachable(f"{copy} cannot be written: {error}: make room there, or give another folder") from None


def _sources(data_dir: Path, elsewhere: Mapping[str, Path]) -> dict[Path, Path]:
    """What is backed up: its name in the backup → where it is now."""
    found = {
        path.relative_to(data_dir): path
        for path in _files(data_dir)
        if path.relative_to(data_dir).parts[0] not in elsewhere
    }
    for name, place in elsewhere.items():
        if place.is_dir():
            found |= {Path(name) / path.relative_to(place): path for path in _files(place)}
        elif place.exists():
            found[Path(name)] = place
    return found


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        if path.name not in _NOT_KEPT and not path.name.endswith(_NOT_KEPT_ENDS):
            yield path


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _made(path: Path, below: Path) -> Path:
    """A path whose folders down from `below` are there and closed to others."""
    for folder in reversed(path.relative_to(below).parents):
        (below / folder).mkdir(exist_ok=True, mode=0o700)
    return path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
