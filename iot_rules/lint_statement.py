"""Lint of a statement's meaning: operands that can never be, fields that nobody sends, levels that no topic has.

Each finding is something that AWS IoT accepts and that then never fires, or fires for everything.
"""

import difflib
from collections.abc import Iterator
from datetime import UTC, datetime

from contract.control_messages import Report, Status
from contract.telemetry import Telemetry
from contract.topics import UPLINK
from iot_rules.engine import TopicRule
from iot_rules.errors import TooMuch
from iot_rules.findings import WARNING, Finding
from iot_rules.sql import tree
from iot_rules.sql.functions.java_time import parse_instant
from iot_rules.sql.functions.joda_time import format_time
from iot_rules.sql.values import UNDEFINED, is_number, to_number
from iot_rules.sql.visitor import all_nodes, children
from iot_rules.topics import overlap

_ORDERED = frozenset(("<", "<=", ">", ">="))
_GUARDS = frozenset(("nanvl", "get_or_default", "isundefined", "isnull", "cast"))
_OPPOSITE = {"AND": "OR", "OR": "AND"}
_AS_A_VALUE = frozenset(_OPPOSITE)
_AS_A_CONDITION = frozenset(("OR",))
_CONFUSED = (
    ("%", "patterns are Joda-Time's (yyyy-MM-dd), not those of C"),
    ("yy/mm", "MM is the month, mm the minute"),
    ("mm/yy", "MM is the month, mm the minute"),
    ("DD", "dd is the day of the month, DD the day of the year"),
    ("YYYY", "yyyy is the year, YYYY the year of the week or the era"),
    ("HH:MM", "mm is the minute, MM the month"),
    ("hh:mm", "HH is the hour of the day, hh that of the half day"),
)
_SOME_DAY = datetime(2026, 7, 28, 13, 45, 59, tzinfo=UTC)
_TELEMETRY, _BATCH, _REPORT, _STATUS = UPLINK
_FIELDS = {
    _TELEMETRY: dict.fromkeys(Telemetry.model_fields),
    _REPORT: dict.fromkeys(field.alias or name for name, field in Report.model_fields.items()),
    _STATUS: dict.fromkeys(Status.model_fields),
    _BATCH: {"records": None},
}


def statement_meaning(rule: TopicRule) -> Iterator[Finding]:
    """Every finding on what the statement means, in the order of the text."""
    statement = rule.statement
    roots = [node for _, node in statement.variables] + [column.expression for column in statement.columns]
    yield from expressions_meaning(rule, roots, condition=statement.where)
    yield from _aliases(rule)


def expressions_meaning(
    rule: TopicRule, roots: list[tree.Node], *, condition: tree.Node | None = None
) -> Iterator[Finding]:
    """What is wrong with expressions of a statement or a template, over the messages that the rule's filter takes.

    Args:
        rule: whose.
        roots: the expressions whose values are used.
        condition: one that is only asked whether it is true.

    Returns:
        A finding for each level, comparison, date or field that cannot be meant, and for each AND or OR whose outcome
        AWS documents in two ways.
    """
    places = [(root, _AS_A_VALUE) for root in roots]
    places += [(condition, _AS_A_CONDITION)] if condition is not None else []
    for root, _ in places:
        for node in sorted(all_nodes(root), key=lambda each: each.position):
            yield from _node(rule, node)
    yield from _fields(rule, [root for root, _ in places])
    for root, decisive in places:
        yield from _operands(rule, root, decisive)


def _node(rule: TopicRule, node: tree.Node) -> Iterator[Finding]:
    if isinstance(node, tree.Binary) and node.operator in _ORDERED | {"=", "<>"}:
        yield from _comparison(rule, node)
    elif isinstance(node, tree.Call) and node.function == "topic" and node.arguments:
        yield from _level(rule, node)
    elif isinstance(node, tree.Call) and node.function in ("parse_time", "time_to_epoch"):
        yield from _date(rule, node)


