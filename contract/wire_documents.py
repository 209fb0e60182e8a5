"""Documents of the wire, judged without pydantic where that is certain: on a truck it costs 9 MB and half of the start.

The models are the definition. What is read here is the JSON Schema that is generated from them (contract/schemas), with
one rule: a document is plain only where its model is certain to accept it as it is. Whatever else comes is the model's
to judge, and to word what is wrong.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from contract.codec import Json, is_unicode
from contract.errors import Rejected

FOLDER = Path(__file__).parent / "schemas"

Judge = Callable[[Any], bool]
Node = dict[str, Any]

_SAYS_NOTHING = {"$schema", "$defs", "title", "description", "default", "unit", "format"}
_LARGEST = 2**63


class Fault(NamedTuple):
    """One thing that is wrong. where: keys and places in lists; kind, reason: pydantic's; value: what was found."""

    where: tuple[int | str, ...]
    kind: str
    reason: str
    value: object


class Unfit(Rejected):
    """A document that its model refuses; faults: at least one."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(".".join(str(part) for part in faults[0].where), faults[0].reason)
        self.faults = faults


def understood(name: str, document: Json) -> Json:
    """A document as its model reads it.

    Args:
        name: of its schema, such as `resend`.
        document: as `codec.parse` gives it.

    Returns:
        The document itself where it is plain; else what the model makes of it, with no key that was not there.

    Raises:
        Unfit: the model refuses it.
    """
    if is_plain(name, document):
        return document
    from pydantic import ValidationError

    from contract.wire_models import MODELS

    try:
        return MODELS[name].model_validate(document).model_dump(by_alias=True, exclude_unset=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise Unfit([Fault(each["loc"], each["type"], each["msg"], each["input"]) for each in found]) from None


def is_plain(name: str, document: Json) -> bool:
    """Whether the model is certain to accept a document as it is.

    Args:
        name: of its schema.
        document: as `codec.parse` gives it, or as a program makes it.

    Returns:
        False where the model must be asked.
    """
    return _judge_of(name)(document)


@cache
def schema(name: str) -> Node:
    """One of the generated schemas.

    Args:
        name: such as `telemetry`.

    Returns:
        It, for no one to change.
    """
    found: Node = json.loads((FOLDER / f"{name}.schema.json").read_text("utf-8"))
    return found


@cache
def _judge_of(name: str) -> Judge:
    whole = schema(name)
    judge, beyond = _judge(whole, whole.get("$defs", {})), _BEYOND_THE_SCHEMA.get(name)
    return (lambda document: judge(document) and beyond(document)) if beyond else judge


def _ascending(resend: Json) -> bool:
    return all(first <= last for first, last in resend["ranges"])


_BEYOND_THE_SCHEMA: dict[str, Judge] = {"resend": _ascending}
"""What a model demands that JSON Schema has no word for."""


def _judge(node: Node, definitions: Node) -> Judge:
    if "$ref" in node:
        return _judge(definitions[node["$ref"].removeprefix("#/$defs/")], definitions)
    if "anyOf" in node:
        judges = [_judge(each, definitions) for each in node["anyOf"]]
        return lambda value: any(judge(value) for judge in judges)
    make, known = _KINDS[node["type"]]
    if unknown := node.keys() - _SAYS_NOTHING - {"type", *known}:
        raise NotImplementedError(f"a schema says {', '.join(sorted(unknown))} of a {node['type']}: read that here")
    return make(node, definitions)


def _null(node: Node, _: Node) -> Judge:
    return lambda value: value is None


def _boolean(node: Node, _: Node) -> Judge:
    return lambda value: value is True or value is False


def _integer(node: Node, _: Node) -> Judge:
    low, high = node.get("minimum", 1 - _LARGEST), node.get("maximum", _LARGEST - 1)
    return lambda value: type(value) is int and low <= value <= high


def _number(node: Node, _: Node) -> Judge:
    low, high, above = node.get("minimum", -inf), node.get("maximum", inf), node.get("exclusiveMinimum", -inf)
    return lambda value: (
        type(value) in (float, int) and low <= value <= high and above < value and -_LARGEST < value < _LARGEST
    )


def _string(node: Node, _: Node) -> Judge:
    if "enum" in node:
        allowed = frozenset(node["enum"])
        return lambda value: type(value) is str and value in allowed
    least, most = node.get("minLength", 0), node.get("maxLength", inf)
    matches = _matching(node["pattern"]) if "pattern" in node else is_unicode
    return lambda value: type(value) is str and least <= len(value) <= most and matches(value)


def _matching(pattern: str) -> Judge:
    assert pattern[0] == "^"
    assert pattern[-1] == "$"
    whole = re.compile(pattern[1:-1], re.ASCII).fullmatch
    return lambda text: whole(text) is not None


def _array(node: Node, definitions: Node) -> Judge:
    least, most = node.get("minItems", 0), node.get("maxItems", inf)
    if "prefixItems" in node:
        judges = [_judge(each, definitions) for each in node["prefixItems"]]
        return lambda value: (
            type(value) is list
            and len(value) == len(judges)
            and all(judge(item) for judge, item in zip(judges, value, strict=True))
        )
    fits = _judge(node["items"], definitions)
    return lambda value: type(value) is list and least <= len(value) <= most and all(map(fits, value))


def _object(node: Node, definitions: Node) -> Judge:
    known = {key: _judge(each, definitions) for key, each in node.get("properties", {}).items()}
    required, most = set(node.get("required", ())), node.get("maxProperties", inf)
    others = _other_keys(node, definitions)

    def judge(value: Any) -> bool:
        if type(value) is not dict or not required <= value.keys() or len(value) > most:
            return False
        return all(known[key](item) if key in known else others(key, item) for key, item in value.items())

    return judge


def _other_keys(node: Node, definitions: Node) -> Callable[[Any, Any], bool]:
    """What is said of keys that are no properties."""
    if "patternProperties" in node:
        ((pattern, kind),) = node["patternProperties"].items()
        matches, fits = _matching(pattern), _judge(kind, definitions)
        return lambda key, value: type(key) is str and matches(key) and fits(value)
    kind = node.get("additionalProperties", False)
    if isinstance(kind, dict):
        fits = _judge(kind, definitions)
        return lambda key, value: type(key) is str and is_unicode(key) and fits(value)
    return lambda key, value: False  # where others are allowed the model may be asked: nobody of ours sends any


_KINDS: dict[str, tuple[Callable[[Node, Node], Judge], set[str]]] = {
    "null": (_null, set()),
    "boolean": (_boolean, set()),
    "integer": (_integer, {"minimum", "maximum"}),
    "number": (_number, {"minimum", "maximum", "exclusiveMinimum"}),
    "string": (_string, {"enum", "pattern", "minLength", "maxLength"}),
    "array": (_array, {"items", "prefixItems", "minItems", "maxItems"}),
    "object": (
        _object,
        {"properties", "required", "additionalProperties", "patternProperties", "maxProperties"},
    ),
}
"""JSON's kinds: how each is judged, and the words of a schema that are read for it; any other word is an error."""
