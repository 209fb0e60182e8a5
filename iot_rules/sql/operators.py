"""The operators, each by its table (reference page: iot-sql-operators)."""

from collections.abc import Callable

from iot_rules.errors import TooMuch
from iot_rules.sql import numbers
from iot_rules.sql.values import MAX_TEXT, UNDEFINED, Value, equal, is_number, to_boolean, to_number, to_text


def plus(left: Value, right: Value) -> Value:
    """A String on either side concatenates; numbers add; anything else is Undefined."""
    if isinstance(left, str) or isinstance(right, str):
        first, second = to_text(left), to_text(right)
        if first is UNDEFINED or second is UNDEFINED:
            return UNDEFINED
        if len(first) + len(second) > MAX_TEXT:
            raise TooMuch(f"+ makes a String of more than {MAX_TEXT:,} characters: select less")
        return first + second
    return numbers.add(left, right) if is_number(left) and is_number(right) else UNDEFINED


def equals(left: Value, right: Value) -> Value:
    """Undefined with anything is Undefined; different types are not equal."""
    return UNDEFINED if left is UNDEFINED or right is UNDEFINED else equal(left, right)


def differs(left: Value, right: Value) -> Value:
    """The opposite of equals."""
    return UNDEFINED if left is UNDEFINED or right is UNDEFINED else not equal(left, right)


def both(left: Value, right: Value) -> Value:
    """AND of Booleans, or "true" and "false" in any case; another operand makes it Undefined.

    `false AND Undefined` is false, by analogy with OR (docs/rules.md names both readings).
    """
    first, second = to_boolean(left), to_boolean(right)
    if first is UNDEFINED or second is UNDEFINED:
        return _decided(left, right, by=False)
    return first and second


def either(left: Value, right: Value) -> Value:
    """OR, with the operands of AND. `true OR Undefined` is true, by the page's prose: "true if either is true"."""
    first, second = to_boolean(left), to_boolean(right)
    if first is UNDEFINED or second is UNDEFINED:
        return _decided(left, right, by=True)
    return first or second


def _decided(left: Value, right: Value, *, by: bool) -> Value:
    """The result where one operand is Undefined and the other decides; Undefined where it does not."""
    known = right if left is UNDEFINED else left if right is UNDEFINED else UNDEFINED
    return by if to_boolean(known) is by else UNDEFINED


def negation(operand: Value) -> Value:
    """NOT"""
    truth = to_boolean(operand)
    return UNDEFINED if truth is UNDEFINED else not truth


def within(left: Value, right: Value) -> Value:
    """IN: whether an Array holds an Int, Decimal, String, Array or Object; other operands are Undefined."""
    if not isinstance(right, list) or not (is_number(left) or isinstance(left, str | list | dict)):
        return UNDEFINED
    return any(equal(left, item) for item in right)


def _ordered(compare: Callable[[Value, Value], bool]) -> Callable[[Value, Value], Value]:
    def operator(left: Value, right: Value) -> Value:
        first, second = to_number(left), to_number(right)
        return UNDEFINED if first is UNDEFINED or second is UNDEFINED else compare(first, second)

    return operator


OPERATORS: dict[str, Callable[[Value, Value], Value]] = {
    "+": plus,
    "-": numbers.subtract,
    "*": numbers.multiply,
    "/": numbers.divide,
    "%": numbers.remainder,
    "=": equals,
    "<>": differs,
    "<": _ordered(lambda left, right: bool(left < right)),
    "<=": _ordered(lambda left, right: bool(left <= right)),
    ">": _ordered(lambda left, right: bool(left > right)),
    ">=": _ordered(lambda left, right: bool(left >= right)),
    "AND": both,
    "OR": either,
    "IN": within,
}
