"""`warehouse build`: the marts of the newest finished lake build, on an engine."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contract.errors import Misconfigured
from warehouse.engines import Engine, LakeView
from warehouse.lake.catalog import Build, LakeCatalog
from warehouse.lake.tables import TABLES
from warehouse.rendering import RENDERED
from warehouse.sources import Terms, built, sources


def build(folder: Path, engine: Engine, terms: Terms, *, whole: bool = False) -> dict[str, Any]:
    """Make the marts those of the lake's newest finished build.

    Days of the lake that were not written since the engine's last build are not read again where a model is by day;
    the marts are the same as those of a build from the start.

    Args:
        folder: the lake's.
        engine: holds the marts.
        terms: what the settings decide.
        whole: build everything from the start.

    Returns:
        `{lake_build, marts: {name: rows}}`.

    Raises:
        Misconfigured: there is no finished lake build yet.
    """
    catalog = LakeCatalog(folder)
    newest = catalog.newest()
    if newest is None:
        raise Misconfigured(f"no lake in {folder}: run `milepost lake build` first")
    defined = sources(terms)
    digest = _digest(defined)
    held = engine.holds()
    changed = None
    if held and not whole and held[1] == digest:
        changed = _changed(catalog.builds(), held[0], newest)
    files = {table.name: catalog.files(table, newest.snapshots.get(table.name)) for table in TABLES}
    view = LakeView(newest.id, files, {**defined, **built(newest.finished_at)}, changed)
    return {"lake_build": newest.id, "marts": engine.build(view, digest)}


def _digest(defined: Mapping[str, str]) -> str:
    """Of everything but the lake that makes the marts what they are."""
    made = hashlib.sha256((RENDERED / "duckdb.json").read_bytes())
    made.update(repr(sorted(defined.items())).encode())
    return made.hexdigest()


def _changed(builds: list[Build], held: int, newest: Build) -> dict[str, frozenset[str]] | None:
    """Table → days that builds after `held` wrote; None where one of them is not recorded any more."""
    later = [build for build in builds if build.id > held]
    if held not in {build.id for build in builds} or len(later) != newest.id - held:
        return None
    return {table.name: frozenset(day for build in later for day in build.days.get(table.name, ())) for table in TABLES}
