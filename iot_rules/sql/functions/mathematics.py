"""Numbers: rounding, bits, powers, logarithms, angles. Page: iot-sql-functions, under each function's name.

"Double precision" of the reference is a float here, whose shortest decimal text is the result.
"""

import math
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal

from iot_rules.sql import numbers
from iot_rules.sql.functions.registry import function
from iot_rules.sql.scope import Scope
from iot_rules.sql.values import MAX_DIGITS, MAX_EXPONENT, UNDEFINED, Undefined, Value, fit, to_int, to_number

_ROOMY = Context(prec=2 * MAX_EXPONENT + 100, Emin=-9999, Emax=9999, traps=[])


@function("abs", 1, 1)
def _abs(values: list[Value], scope: Scope) -> Value:
    """abs(Decimal): Int of an Int, else Decimal. Page: iot-func-abs."""
    number = to_number(values[0])
    if isinstance(number, Decimal):
        return numbers.into_range(abs(number))
    return UNDEFINED if number is UNDEFINED else numbers.into_range(abs(number))


def _rounded(name: str, rounding: str) -> None:
    def apply(values: list[Value], scope: Scope) -> Value:
        number = to_number(values[0])
        if isinstance(number, Decimal):
            return numbers.into_range(int(number.to_integral_value(rounding)))
        return number

    apply.__doc__ = f"{name}(Decimal): the nearest Int, {rounding}. Page: iot-func-{name}."
    function(name, 1, 1)(apply)


_rounded("ceil", ROUND_CEILING)
_rounded("floor", ROUND_FLOOR)
_rounded("round", ROUND_HALF_UP)


@function("trunc", 2, 2)
def _trunc(values: list[Value], scope: Scope) -> Value:
    """trunc(Decimal, Int): cut to 0 to 34 places, trailing zeros stripped. Page: iot-func-trunc."""
    number = to_number(values[0])
    places = UNDEFINED if isinstance(values[1], str) else to_int(values[1])
    if number is UNDEFINED or places is UNDEFINED or isinstance(number, int):
        return number if places is not UNDEFINED else UNDEFINED
    places = max(0, min(MAX_DIGITS, places))
    fitted = numbers.into_range(number.quantize(Decimal(1).scaleb(-places), ROUND_DOWN, _ROOMY))
    return _stripped(fitted) if isinstance(fitted, Decimal) else fitted


def _stripped(number: Decimal) -> int | Decimal:
    if number == number.to_integral_value():
        return fit(int(number))
    return number.normalize(_ROOMY)


@function("sign", 1, 1)
def _sign(values: list[Value], scope: Scope) -> Value:
    """sign(Decimal): -1, 0 or 1. Page: iot-func-sign."""
    number = to_number(values[0])
    return UNDEFINED if number is UNDEFINED else (number > 0) - (number < 0)


@function("mod", 2, 2)
@function("remainder", 2, 2)
def _mod(values: list[Value], scope: Scope) -> Value:
    """mod(Decimal, Decimal), remainder(Decimal, Decimal): as the % operator. Page: iot-func-mod."""
    return numbers.remainder(values[0], values[1])


# -- bits


def _bitwise(name: str, combine: Callable[[int, int], int]) -> None:
    def apply(values: list[Value], scope: Scope) -> Value:
        left, right = to_int(values[0]), to_int(values[1])
        if left is UNDEFINED or right is UNDEFINED:
            return UNDEFINED
        return numbers.into_range(combine(left, right))

    apply.__doc__ = f"{name}(Int, Int): other numbers and Strings are rounded down. Page: iot-func-{name}."
    function(name, 2, 2)(apply)


_bitwise("bitand", int.__and__)
_bitwise("bitor", int.__or__)
_bitwise("bitxor", int.__xor__)


@function("bitnot", 1, 1)
def _bitnot(values: list[Value], scope: Scope) -> Value:
    """bitnot(Int): the digits of the binary representation flipped, so 2 (0010) for 13 (1101), as the page's example
    has it; a negative number in two's complement. Page: iot-func-bitnot.
    """
    number = to_int(values[0])
    if number is UNDEFINED:
        return UNDEFINED
    digits = (1 << max(1, number.bit_length())) - 1
    return numbers.into_range(number ^ digits if number >= 0 else ~number)


# -- double precision


def double(value: Value) -> float | Undefined:
    """A number, or a String that is one, rounded to double precision; UNDEFINED for all else."""
    number = to_number(value)
    if number is UNDEFINED:
        return UNDEFINED
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _of_doubles(name: str, count: int, compute: Callable[..., float]) -> None:
    def apply(values: list[Value], scope: Scope) -> Value:
        doubles = [double(value) for value in values]
        if UNDEFINED in doubles:
            return UNDEFINED
        try:
            return numbers.from_double(compute(*doubles))
        except (ValueError, OverflowError, ZeroDivisionError):
            return UNDEFINED  # imaginary, infinite, or at a pole

    apply.__doc__ = f"{name}: Decimal with double precision; imaginary is Undefined. Page: iot-func-{name}."
    function(name, count, count)(apply)


for _name, _compute in (
    ("acos", math.acos), ("asin", math.asin), ("atan", math.atan), ("cos", math.cos), ("cosh", math.cosh),
    ("exp", math.exp), ("ln", math.log), ("log", math.log10), ("sin", math.sin), ("sinh", math.sinh),
    ("sqrt", math.sqrt), ("tan", math.tan), ("tanh", math.tanh),
):  # fmt: skip
    _of_doubles(_name, 1, _compute)
_of_doubles("atan2", 2, math.atan2)
_of_doubles("power", 2, math.pow)


@function("rand", 0, 0)
def _rand(values: list[Value], scope: Scope) -> Value:
    """rand(): uniform from 0.0 up to, not including, 1.0. Page: iot-sql-function-rand."""
    return numbers.from_double(scope.arrival.surroundings.random())