def _comparison(rule: TopicRule, node: tree.Binary) -> Iterator[Finding]:
    for side, other in ((node.left, node.right), (node.right, node.left)):
        if not isinstance(side, tree.Literal) or not isinstance(side.value, str):
            continue
        never = to_number(side.value) is UNDEFINED
        if node.operator in _ORDERED and never:
            what = f"{side.value!r} is a string and no number: {node.operator} is always Undefined"
        elif node.operator in ("=", "<>") and isinstance(other, tree.Literal) and is_number(other.value):
            what = f"{side.value!r} is a string and is never equal to a number"
        else:
            continue
        remedy = f"write {side.value} without quotes" if side.value.isidentifier() else "compare numbers"
        yield Finding(rule.name, "string", what, remedy, side.position)


def _level(rule: TopicRule, node: tree.Call) -> Iterator[Finding]:
    index, wanted = node.arguments[0], rule.statement.topic_filter
    if not isinstance(index, tree.Literal) or not isinstance(index.value, int) or wanted is None:
        return
    levels = wanted.split("/")
    if index.value < 1:
        yield Finding(
            rule.name, "topic-level", f"topic({index.value}): levels count from 1", "write topic(1)", node.position
        )
    elif index.value > len(levels) and levels[-1] != "#":
        yield Finding(
            rule.name, "topic-level", f"topic({index.value}) is always Undefined: {wanted} has {len(levels)} levels",
            f"write topic(1) to topic({len(levels)})", node.position,
        )  # fmt: skip


def _date(rule: TopicRule, node: tree.Call) -> Iterator[Finding]:
    """A literal pattern that is none, or that says minutes where months are meant."""
    at = 0 if node.function == "parse_time" else 1
    pattern = node.arguments[at] if len(node.arguments) > at else None
    if not isinstance(pattern, tree.Literal) or not isinstance(pattern.value, str):
        return
    text = pattern.value
    if not _valid(node.function, text):
        yield Finding(
            rule.name, "date", f"{text!r} is no pattern of {node.function}(): the result is always Undefined",
            "see its pattern letters in the AWS IoT SQL reference", pattern.position,
        )  # fmt: skip
        return
    spaced = text.replace("-", "/").replace(".", "/")
    for wrong, meant in _CONFUSED:
        if wrong in spaced and not (wrong == "hh:mm" and "a" in text):
            yield Finding(rule.name, "date", f"{text!r}: {meant}", "mend the pattern", pattern.position, level=WARNING)
            return


def _valid(function: str, pattern: str) -> bool:
    try:
        shown = format_time(pattern, _SOME_DAY, "UTC")
        if function == "parse_time":
            return shown is not None
        return shown is None or parse_instant(shown, pattern) is not None
    except (TooMuch, ValueError):
        return True


# -- fields


def _fields(rule: TopicRule, roots: list[tree.Node]) -> Iterator[Finding]:
    """Names that none of the messages that the filter lets through has."""
    wanted = rule.statement.topic_filter
    sent = [uplink for uplink in UPLINK if wanted is not None and overlap(wanted, uplink)]
    if not sent:
        return
    known = {name for uplink in sent for name in _FIELDS[uplink]}
    seen: set[tuple[str, ...]] = set()
    for path, position in (found for root in roots for found in _paths(root)):
        if path in seen:
            continue
        seen.add(path)
        wrong = _unknown(path, known, in_telemetry=sent == [_TELEMETRY])
        if wrong is not None:
            name, choices = wrong
            close = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
            remedy = (
                f"did you mean {close[0]}?" if close else "a field of your own? Then it is Undefined where it is absent"
            )
            yield Finding(
                rule.name, "field", f"no {_spoken(sent)} has a field {'.'.join(path)}", remedy, position, level=WARNING
            )


def _spoken(sent: list[str]) -> str:
    return "message on " + " or ".join(sent)


def _unknown(path: tuple[str, ...], known: set[str], *, in_telemetry: bool) -> tuple[str, list[str]] | None:
    """The first part of a path that does not exist, and what exists there."""
    if path[0] not in known:
        return path[0], sorted(known)
    fields = Telemetry.model_fields
    for name in path[1:] if in_telemetry else ():
        above = fields.get(path[path.index(name) - 1])
        model = next((each for each in _models(above.annotation if above else None)), None)
        if model is None:
            return None
        fields = getattr(model, "model_fields", {})
        if name not in fields:
            return name, sorted(fields)
    return None


def _models(annotation: object) -> list[type]:
    parts = [annotation, *getattr(annotation, "__args__", ())]
    nested = [inner for part in parts for inner in getattr(part, "__args__", ())]
    return [part for part in (*parts, *nested) if isinstance(part, type) and hasattr(part, "model_fields")]


