"""Types: cast, isNull, isUndefined, nanvl, get_or_default. Page: iot-sql-functions."""

from decimal import ROUND_FLOOR, Decimal

from iot_rules.sql import numbers
from iot_rules.sql.expressions import CAST_KEYWORDS
from iot_rules.sql.functions.registry import function
from iot_rules.sql.scope import Scope
from iot_rules.sql.values import UNDEFINED, Value, is_number, to_boolean, to_number, to_text


def cast(value: Value, keyword: str) -> Value:
    """cast(value as keyword), by the casting rules of the page: iot-sql-function-cast.

    The page's table gives String to String the row of Boolean; the value itself is meant, as the conversions say.
    """
    kind = CAST_KEYWORDS[keyword]
    if kind == "string":
        return to_text(value)
    if kind == "boolean":
        return value != 0 if is_number(value) else to_boolean(value)
    number = Decimal(int(value)).quantize(Decimal("1.0")) if isinstance(value, bool) else to_number(value)
    if number is UNDEFINED:
        return UNDEFINED
    if kind == "int":
        return numbers.into_range(number if isinstance(number, int) else int(number.to_integral_value(ROUND_FLOOR)))
    if kind == "double":
        return _double(number)
    return Decimal(number)


def _double(number: int | Decimal) -> Value:
    try:
        return numbers.from_double(float(number))
    except OverflowError:
        return UNDEFINED


@function("isnull", 1, 1)
def _is_null(values: list[Value], scope: Scope) -> Value:
    """isNull(value). Page: iot-sql-function-isNull."""
    return values[0] is None


@function("isundefined", 1, 1, latest_only=True)
def _is_undefined(values: list[Value], scope: Scope) -> Value:
    """isUndefined(value). Page: iot-sql-function-isUndefined."""
    return values[0] is UNDEFINED


@function("nanvl", 2, 2)
def _nanvl(values: list[Value], scope: Scope) -> Value:
    """nanvl(value, fallback): the fallback for Null and Undefined (NaN cannot arise). Page: iot-func-nanvl."""
    return values[1] if values[0] is None or values[0] is UNDEFINED else values[0]


@function("get_or_default", 1, 2, latest_only=True)
def _get_or_default(values: list[Value], scope: Scope) -> Value:
    """get_or_default(expression, default): evaluated by the evaluator, since the expression may fail."""
    return values[0]
