"""How often something really comes, by what was heard of it: from that follows when it is missing. Pure."""

from collections.abc import Hashable


class ObservedPeriods:
    """The periods of any number of things. A pause is no period: of the last two gaps the shorter counts, so that what
    came once after an hour is not taken for something that comes each hour."""

    def __init__(self) -> None:
        self._gaps: dict[Hashable, tuple[float, float]] = {}

    def add_gap(self, key: Hashable, seconds: float) -> None:
        """It came again.

        Args:
            key: what came.
            seconds: since it came the last time.
        """
        self._gaps[key] = seconds, self._gaps.get(key, (seconds, seconds))[0]

    def period(self, key: Hashable) -> float:
        """How often it comes.

        Args:
            key: what was given to `add_gap`.

        Returns:
            Seconds, 0 while that is not known.
        """
        return min(self._gaps.get(key, (0.0, 0.0)))
