"""The limit per source: a burst, then a rate, each source on its own, in bounded memory."""

from contract.source_limiter import SourceLimiter


def test_a_burst_then_the_rate_and_each_source_on_its_own() -> None:
    now = [0.0]
    limiter = SourceLimiter(2.0, 3, clock=lambda: now[0])
    assert [limiter.wait("a") for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limiter.wait("a") == 0.5
    assert limiter.wait("b") == 0.0
    now[0] = 0.5
    assert limiter.wait("a") == 0.0
    assert limiter.wait("a") > 0


def test_memory_is_bounded() -> None:
    limiter = SourceLimiter(1.0, 1, most=100, clock=lambda: 0.0)
    for number in range(1000):
        limiter.wait(str(number))
    assert limiter.wait("999") > 0  # still known
    assert limiter.wait("0") == 0.0  # forgotten


def test_an_ipv6_address_counts_as_its_network_and_a_mapped_one_as_ipv4() -> None:
    """One subscriber has 2^64 of them."""
    limiter = SourceLimiter(1.0, 1, clock=lambda: 0.0)
    assert limiter.wait("2001:db8:0:1::1") == 0
    assert limiter.wait("2001:db8:0:1:ffff::2") > 0
    assert limiter.wait("2001:db8:0:2::1") == 0
    assert limiter.wait("::ffff:192.0.2.1") == 0
    assert limiter.wait("192.0.2.1") > 0
    assert limiter.wait("::ffff:192.0.2.2") == 0
