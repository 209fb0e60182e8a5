"""Hashes of a String's UTF-8 bytes, in lower-case hexadecimal. Page: iot-sql-function-hash."""

import hashlib
from collections.abc import Callable

from iot_rules.errors import TooMuch
from iot_rules.sql.functions.registry import function
from iot_rules.sql.scope import Scope
from iot_rules.sql.values import UNDEFINED, Value, to_text


def _pi_table() -> tuple[int, ...]:
    """RFC 1319's substitution: a permutation of 0 to 255 shuffled by the digits of pi."""
    digits = _pi_digits()
    table = list(range(256))
    for high in range(2, 257):
        low = _below(high, digits)
        table[high - 1], table[low] = table[low], table[high - 1]
    return tuple(table)


def _below(bound: int, digits: list[int]) -> int:
    """An unbiased number below `bound` from as many decimal digits as it takes."""
    scale, number = 10, digits.pop()
    if bound > 10:
        scale, number = 100, number * 10 + digits.pop()
    if bound > 100:
        scale, number = 1000, number * 10 + digits.pop()
    limit = bound * (scale // bound)
    return number % bound if number < limit else _below(bound, digits)


def _pi_digits(count: int = 722) -> list[int]:
    """The first digits of pi, 3 1 4 …, last first (Machin's formula in integers)."""
    unit: int = 10 ** (count + 10)

    def arctan_of_inverse(x: int) -> int:
        term: int = unit // x
        total, divisor, sign = term, 1, 1
        while term:
            term //= x * x
            divisor, sign = divisor + 2, -sign
            total += sign * (term // divisor)
        return total

    pi = 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239))
    return [int(digit) for digit in reversed(str(pi)[:count])]


_S = _pi_table()


def md2(data: bytes) -> str:
    """MD2 (RFC 1319), which hashlib has not."""
    padding = 16 - len(data) % 16
    data += bytes([padding]) * padding
    checksum, last = bytearray(16), 0
    for at in range(0, len(data), 16):
        for i in range(16):
            last = checksum[i] = checksum[i] ^ _S[data[at + i] ^ last]
    data += bytes(checksum)
    state = bytearray(48)
    for at in range(0, len(data), 16):
        _md2_block(state, data[at : at + 16])
    return state[:16].hex()


def _md2_block(state: bytearray, block: bytes) -> None:
    for i, byte in enumerate(block):
        state[16 + i] = byte
        state[32 + i] = byte ^ state[i]
    last = 0
    for turn in range(18):
        for i in range(48):
            last = state[i] = state[i] ^ _S[last]
        last = (last + turn) % 256


@function("md2", 1, 1)
def _md2(values: list[Value], scope: Scope) -> Value:
    """md2(String). Page: iot-sql-function-hash. It runs in Python, so its bytes for one message are bounded."""
    text = to_text(values[0])
    if text is UNDEFINED:
        return UNDEFINED
    data = text.encode("utf-8", "replace")
    scope.budget.md2_bytes -= len(data)
    if scope.budget.md2_bytes < 0:
        raise TooMuch("md2() of more than 128 KiB in one message: hash less, or use sha256()")
    return md2(data)


def _register(name: str, digest: Callable[[bytes], str]) -> None:
    def apply(values: list[Value], scope: Scope) -> Value:
        text = to_text(values[0])
        return UNDEFINED if text is UNDEFINED else digest(text.encode("utf-8", "replace"))

    apply.__doc__ = f"{name}(String). Page: iot-sql-function-hash."
    function(name, 1, 1)(apply)


def _hashlib(name: str) -> Callable[[bytes], str]:
    return lambda data: hashlib.new(name, data, usedforsecurity=False).hexdigest()


for _algorithm in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512"):
    _register(_algorithm, _hashlib(_algorithm))
