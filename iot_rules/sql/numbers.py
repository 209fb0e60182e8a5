"""Arithmetic in 34 digits (reference pages: iot-sql-operators, iot-sql-data-types).

Int with Int gives Int; a Decimal, or a String that is one, on either side gives Decimal. What has no result, or
one beyond 9.99…E999, is UNDEFINED; nothing raises.
"""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal

from iot_rules.sql.values import MAX_EXPONENT, UNDEFINED, Undefined, Value, fit, to_number

CONTEXT = Context(prec=34, rounding=ROUND_HALF_EVEN, Emin=-MAX_EXPONENT, Emax=MAX_EXPONENT, traps=[])

Number = int | Decimal


def into_range(number: Number) -> Number | Undefined:
    """A result brought into range: too large or no number is Undefined, too small is 0."""
    if isinstance(number, int):
        fitted = fit(number)
        if isinstance(fitted, int):
            return fitted
        number = fitted
    number = CONTEXT.plus(number)
    if not number.is_finite():
        return UNDEFINED
    return Decimal(0) if number and number.adjusted() < -MAX_EXPONENT else number


def _divide_ints(left: int, right: int) -> int:
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _remainder_ints(left: int, right: int) -> int:
    return left - right * _divide_ints(left, right)


def _arithmetic(
    left: Value, right: Value, ints: Callable[[int, int], int], decimals: Callable[[Decimal, Decimal], Decimal]
) -> Number | Undefined:
    if type(left) is int and type(right) is int:
        return into_range(ints(left, right))
    first, second = to_number(left), to_number(right)
    if first is UNDEFINED or second is UNDEFINED:
        return UNDEFINED
    return into_range(decimals(Decimal(first), Decimal(second)))


def add(left: Value, right: Value) -> Number | Undefined:
    """left + right of numbers."""
    return _arithmetic(left, right, int.__add__, CONTEXT.add)


def subtract(left: Value, right: Value) -> Number | Undefined:
    """left - right."""
    return _arithmetic(left, right, int.__sub__, CONTEXT.subtract)


def multiply(left: Value, right: Value) -> Number | Undefined:
    """left * right."""
    return _arithmetic(left, right, int.__mul__, CONTEXT.multiply)


def divide(left: Value, right: Value) -> Number | Undefined:
    """left / right: Int by Int is Int, cut towards zero; by zero is Undefined."""
    return UNDEFINED if _is_zero(right) else _arithmetic(left, right, _divide_ints, CONTEXT.divide)


def remainder(left: Value, right: Value) -> Number | Undefined:
    """left % right, with the sign of left; by zero is Undefined."""
    return UNDEFINED if _is_zero(right) else _arithmetic(left, right, _remainder_ints, _remainder_decimals)


def _remainder_decimals(left: Decimal, right: Decimal) -> Decimal:
    # The integer quotient may be longer than 34 digits, which the plain operation refuses.
    roomy = Context(prec=2 * MAX_EXPONENT + 100, Emin=-9999, Emax=9999, traps=[])
    return roomy.remainder(left, right)


def _is_zero(value: Value) -> bool:
    number = to_number(value)
    return number is not UNDEFINED and number == 0


def from_double(result: float) -> Decimal | Undefined:
    """A double-precision result as the shortest Decimal that says the same; NaN and infinities are Undefined."""
    if result != result or result in (float("inf"), float("-inf")):
        return UNDEFINED
    return Decimal(repr(result))
