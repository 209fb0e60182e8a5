"""Golden cases of statements and templates: `milepost rules test CASES.jsonl` (docs/rules.md has the form).

A case is `{"id", "sql", "topic", "payload", "expect"}` and, optional, `template`, `aws_iot_sql_version`, `clientid`,
`timestamp`, `accountid`, `traceid`, `principal`, `rule_name`; other keys are ignored. Numbers are compared by value,
as doubles where one has a fraction; keys in any order.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from contract import machine_clock
from contract.errors import MilepostError, Misconfigured
from iot_rules.errors import SqlError
from iot_rules.sql import (
    LATEST,
    NO_MATCH,
    UNDEFINED,
    Failed,
    MessageContext,
    PublishedMessage,
    Rendered,
    Statement,
    Surroundings,
    Value,
    compile_statement,
    dump,
    equal,
    parse_json,
    parse_template,
    render,
    run,
)
from iot_rules.sql.values import is_number
from iot_rules.topics import matches

_FLOAT_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one case went. reason: "" if it passed. actual: as JSON would say it, with $no_match and its like."""

    case_id: str
    line: int
    passed: bool
    expected: Any
    actual: Any
    reason: str = ""


def read_cases(text: str, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, case) of a JSON Lines text; blank lines are skipped. Raises Misconfigured."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        case = parse_json(line)
        if not isinstance(case, dict) or "expect" not in case or not ("sql" in case or "template" in case):
            raise Misconfigured(f'{name}:{number}: a case is {{"id", "sql", "topic", "payload", "expect"}} on one line')
        yield number, case


def check_case(case: dict[str, Any], line: int = 0) -> Verdict:
    """Run one case and compare."""
    name, expected = str(case.get("id", line)), case["expect"]
    try:
        output = case_output(case)
    except SqlError as error:
        shown = {"$error": str(error)}
        return Verdict(name, line, expected == {"$error": True}, expected, shown, error.caret())
    except MilepostError as error:
        return Verdict(name, line, False, expected, {"$error": str(error)}, str(error))
    passed = meets(output, expected)
    return Verdict(name, line, passed, expected, shown_output(output), "" if passed else "the output differs")


def case_output(case: dict[str, Any]) -> Value:
    """The output of a case: as of `run`, or `Rendered` of a template. Raises SqlError, Misconfigured."""
    version = case.get("aws_iot_sql_version") or LATEST
    arrival = MessageContext(_message(case), Surroundings(account_id=str(case.get("accountid") or "123456789012")))
    statement = compile_statement(case["sql"], version) if case.get("sql") is not None else None
    variables: dict[str, Value] = {}
    output: Value = UNDEFINED
    if statement is not None:
        output = run_on_topic(statement, arrival, case.get("rule_name"), variables)
    if "template" not in case or output is NO_MATCH or isinstance(output, Failed):
        return output
    names = frozenset(name for name, _ in statement.variables) if statement else frozenset()
    return render(parse_template(case["template"], version, names), arrival, variables)


def run_on_topic(
    statement: Statement,
    arrival: MessageContext,
    rule_name: str | None = None,
    variables: dict[str, Value] | None = None,
) -> Value:
    """`run`, if the statement's topic filter matches; a rule_name must be the one that Basic Ingest names."""
    wanted = statement.topic_filter
    if arrival.rule is not None and rule_name is not None and arrival.rule != rule_name:
        return NO_MATCH
    if wanted is None and arrival.rule is None:
        return NO_MATCH
    if wanted is not None and not matches(wanted, arrival.topic):
        return NO_MATCH
    return run(statement, arrival, variables)


def _message(case: dict[str, Any]) -> PublishedMessage:
    timestamp = case.get("timestamp")
    return PublishedMessage(
        topic=str(case.get("topic", "")),
        payload=_bytes(case["payload"]) if "payload" in case else b"{}",
        client_id=case.get("clientid"),
        timestamp_ms=int(timestamp) if timestamp is not None else machine_clock.now_ms(),
        principal=case.get("principal"),
        trace_id=case.get("traceid"),
        source_ip=case.get("sourceip"),
        properties=case.get("mqtt_properties") or {},
        user_properties=tuple((key, value) for key, value in case.get("user_properties") or ()),
    )


