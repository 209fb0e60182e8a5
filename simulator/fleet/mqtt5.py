"""MQTT 5 packets, as far as a truck needs them: bytes out, packets in (OASIS MQTT 5.0, sections 2 and 3)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 9, 13, 14
PINGREQ = b"\xc0\x00"
GOODBYE = b"\xe0\x00"
FIRST_ERROR = 128
"""Reason codes from here on are failures."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet from the broker. number: the packet identifier, 0 where it has none. code: its reason code."""

    kind: int
    number: int = 0
    code: int = 0
    topic: str = ""
    payload: bytes = b""


def connect(client_id: str, *, keepalive: int, will_topic: str, will: bytes) -> bytes:
    """CONNECT with a clean start and a retained will of QoS 1."""
    body = _text("MQTT") + bytes((5, 0b0010_1110)) + struct.pack(">H", keepalive) + b"\x00"
    body += _text(client_id) + b"\x00" + _text(will_topic) + struct.pack(">H", len(will)) + will
    return _packet(0x10, body)


def publish(topic: str, payload: bytes, number: int, *, retain: bool = False) -> bytes:
    """PUBLISH of QoS 1."""
    return _packet(0x32 | retain, _text(topic) + struct.pack(">H", number) + b"\x00" + payload)


def subscribe(topic: str, number: int) -> bytes:
    """SUBSCRIBE with QoS 1."""
    return _packet(0x82, struct.pack(">H", number) + b"\x00" + _text(topic) + b"\x01")


def puback(number: int) -> bytes:
    """PUBACK of a message received."""
    return _packet(0x40, struct.pack(">H", number))


def packets(received: bytearray) -> Iterator[Packet]:
    """The whole packets at the start of what was received, which are taken out of it.

    Raises ValueError for bytes that are no MQTT.
    """
    while (found := _length(received)) is not None:
        size, start = found
        if len(received) < start + size:
            return
        first, body = received[0], bytes(received[start : start + size])
        del received[: start + size]
        yield _read(first, body)


def _read(first: int, body: bytes) -> Packet:
    kind = first >> 4
    try:
        if kind == CONNACK:
            return Packet(kind, code=body[1])
        if kind in (PUBACK, SUBACK):
            number = struct.unpack_from(">H", body)[0]
            code = body[-1] if kind == SUBACK else body[2] if len(body) > 2 else 0
            return Packet(kind, number, code)
        if kind == PUBLISH:
            return _message(first, body)
        return Packet(kind, code=body[0] if kind == DISCONNECT and body else 0)
    except (IndexError, struct.error, UnicodeDecodeError):
        raise ValueError("the broker sent a packet that is none") from None


def _message(first: int, body: bytes) -> Packet:
    size = struct.unpack_from(">H", body)[0]
    topic, at, number = body[2 : 2 + size].decode("utf-8"), 2 + size, 0
    if first & 0b110:
        number, at = struct.unpack_from(">H", body, at)[0], at + 2
    found = _varint(body, at)
    if found is None:
        raise IndexError
    properties, start = found
    return Packet(PUBLISH, number, topic=topic, payload=body[start + properties :])


def _length(received: bytearray) -> tuple[int, int] | None:
    """The remaining length of the first packet and where its body starts; None while that is not there."""
    return _varint(received, 1)


def _varint(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    value = 0
    for shift in range(4):
        if at + shift >= len(data):
            return None
        value |= (data[at + shift] & 127) << (7 * shift)
        if data[at + shift] < 128:
            return value, at + shift + 1
    raise ValueError("the broker sent a length that is none")


def _packet(first: int, body: bytes) -> bytes:
    size, length = len(body), bytearray()
    while True:
        size, digit = size >> 7, size & 127
        length.append(digit | (128 if size else 0))
        if not size:
            return bytes((first,)) + bytes(length) + body


def _text(text: str) -> bytes:
    data = text.encode("utf-8")
    return struct.pack(">H", len(data)) + data
