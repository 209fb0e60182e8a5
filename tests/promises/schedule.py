"""Several actors, one call at a time, in an order that is chosen and so can be repeated.

Each actor runs in a thread of its own and stops before every call to its store. Whoever conducts picks which of them
goes on, until all have ended. An actor may be made to die after its n-th call, as a process does: at once, with no
`finally` of importance. Nothing here sleeps or looks at a clock.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any


class Killed(BaseException):
    """The process is gone. No `except Exception` may catch it."""


class Actor:
    """One process. `turn` before each call, `done` after it."""

    def __init__(self, conductor: "Conductor", dies_after: int | None = None) -> None:
        self._conductor = conductor
        self._go = threading.Semaphore(0)
        self.ready: Callable[[], bool] | None = None
        self.ended = False
        self.dies_after = dies_after
        self.calls = 0

    def turn(self, ready: Callable[[], bool] | None = None) -> None:
        """Wait to be picked, and where `ready` is given, only when it says so."""
        self.ready = ready
        self._conductor.stopped.release()
        self._go.acquire()

    def done(self) -> None:
        """A call has been made; raises Killed if it was to be the last."""
        self.calls += 1
        if self.dies_after is not None and self.calls >= self.dies_after:
            self.dies_after = None
            raise Killed

    def resume(self) -> None:
        self._go.release()
        self._conductor.stopped.acquire()


class Conductor:
    """Runs jobs to their end. choose(n) gives the index of who goes next among n.

    events: other things that can happen next, each taken from the list when it is picked.
    """

    def __init__(self, choose: Callable[[int], int]) -> None:
        self._choose = choose
        self.stopped = threading.Semaphore(0)
        self.events: list[Callable[[], None]] = []
        self._faults: list[BaseException] = []

    def run(self, jobs: Sequence[Callable[[Actor], Any]], deaths: Sequence[int | None] = ()) -> None:
        """deaths: for each job, after how many calls its actor dies first. Raises what a job raised."""
        actors = [Actor(self, dies) for dies, _ in zip([*deaths, *[None] * len(jobs)], jobs, strict=False)]
        threads = [
            threading.Thread(target=self._act, args=(actor, job)) for actor, job in zip(actors, jobs, strict=True)
        ]
        for thread in threads:
            thread.start()
            self.stopped.acquire()
        while True:
            able = [actor for actor in actors if not actor.ended and (actor.ready is None or actor.ready())]
            if not able and not self.events:
                break
            picked = self._choose(len(able) + len(self.events))
            if picked < len(able):
                able[picked].resume()
            else:
                self.events.pop(picked - len(able))()
        for thread in threads:
            thread.join(60)
        if self._faults:
            raise self._faults[0]
        assert all(actor.ended for actor in actors), "actors wait for each other"

    def _act(self, actor: Actor, job: Callable[[Actor], Any]) -> None:
        try:
            actor.turn()
            job(actor)
        except BaseException as fault:  # noqa: BLE001 - a thread's door: whoever conducts gets it
            self._faults.append(fault)
        finally:
            actor.ended = True
            self.stopped.release()
