"""When live samples that wait for one another go."""

from agent.publishing.batch_window import BatchWindow


class Watch:
    """A gathering of 300 s, and the time, which the test turns."""

    def __init__(self, seconds: float = 300, share: float = 0.5) -> None:
        self.now = 1000.0
        self.gathering = BatchWindow(seconds, lambda: self.now, lambda: share)
        self.gathering.begin()

    def wait_after(self, passed: float) -> float:
        """How long it is still closed when so much time has passed."""
        self.now += passed
        return self.gathering.wait()


def test_the_first_goes_at_once_the_next_after_a_part_of_the_time_and_then_after_all_of_it() -> None:
    watch = Watch()
    assert watch.wait_after(0) == 0
    watch.gathering.emptied()
    assert (watch.wait_after(0), watch.wait_after(150)) == (150, 0)
    watch.gathering.emptied()
    assert (watch.wait_after(299), watch.wait_after(1)) == (1, 0)


def test_it_stays_open_until_all_have_gone() -> None:
    watch = Watch(share=1)
    watch.gathering.emptied()
    watch.gathering.open_now()
    assert watch.wait_after(0) == watch.wait_after(1000) == 0


def test_each_connection_begins_anew() -> None:
    watch = Watch()
    watch.gathering.emptied()
    watch.gathering.emptied()
    watch.gathering.begin()
    assert watch.wait_after(0) == 0
    watch.gathering.emptied()
    assert watch.wait_after(0) == 150


def test_a_shorter_setting_holds_for_what_waits_already() -> None:
    watch = Watch(share=1)
    watch.gathering.emptied()
    watch.gathering.set_seconds(10)
    assert watch.wait_after(0) == 10
    watch.gathering.set_seconds(0)
    assert watch.wait_after(0) == 0
    assert watch.gathering.alone
