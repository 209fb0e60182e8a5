"""The window learns from what a line does: halves after a loss, grows again, and remembers what was too much."""

from agent.publishing.backlog_window import FIRST, LEAST, MOST, BacklogWindow


class Line:
    now = 0.0
    tokens = 0

    def __init__(self) -> None:
        self.window = BacklogWindow(lambda: self.now)

    def send(self, seconds: float, size: int | None = None) -> None:
        self.tokens += 1
        self.window.sent(self.tokens, size or self.window.size)
        self.now += seconds
        self.window.answered(self.tokens, delivered=True)


def test_a_fast_line_soon_takes_all() -> None:
    line = Line()
    for _ in range(8):
        line.send(0.01)
    assert line.window.size == MOST


def test_a_loss_without_an_answer_halves_and_a_loss_without_messages_teaches_nothing() -> None:
    line = Line()
    line.window.lost()
    assert line.window.size == FIRST
    line.window.sent(1, FIRST)
    line.window.lost()
    assert line.window.size == FIRST // 2
    for _ in range(30):
        line.window.sent(1, LEAST)
        line.window.lost()
    assert line.window.size == LEAST


def test_what_was_lost_is_tried_again_only_after_many_deliveries_and_then_after_twice_as_many() -> None:
    line = Line()
    line.window.sent(1, FIRST)
    line.window.lost()
    for wanted in (16, 32):
        sizes = []
        while line.window.size <= FIRST // 2:
            line.send(0.01)
            sizes.append(line.window.size)
        assert len(sizes) >= wanted
        line.window.sent(1, line.window.size)
        line.window.lost()


def test_a_slow_answer_makes_batches_smaller_so_that_live_samples_do_not_wait() -> None:
    line = Line()
    line.send(13)
    assert line.window.size == FIRST // 2
