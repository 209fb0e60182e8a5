"""The settings file `milepost.toml` and the environment above it, as plain tables: nothing is judged here.

Found by `--config`, else `MILEPOST_CONFIG`, else `./milepost.toml`, else `/etc/milepost/milepost.toml`. A variable
`MILEPOST_AGENT__INTERVAL` overrides `[agent] interval`. An unknown table or variable is refused by name.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contract.errors import Misconfigured

ROOMS = (
    "agent",
    "collector",
    "beacon",
    "box",
    "simulator",
    "provisioning",
    "iot_rules",
    "http",
    "commerce",
    "warehouse",
    "lake",
    "fleet",
    "console",
    "alerts",
    "dashboard",
    "streaming",
    "kafka",
    "reports",
)
SHORT_NAMES = {
    "MILEPOST_DATA_DIR": ("collector", "data_dir"),
    "MILEPOST_STORE": ("collector", "store"),
    "MILEPOST_TRACK": ("collector", "track"),
}
_NO_SETTINGS = {"MILEPOST_CONFIG", "MILEPOST_PROVE"}  # where the file is; what `make prove` tells the tests
PREFIX = "MILEPOST_"
_LIST = "reports"
"""The room whose table is a list, `[[reports]]`: read as its key of the same name."""
_PLACES = (Path("milepost.toml"), Path("/etc/milepost/milepost.toml"))


def table(room: str, config: Path | None = None, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The file's table of one room, overridden by `MILEPOST_<ROOM>__<KEY>` of the environment.

    Args:
        room: name of the table.
        config: a file that must be there; None looks where `find` does.
        environ: the environment; for tests.

    Returns:
        Key → value as TOML gives it, or the variable's text; a text that begins as JSON does is read as such.

    Raises:
        Misconfigured: a missing file that was asked for, a file that is not TOML, and unknown tables and variables.
    """
    path = find(config, environ)
    tables = _read(path) if path else {}
    return {**tables.get(room, {}), **_from_environment(room, environ)}


def find(config: Path | None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The settings file that is read.

    Args:
        config: asked for by `--config`; comes before MILEPOST_CONFIG and the usual places.
        environ: the environment; for tests.

    Returns:
        None where there is none.

    Raises:
        Misconfigured: the file that was asked for is not there.
    """
    asked = config or (Path(environ["MILEPOST_CONFIG"]) if environ.get("MILEPOST_CONFIG") else None)
    if asked and not asked.is_file():
        raise Misconfigured(f"no settings file at {asked}: give --config the path of an existing milepost.toml")
    return asked or next((place for place in _PLACES if place.is_file()), None)


def _read(path: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors of Windows begin a file with a mark
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read ({error.strerror}): let this user read it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} is not valid TOML: {error}") from None
    for name, table in tables.items():
        if name == _LIST and isinstance(table, list):
            tables[name] = {name: table}
        elif name not in ROOMS or not isinstance(table, dict):
            raise Misconfigured(f"unknown table or key {name!r} in {path}: tables are {', '.join(ROOMS)}")
    return tables


def _from_environment(room: str, environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in environ.items():
        table, key = SHORT_NAMES.get(name, ("", ""))
        if name.startswith(PREFIX) and "__" in name:
            table, key = name.removeprefix(PREFIX).lower().split("__", 1)
            if table not in ROOMS:
                raise Misconfigured(f"unknown variable {name}: after MILEPOST_ comes one of {', '.join(ROOMS).upper()}")
        elif name.startswith(PREFIX) and not table and name not in _NO_SETTINGS:
            known = ", ".join([*SHORT_NAMES, "MILEPOST_CONFIG"])
            raise Misconfigured(f"unknown variable {name}: known are {known}, and MILEPOST_<ROOM>__<KEY>")
        if table == room:
            found[key] = _value(text, name)
    return found


def _value(text: str, name: str) -> Any:
    if text[:1] not in ("{", "[", '"'):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Misconfigured(f"{name} is not valid JSON: {error}") from None
