"""Until when a certificate is good, read from its PEM file with no library: a few bytes of DER (RFC 5280 §4.1)."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

_SEQUENCE, _VERSION, _UTC_TIME = 0x30, 0xA0, 0x17


def valid_until(path: Path) -> datetime:
    """`notAfter` of the first certificate in a PEM file. ValueError for what is none; OSError as reading gives."""
    text = path.read_text(encoding="ascii", errors="replace")
    begin, end = text.find("-----BEGIN CERTIFICATE-----"), text.find("-----END CERTIFICATE-----")
    if begin < 0 or end < begin:
        raise ValueError(f"no certificate in {path}")
    try:
        return _not_after(ssl.PEM_cert_to_DER_cert(text[begin : end + len("-----END CERTIFICATE-----")]))
    except (IndexError, ValueError) as error:
        raise ValueError(f"cannot read the certificate in {path}: {error}") from None


def _not_after(der: bytes) -> datetime:
    _, certificate, _ = _element(der, 0)
    _, at, _ = _element(der, certificate)  # tbsCertificate
    if der[at] == _VERSION:
        at = _element(der, at)[2]
    for _field in ("serialNumber", "signature", "issuer"):
        at = _element(der, at)[2]
    tag, validity, _ = _element(der, at)
    if tag != _SEQUENCE:
        raise ValueError("not a certificate")
    _, _, at = _element(der, validity)
    tag, start, end = _element(der, at)
    text = der[start:end].decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year, 1950 to 2049
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """(tag, where its content begins, where it ends) of the element at `at`."""
    length, start = der[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(der[start : start + count], "big"), start + count
    return der[at], start, start + length
