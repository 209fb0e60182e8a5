"""What producers pack into one stream record: gzip, and the aggregation of Amazon's Kinesis Producer Library (KPL).

The format is documented in KPL's repository (awslabs/amazon-kinesis-producer, aggregation-format.md): four bytes of
magic, a protobuf message of the records, the MD5 of that message. Read here, since the one Python package for it
(aws-kinesis-agg) had its last release in 2022.
"""

import hashlib
import zlib
from collections.abc import Iterator

from contract.errors import Rejected

_GZIP = b"\x1f\x8b"
_KPL = b"\xf3\x89\x9a\xc2"
_DIGEST = 16
MOST_BYTES = 16 * 1024 * 1024
"""Of what one stream record may hold, unpacked."""

_RECORDS, _DATA = 3, 3
"""Field numbers: of the records in the message, and of a record's bytes."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def unpacked(data: bytes) -> list[bytes]:
    """The single records in a stream record's bytes; the bytes themselves where nothing was packed.

    A record of an aggregate that is gzip is left as it is: `gunzipped` reads it, and its fault is its own.

    Raises:
        Rejected: it begins as gzip or as an aggregate and is none, or holds more than MOST_BYTES.
    """
    data = gunzipped(data)
    if data.startswith(_KPL):
        message, digest = data[len(_KPL) : -_DIGEST], data[-_DIGEST:]
        if hashlib.md5(message, usedforsecurity=False).digest() == digest:
            return list(_records(message))
    return [data]


def gunzipped(data: bytes) -> bytes:
    """The bytes, unpacked where they are gzip. Raises Rejected as `unpacked`."""
    if not data.startswith(_GZIP):
        return data
    pieces: list[bytes] = []
    left, size = data, 0
    while left:  # a file of gzip may have several members
        unpacker = zlib.decompressobj(wbits=31)
        try:
            pieces.append(unpacker.decompress(left, MOST_BYTES + 1 - size))
        except zlib.error as error:
            raise Rejected("", f"begins as gzip and cannot be unpacked: {error}") from None
        size += len(pieces[-1])
        if size > MOST_BYTES:
            raise Rejected("", f"over {MOST_BYTES} bytes unpacked: send less in one record")
        if not unpacker.eof:
            raise Rejected("", "a gzip record that was cut off: send it whole")
        left = unpacker.unused_data
    return b"".join(pieces)


def _records(message: bytes) -> Iterator[bytes]:
    for number, record in _fields(message):
        if number == _RECORDS:
            yield next((data for field, data in _fields(record) if field == _DATA), b"")


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a protobuf message that hold bytes; others are passed over."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, at = _varint(message, at)
            continue
        length = {_FIXED64: 8, _FIXED32: 4}.get(kind)
        if kind == _BYTES:
            length, at = _varint(message, at)
        if length is None or at + length > len(message):
            raise Rejected("", "an aggregated record that cannot be read: its producer wrote it wrongly")
        if kind == _BYTES:
            yield number, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise Rejected("", "an aggregated record that cannot be read: its producer wrote it wrongly")
