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