def _paths(root: tree.Node) -> Iterator[tuple[tuple[str, ...], int]]:
    """The longest dotted names of an expression that mean the payload; the rows of nested queries are none."""
    stack: list[tree.Node] = [root]
    while stack:
        node = stack.pop()
        path = _path(node)
        if path:
            yield path, node.position
        elif isinstance(node, tree.Query):
            stack.append(node.source)
        else:
            stack.extend(children(node))


def _path(node: tree.Node) -> tuple[str, ...]:
    names: list[str] = []
    while isinstance(node, tree.Member):
        names.append(node.name)
        node = node.owner
    return (node.name, *reversed(names)) if isinstance(node, tree.Name) else ()


def _aliases(rule: TopicRule) -> Iterator[Finding]:
    """WHERE sees the payload, not the columns: an alias there is Undefined, unless a field has its name."""
    statement = rule.statement
    if statement.where is None:
        return
    named = {column.alias[0] for column in statement.columns if column.alias}
    fields = {name for known in _FIELDS.values() for name in known}
    for path, position in _paths(statement.where):
        if path[0] in named - fields:
            yield Finding(
                rule.name, "alias-in-where", f"WHERE does not see the alias {path[0]}: it is Undefined there",
                "repeat the expression, or set it in SET @name = …", position,
            )  # fmt: skip


def _operands(rule: TopicRule, root: tree.Node, decisive: frozenset[str]) -> Iterator[Finding]:
    """Where the outcome depends on how AWS IoT takes `true OR Undefined` or `false AND Undefined`.

    Args:
        rule: whose; its SET variables may be Undefined as their expressions may.
        root: an expression.
        decisive: the operators of which the reading matters there. A condition asks only whether it is true, so OR
            alone matters (under NOT, AND alone); as a value both do: a column, a variable, an argument.

    Returns:
        A warning for each AND or OR.
    """
    unsure = _unsure_variables(rule)
    stack = [(root, decisive)]
    while stack:
        node, decisive = stack.pop()
        if isinstance(node, tree.Not):
            stack.append((node.operand, frozenset(_OPPOSITE[one] for one in decisive)))
        elif isinstance(node, tree.Binary) and node.operator in _OPPOSITE:
            sides = (node.left, node.right)
            if node.operator in decisive and any(_may_be_undefined(side, unsure) for side in sides):
                yield Finding(
                    rule.name, "undefined-operand",
                    f"{node.operator} with an operand that may be Undefined: AWS IoT's table and its prose differ on "
                    "it", "give the field a value where it is absent: nanvl(field, 0)", node.position, level=WARNING,
                )  # fmt: skip
                stack += [(below, _AS_A_VALUE) for side in sides for below in _parts(side)]
            else:
                stack += [(side, decisive) for side in sides]
        elif isinstance(node, tree.Query):
            stack += [(node.source, _AS_A_VALUE), *((column.expression, _AS_A_VALUE) for column in node.columns)]
            stack += [(node.where, _AS_A_CONDITION)] if node.where is not None else []
        else:
            stack += [(child, _AS_A_VALUE) for child in children(node)]


def _parts(node: tree.Node) -> list[tree.Node]:
    """What lies below the ANDs, ORs and NOTs of an operand, since one warning is enough for all of these."""
    if isinstance(node, tree.Not) or (isinstance(node, tree.Binary) and node.operator in _OPPOSITE):
        return [part for child in children(node) for part in _parts(child)]
    return [node]


def _unsure_variables(rule: TopicRule) -> set[str]:
    unsure: set[str] = set()
    for name, node in rule.statement.variables:
        if _may_be_undefined(node, unsure):
            unsure.add(name)
    return unsure


def _may_be_undefined(node: tree.Node, unsure: set[str]) -> bool:
    """Whether an operand reads a field that may be absent or null, or a variable made of one, and is not guarded."""
    if isinstance(node, tree.Call) and node.function in _GUARDS:
        return False
    if isinstance(node, tree.Variable):
        return node.name in unsure
    if isinstance(node, tree.Name | tree.Member | tree.Index):
        path = _path(node)
        required = path and path[0] in ("truck_id", "stream_id", "seq", "sampled_at", "schema_version")
        return not required
    return any(_may_be_undefined(child, unsure) for child in children(node))
