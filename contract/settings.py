"""One settings file for all rooms: `milepost.toml`, one table per room, overridden by the environment.

Found by `--config`, else `MILEPOST_CONFIG`, else `./milepost.toml`, else `/etc/milepost/milepost.toml`. A variable
`MILEPOST_AGENT__INTERVAL` overrides `[agent] interval`. An unknown table, key or variable is refused by name, because
a setting that is misspelt and silently ignored costs a fleet its data. Each room builds its model once, at its door.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

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
_PREFIX = "MILEPOST_"
_LIST = "reports"
"""The room whose table is a list, `[[reports]]`: read as its key of the same name."""
_PLACES = (Path("milepost.toml"), Path("/etc/milepost/milepost.toml"))

Model = TypeVar("Model", bound=BaseModel)

_REASONS = {
    "tuple_type": "must be a list in square brackets",
    "list_type": "must be a list in square brackets",
    "dict_type": "must be a table, such as { NAME = VALUE }",
    "model_type": "must be a table, such as { KEY = VALUE }",
    "path_type": "must be a path in quotes",
    "string_type": "must be a text in quotes",
}
"""Kind of fault → what would be right, where pydantic says it in Python's words."""


class RoomSettings(BaseModel):
    """What every room's settings model derives from: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, given: Any) -> Any:
        for key, value in given.items() if isinstance(given, Mapping) else ():
            if isinstance(value, bool) and key in cls.model_fields and _is_number(cls, key):
                raise ValueError(f"{key} must be a number, not true or false")
        return given


def load(room: str, model: type[Model], config: Path | None = None, environ: Mapping[str, str] = os.environ) -> Model:
    """The settings of one room: the file's table, overridden by `MILEPOST_<ROOM>__<KEY>` of the environment.

    Args:
        room: name of the table.
        model: what the table must be.
        config: a file that must be there; None looks where `find` does.
        environ: the environment; for tests.

    Returns:
        The model, with defaults for what is not set.

    Raises:
        Misconfigured: a missing file that was asked for, a file that is not TOML, unknown tables and keys, and values
            that the model refuses; names the file, the key and the remedy.
    """
    path = find(config, environ)
    tables = _read(path) if path else {}
    values = {**tables.get(room, {}), **_from_environment(room, environ)}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _misconfigured(error, room, model, f"{path} or the environment" if path else "the environment") from None


def _misconfigured(error: ValidationError, room: str, model: type[BaseModel], where: str) -> Misconfigured:
    """The one fault to name first: a key that is unknown is often the misspelling of one that is missing."""
    errors = error.errors(include_url=False)
    first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = ", ".join(sorted(_table(model, first["loc"][:-1]).model_fields))
        return Misconfigured(f"unknown key {key!r} in [{room}] ({where}): known are {known}")
    if first["type"] == "missing":
        variable = f"{_PREFIX}{room}__{key}".upper()
        other = f", or {variable} in the environment" if len(first["loc"]) == 1 else ""
        return Misconfigured(f"[{room}] {key} is missing: set it in milepost.toml{other}")
    reason = _REASONS.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    reason = re.sub("^(Input|String) should (be )?", r"must \2", reason)
    if isinstance(first["input"], Mapping) and first["type"] == "value_error":  # of several keys together
        return Misconfigured(f"[{room}] {key or 'settings'} ({where}): {reason}")
    return Misconfigured(f"[{room}] {key} ({where}): {reason}, not {_without_secrets(first['input'])!r:.80}")


def _is_number(model: type[BaseModel], key: str) -> bool:
    """Whether a key takes numbers and has no true and false among its values."""
    kinds = set(re.findall(r"\b(int|float|bool|Any|object)\b", str(model.model_fields[key].annotation)))
    return bool(kinds) and kinds <= {"int", "float"}


def _without_secrets(value: object) -> object:
    """What was given, but for passwords: a message goes to logs and screens."""
    if isinstance(value, Mapping):
        return {key: "…" if key == "password" else _without_secrets(each) for key, each in value.items()}
    return re.sub(r"//[^/@]*@", "//…@", value) if isinstance(value, str) else value


def _table(model: type[BaseModel], where: Sequence[int | str]) -> type[BaseModel]:
    """The model of the table at `where`, as far as one can be told."""
    for name in where:
        if isinstance(name, str) and name in model.model_fields:
            annotation = model.model_fields[name].annotation
            kinds = (annotation, *get_args(annotation))
            model = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), model)
    return model


def find(config: Path | None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The settings file that `load` reads.

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
        if name.startswith(_PREFIX) and "__" in name:
            table, key = name.removeprefix(_PREFIX).lower().split("__", 1)
            if table not in ROOMS:
                raise Misconfigured(f"unknown variable {name}: after MILEPOST_ comes one of {', '.join(ROOMS).upper()}")
        elif name.startswith(_PREFIX) and not table and name not in _NO_SETTINGS:
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
