"""What is local, and whose address counts: the rule that every HTTP door shares."""

import ipaddress

import pytest

from contract.http_access import HttpSettings, client_address, is_local

HOST = (b"host", b"localhost:8080")


@pytest.mark.parametrize(
    ("peer", "headers", "local"),
    [
        ("127.0.0.1", [HOST], True),
        ("::1", [(b"host", b"[::1]:8080")], True),
        ("::ffff:127.0.0.1", [(b"host", b"127.0.0.1")], True),
        ("192.0.2.7", [HOST], False),
        ("127.0.0.1", [(b"host", b"attacker.example:8080")], False),
        ("127.0.0.1", [(b"host", b"localhost.attacker.example")], False),
        ("127.0.0.1", [], False),
        ("127.0.0.1", [HOST, (b"host", b"shop.example")], False),
        ("127.0.0.1", [HOST, (b"x-forwarded-for", b"127.0.0.1")], False),
        ("127.0.0.1", [HOST, (b"x-forwarded-proto", b"https")], False),
        ("127.0.0.1", [HOST, (b"forwarded", b"for=127.0.0.1")], False),
        ("127.0.0.1", [HOST, (b"via", b"1.1 proxy")], False),
        (None, [HOST], False),
    ],
)
def test_local_is_only_this_machine_speaking_for_itself(
    peer: str | None, headers: list[tuple[bytes, bytes]], local: bool
) -> None:
    assert is_local(peer, headers) is local


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", b"1.2.3.4", "203.0.113.9"),
        ("10.0.0.1", b"1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", b"6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
        ("10.0.0.1", b"not an address", "10.0.0.1"),
        ("10.0.0.1", b"", "10.0.0.1"),
    ],
)
def test_a_forwarded_address_is_believed_of_a_trusted_proxy_only(peer: str, forwarded: bytes, client: str) -> None:
    trusted = (ipaddress.ip_network("10.0.0.0/8"),)
    assert client_address(peer, [(b"x-forwarded-for", forwarded)], trusted) == client


def test_a_proxy_that_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        HttpSettings(trusted_proxies=("nginx",))
