"""The active currency codes of ISO 4217 (list one), and decimal amounts."""

import re
from decimal import Decimal

from contract.codec import Json
from contract.errors import Rejected

_CODES = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "
    "CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD "
    "MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG "
    "QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD "
    "TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG "
)
CODES = frozenset(_CODES.split())
_MOST = Decimal(10) ** 12
_DECIMALS = 4
_AMOUNT = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})(e[+-]?\d{1,2})?", re.ASCII | re.I)


def amount(value: Json, field: str) -> Decimal:
    """An amount of money, exactly as it was written.

    Args:
        value: a JSON number, or its decimal text ("12.50").
        field: the dotted name for an error.

    Raises:
        Rejected: not a number from 0 to 10^12 with at most 4 decimals.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise Rejected(field, f"must be an amount such as 12.50, not {value!r:.40}")
    number = _decimal(value)
    if number is None:
        raise Rejected(field, f"must be an amount such as 12.50, with a point, not {value!r:.40}")
    if not 0 <= number < _MOST or number != round(number, _DECIMALS):
        raise Rejected(field, f"must be from 0 to 10^12 with at most {_DECIMALS} decimals, not {value!r:.40}")
    return number


def _decimal(value: float | Decimal | str) -> Decimal | None:
    if isinstance(value, str) and not _AMOUNT.fullmatch(value.strip()):
        return None
    number = Decimal(repr(value) if isinstance(value, float) else value)
    return number if number.is_finite() else None


def text(number: Decimal) -> str:
    """An amount as decimal text without an exponent: "1299.5"."""
    plain = format(number.normalize(), "f")
    return plain if plain != "-0" else "0"
