"""The limits on what is published in a second."""

from hypothesis import given
from hypothesis import strategies as st

from agent.publishing.rate_limiter import RateLimiter
from agent.transport import BrokerLimits


@given(st.lists(st.tuples(st.integers(100, 131_072), st.sampled_from([0.0, 0.0, 0.0, 0.05, 5.0])), max_size=400))
def test_no_second_holds_more_than_the_limits(pieces: list[tuple[int, float]]) -> None:
    """Whatever is sent as fast as it may, any one second holds at most 100 messages and 512 KiB (and one token)."""
    now = [0.0]
    pace = RateLimiter(100, 524_288, 131_072, lambda: now[0])
    sent: list[tuple[float, int]] = []
    for size, pause in pieces:
        now[0] += pause
        now[0] += pace.wait()
        pace.spend(size)
        sent.append((now[0], size))
    for start, _ in sent:
        window = [size for moment, size in sent if start <= moment < start + 1]
        assert len(window) <= 101
        assert sum(window) <= 524_288 + 1


@given(st.floats(0.1, 100))
def test_a_slow_pace_is_slow_and_not_a_halt(publishes: float) -> None:
    """Samples go, at nearly nine tenths of the limit at least, however few it lets through; and never more than it."""
    now = [0.0]
    pace = RateLimiter(publishes, 524_288, 131_072, lambda: now[0])
    sent: list[float] = []
    for _ in range(200):
        if pace.wait() > 0:
            now[0] += pace.wait() + 1e-9
        assert pace.wait() == 0
        pace.spend(100)
        sent.append(now[0])
    assert 199 / sent[-1] >= 0.89 * publishes
    assert max(sum(start <= moment < start + 1 for moment in sent) for start in sent) <= publishes + 1


def test_without_limits_nothing_waits() -> None:
    free = BrokerLimits().of_own_broker()
    now = [0.0]
    pace = RateLimiter(free.publishes_per_second, free.bytes_per_second, free.payload, lambda: now[0])
    for _ in range(10_000):
        pace.spend(131_072)
        now[0] += 0.000001
        assert pace.wait() == 0
