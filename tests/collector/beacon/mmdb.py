"""Writes a small MaxMind DB file (format 2.0): networks to documents."""

import ipaddress
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MARKER = b"\xab\xcd\xefMaxMind.com"


def write(path: Path, networks: Mapping[str, Any]) -> None:
    """Networks of IPv4 and IPv6, none within another, each with what it is known by."""
    nodes: list[list[int | bytes | None]] = [[None, None]]
    for text, document in networks.items():
        network = ipaddress.ip_network(text)
        bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[: network.prefixlen]
        bits = "0" * 96 + bits if network.version == 4 else bits
        at = 0
        for bit in bits[:-1]:
            if not isinstance(nodes[at][int(bit)], int):
                nodes.append([None, None])
                nodes[at][int(bit)] = len(nodes) - 1
            at = nodes[at][int(bit)]  # type: ignore[assignment]
        nodes[at][int(bits[-1])] = _packed(document)
    data, tree = b"", b""
    for pair in nodes:
        for side in pair:
            value = side if isinstance(side, int) else len(nodes)
            if isinstance(side, bytes):
                value = len(nodes) + 16 + len(data)
                data += side
            tree += value.to_bytes(3, "big")
    about = {
        "node_count": bytes([6 << 5 | 4]) + struct.pack(">I", len(nodes)),
        "build_epoch": bytes([1, 2, 1]),
        "record_size": 24, "ip_version": 6, "database_type": "Test", "languages": ["en"], "description": {"en": "t"},
        "binary_format_major_version": 2, "binary_format_minor_version": 0,
    }  # fmt: skip
    path.write_bytes(tree + bytes(16) + data + _MARKER + _packed(about))


def _packed(value: Any) -> bytes:
    """The format's own text of a value: texts, numbers of 16 bits, lists and maps; bytes are packed already."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        text = value.encode()
        assert len(text) < 29
        return bytes([2 << 5 | len(text)]) + text
    if isinstance(value, int):
        return bytes([5 << 5 | 2]) + struct.pack(">H", value)
    if isinstance(value, list):
        return bytes([len(value), 4]) + b"".join(map(_packed, value))
    return bytes([7 << 5 | len(value)]) + b"".join(_packed(key) + _packed(each) for key, each in value.items())
