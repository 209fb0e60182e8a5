"""Ailments that develop over hours: a tyre that leaks slowly, coolant that is lost, a weak battery.

Each is a function of the truck's key and the time, so that a restarted simulator finds the truck as it was, and each is
a planted truth: `simulator.truths` says when it began, how bad it became and when it was mended.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor
from random import Random

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Episode:
    """One ailment of one truck. start, end: Unix seconds; it grows from nothing to `worst` and is mended at the end.

    worst: in the unit of its kind (psi, °C, V). detail: what it concerns, such as the wheel.
    """

    kind: str
    start: float
    end: float
    worst: float
    detail: str

    def size(self, seconds: float) -> float:
        """How bad it is at Unix seconds: 0 outside the episode."""
        if not self.start <= seconds < self.end:
            return 0.0
        return self.worst * (seconds - self.start) / (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Ailment:
    """In each window of `every` seconds, `odds` that an episode of least to most seconds comes."""

    kind: str
    every: float
    odds: float
    least: float
    most: float
    worst: tuple[float, float]
    details: tuple[str, ...] = ("",)

    def episode(self, key: str, window: int) -> Episode | None:
        """The truck's episode in one window, counted from 1970."""
        dice = Random(f"{key}:{self.kind}:{window}")
        if dice.random() >= self.odds:
            return None
        lasts = dice.uniform(self.least, self.most)
        start = window * self.every + dice.uniform(0, self.every - lasts)
        return Episode(self.kind, start, start + lasts, dice.uniform(*self.worst), dice.choice(self.details))

    def at(self, key: str, seconds: float) -> Episode | None:
        """The episode under way at Unix seconds."""
        episode = self.episode(key, floor(seconds / self.every))
        return episode if episode and episode.start <= seconds < episode.end else None


SLOW_PUNCTURE = Ailment(
    "slow_puncture", 72 * _HOUR, 0.4, 8 * _HOUR, 24 * _HOUR, (18.0, 40.0),
    ("front_left", "front_right", "rear_left", "rear_right"),
)  # fmt: skip
COOLANT_LEAK = Ailment("coolant_leak", 120 * _HOUR, 0.35, 6 * _HOUR, 18 * _HOUR, (10.0, 22.0))
WEAK_BATTERY = Ailment("weak_battery", 240 * _HOUR, 0.35, 24 * _HOUR, 96 * _HOUR, (0.7, 1.4))
AILMENTS = (SLOW_PUNCTURE, COOLANT_LEAK, WEAK_BATTERY)


def episodes(key: str, start: float, end: float) -> Iterator[Episode]:
    """Every episode of a truck that touches [start, end) in Unix seconds, kind by kind, oldest first."""
    for ailment in AILMENTS:
        for window in range(floor(start / ailment.every), floor(end / ailment.every) + 1):
            episode = ailment.episode(key, window)
            if episode and episode.end > start and episode.start < end:
                yield episode
