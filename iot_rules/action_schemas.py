"""What AWS IoT's API takes: parameters, required ones, their types and choices, from the model that botocore ships.

Without botocore (a machine that never deploys) nothing is checked here, and `available` is False.
"""

import difflib
from collections.abc import Iterator
from functools import cache
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "boolean": (bool,), "integer": (int,), "long": (int,), "double": (int, float),
    "float": (int, float), "structure": (dict,), "map": (dict,), "list": (list,), "timestamp": (int, str),
    "blob": (str,),
}  # fmt: skip


@cache
def _shapes() -> dict[str, Any]:
    try:
        from botocore.loaders import Loader
    except ImportError:
        return {}
    shapes: dict[str, Any] = Loader().load_service_model("iot", "service-2")["shapes"]
    return shapes


def available() -> bool:
    """Whether the API's model is installed."""
    return bool(_shapes())


@cache
def kinds() -> frozenset[str]:
    """The actions that AWS IoT has; empty without the model."""
    return frozenset(_shapes()["Action"]["members"]) if available() else frozenset()


def problems(document: object) -> Iterator[tuple[str, str, str]]:
    """Path, message and remedy of everything in a CreateTopicRule input that the API's model refuses."""
    if available():
        yield from _value(document, "CreateTopicRuleRequest", "")


def _value(value: object, shape_name: str, path: str) -> Iterator[tuple[str, str, str]]:
    shape = _shapes()[shape_name]
    kind = shape["type"]
    wrong = not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")
    if wrong:
        yield (
            path,
            f"{path or 'the document'} is {_named(value)}, and must be {_KINDS[kind]}",
            f"make it {_KINDS[kind]}",
        )
    elif kind == "structure" and isinstance(value, dict):
        yield from _structure(value, shape, path)
    elif kind == "list" and isinstance(value, list):
        for at, item in enumerate(value):
            yield from _value(item, shape["member"]["shape"], f"{path}[{at}]")
    elif kind == "map" and isinstance(value, dict):
        for key, item in value.items():
            yield from _value(item, shape["value"]["shape"], f"{path}.{key}")
    elif "enum" in shape and value not in shape["enum"] and "$" not in str(value):
        allowed = ", ".join(shape["enum"])
        yield path, f"{path} is {value!r}, and AWS IoT takes only {allowed}", f"write one of {allowed}"
    elif kind in ("integer", "long") and not _within(value, shape):
        yield path, f"{path} is {value}: AWS IoT takes {shape.get('min', '')} to {shape.get('max', '')}", "mend it"


_KINDS = {
    "string": "a string", "boolean": "true or false", "integer": "a whole number", "long": "a whole number",
    "double": "a number", "float": "a number", "structure": "an object", "map": "an object", "list": "an array",
    "timestamp": "a time", "blob": "a string",
}  # fmt: skip


def _named(value: object) -> str:
    for kind, name in ((bool, "true or false"), (str, "a string"), (int | float, "a number"), (list, "an array")):
        if isinstance(value, kind):
            return name
    return "null" if value is None else "an object"


def _within(value: object, shape: dict[str, Any]) -> bool:
    return not isinstance(value, int) or shape.get("min", value) <= value <= shape.get("max", value)


def _structure(value: dict[str, Any], shape: dict[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    members = shape["members"]
    for name in shape.get("required", []):
        if name not in value:
            yield (
                f"{path}.{name}".strip("."),
                f"{path or 'the document'} has no {name}, which is required",
                f"add {name}",
            )
    for name, below in value.items():
        at = f"{path}.{name}".strip(".")
        if name in members:
            yield from _value(below, members[name]["shape"], at)
            continue
        folded = {member.lower(): member for member in members}
        close = [folded[name.lower()]] if name.lower() in folded else difflib.get_close_matches(name, members, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"it has {', '.join(sorted(members))}"
        yield at, f"AWS IoT knows no {at}", remedy