def _bytes(payload: Value) -> bytes:
    if isinstance(payload, dict) and len(payload) == 1:
        kind, content = next(iter(payload.items()))
        if kind == "$text" and isinstance(content, str):
            return content.encode("utf-8", "replace")
        if kind == "$base64" and isinstance(content, str):
            return _base64(content)
    return dump(payload)


def _base64(content: str) -> bytes:
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise Misconfigured(f"$base64 of {content!r} is not base64: mend the case") from None


def shown_output(output: Value) -> Value:
    """An output as JSON: markers for what is none ($no_match, $undefined, $failed, $base64)."""
    if output is NO_MATCH:
        return {"$no_match": True}
    if output is UNDEFINED:
        return {"$undefined": True}
    if isinstance(output, Failed):
        return {"$failed": output.reason}
    if isinstance(output, bytes):
        parsed = parse_json(output.decode("utf-8", "replace"))
        return parsed if parsed is not UNDEFINED else {"$base64": base64.b64encode(output).decode("ascii")}
    if isinstance(output, Rendered):
        return {"$failed": output.failed} if output.failed else output.text
    return output


def meets(output: Value, expected: Value) -> bool:
    """Whether an output is what a case expects."""
    if expected == {"$no_match": True}:
        return output is NO_MATCH
    if expected == {"$undefined": True}:
        return output is UNDEFINED or (isinstance(output, Rendered) and bool(output.undefined))
    if output is NO_MATCH or output is UNDEFINED or isinstance(output, Failed):
        return False
    if isinstance(output, Rendered):
        return not output.failed and same(output.text, expected)
    if isinstance(expected, dict) and expected.keys() == {"$base64"} and isinstance(expected["$base64"], str):
        return dump(output) == _base64(expected["$base64"])
    if isinstance(output, bytes):
        return _bytes_meet(output, expected)
    return same(output, expected)


def _bytes_meet(output: bytes, expected: Value) -> bool:
    text = output.decode("utf-8", "replace")
    parsed = parse_json(text)
    return same(text if parsed is UNDEFINED else parsed, expected)


def same(output: Value, expected: Value) -> bool:
    """Equality of JSON values, but where the expected one is a condition.

    A member expected to be `{"$undefined": true}` must be absent; `{"$between": [low, high]}` is met by numbers from
    low to high, `{"$regex": "…"}` by a string that the expression matches whole.
    """
    if (condition := _condition(expected)) is not None:
        return condition(output)
    if isinstance(output, dict) and isinstance(expected, dict):
        wanted = {key: value for key, value in expected.items() if value != {"$undefined": True}}
        return output.keys() == wanted.keys() and all(same(output[key], wanted[key]) for key in wanted)
    if isinstance(output, list) and isinstance(expected, list):
        return len(output) == len(expected) and all(map(same, output, expected))
    if is_number(output) and is_number(expected):
        return _same_number(output, expected)
    return equal(output, expected)


def _condition(expected: Value) -> Callable[[Value], bool] | None:
    if not isinstance(expected, dict) or len(expected) != 1:
        return None
    ((kind, given),) = expected.items()
    if kind == "$between":
        if not (isinstance(given, list) and len(given) == 2 and all(map(is_number, given))):
            raise Misconfigured(f"$between {given!r:.60} must be [low, high], two numbers: mend the case")
        low, high = given
        return lambda output: is_number(output) and low <= output <= high
    if kind == "$regex":
        try:
            expression = re.compile(given)
        except (re.error, TypeError) as error:
            raise Misconfigured(f"$regex {given!r:.60} is no regular expression ({error}): mend the case") from None
        return lambda output: isinstance(output, str) and expression.fullmatch(output) is not None
    return None


def _same_number(output: int | Decimal, expected: int | Decimal) -> bool:
    if output == expected:
        return True
    fractional = any(isinstance(number, Decimal) and number % 1 for number in (output, expected))
    if not fractional or max(abs(Decimal(output)), abs(Decimal(expected))).adjusted() > _FLOAT_LIMIT:
        return False
    return float(output) == float(expected)
