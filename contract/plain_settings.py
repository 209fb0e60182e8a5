"""Settings of a program that runs where memory is dear: dataclasses, taken from a file's table without pydantic.

The dataclass is the definition: its keys, types, defaults, and the marks in its annotations (below). `taken` says
yes only where every value is of the plainest kind and within its bounds; whatever else comes is judged by
contract.settings, which asks pydantic with the same dataclass and words the refusal.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from contract.codec import is_unicode

Settings = TypeVar("Settings")


class Bounds(NamedTuple):
    """In an annotation of a number: at least `ge`, at most `le`, more than `gt`."""

    ge: float | None = None
    le: float | None = None
    gt: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        given = {name: bound for name, bound in self._asdict().items() if bound is not None}
        return {**handler(source), **given}

    def hold(self, value: float) -> bool:
        """Whether a number is within them.

        Args:
            value: of the annotated type.

        Returns:
            False also for NaN.
        """
        least = self.ge is None or value >= self.ge
        return least and (self.le is None or value <= self.le) and (self.gt is None or value > self.gt)


class Pattern(NamedTuple):
    """In an annotation of a text: it must match, from ^ to $."""

    pattern: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        return {**handler(source), "pattern": self.pattern}

    def hold(self, value: str) -> bool:
        """Whether a text matches.

        Args:
            value: the whole text.

        Returns:
            As pydantic finds.
        """
        return re.fullmatch(self.pattern, value) is not None


class Checked(NamedTuple):
    """In an annotation: what a function makes of a value of the right type; ValueError says what is wrong with it."""

    check: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))


class TableSettings:
    """What the dataclass of a table derives from: an unknown key is an error, and a number no boolean.

    What holds of several keys together is checked in `__post_init__`, by ValueError.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - pydantic's name, and no field

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        kinds = get_type_hints(cls)
        check: Callable[[Any], Any] = lambda given: no_boolean_for_a_number(given, kinds)  # noqa: E731
        return core_schema.no_info_before_validator_function(check, handler(source))


def no_boolean_for_a_number(given: Any, kinds: Mapping[str, Any]) -> Any:
    """What was given for a table, unless it has true or false where only a number can be meant.

    Args:
        given: anything.
        kinds: key → type.

    Returns:
        It.

    Raises:
        ValueError: naming the key.
    """
    for key, value in given.items() if isinstance(given, Mapping) else ():
        if isinstance(value, bool) and key in kinds:
            words = set(re.findall(r"\b(int|float|bool|Any|object)\b", str(kinds[key])))
            if words and words <= {"int", "float"}:
                raise ValueError(f"{key} must be a number, not true or false")
    return given


class _NotPlain(ValueError):
    """Pydantic must be asked."""


def taken(model: type[Settings], table: Mapping[str, Any]) -> Settings | None:
    """The settings that a table gives, where that is certain without pydantic.

    Args:
        model: a dataclass whose annotations are of the kinds and marks that are read here.
        table: as TOML gives it.

    Returns:
        None where a value is wrong, or not plain, such as "5" for a number.
    """
    try:
        settings: Settings = _instance(model, table)
    except ValueError:
        return None
    return settings


def _instance(model: Any, table: object) -> Any:
    kinds = get_type_hints(model, include_extras=True)
    needed = {each.name for each in fields(model) if each.default is each.default_factory is MISSING}
    if not isinstance(table, dict) or not needed <= table.keys() <= kinds.keys():
        raise _NotPlain
    return model(**{key: _value(kinds[key], value) for key, value in table.items()})


def _value(kind: Any, value: object) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        value = _value(parts[0], value)
        for mark in parts[1:]:
            value = _marked(mark, value)
        return value
    if origin in (Union, UnionType):
        return _first_of(parts, value)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(parts[0], each) for each in value)
    if origin is dict and isinstance(value, dict):
        return {_value(parts[0], key): _value(parts[1], each) for key, each in value.items()}
    if origin is Literal and value in parts:
        return value
    return _instance(kind, value) if is_dataclass(kind) else _simple(kind, value)


def _first_of(kinds: tuple[Any, ...], value: object) -> Any:
    for kind in kinds:
        try:
            return _value(kind, value)
        except _NotPlain:
            continue
    raise _NotPlain


def _simple(kind: Any, value: Any) -> Any:
    if kind is float and type(value) in (int, float):
        return float(value)
    if kind in (str, Path) and type(value) is str and is_unicode(value):
        return kind(value)
    if kind in (int, bool, NoneType) and type(value) is kind:
        return value
    raise _NotPlain


def _marked(mark: Any, value: Any) -> Any:
    if isinstance(mark, Checked):
        return mark.check(value)
    if not mark.hold(value):
        raise _NotPlain
    return value
