"""Recommenders over sessions. A session is the list of the items that one visitor looked at, in time order.

All are deterministic: equal scores are ordered by popularity, then by item_id.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Protocol

Session = Sequence[str]

_WINDOW = 10
"""How many clicks after another one still count as following it."""
_NEIGHBOURS = 100
_CANDIDATES = 1000
"""The newest sessions with an item in common that are compared; more cost time and change little."""


class Recommender(Protocol):
    """Ranks items for somebody who has just looked at some."""

    def scores(self, seen: Session) -> Mapping[str, float]:
        """Items worth showing next.

        Args:
            seen: item_ids in time order, the newest last.

        Returns:
            item_id → score, higher is better; empty where nothing is known of what was seen.
        """
        ...


class Popularity:
    """How often each item was looked at, whatever was seen before."""

    def __init__(self, sessions: Iterable[Session]) -> None:
        self._counts = Counter(item for session in sessions for item in set(session))

    def scores(self, seen: Session) -> Mapping[str, float]:
        """See Recommender."""
        return self._counts


class CoOccurrence:
    """Which items follow an item within the next 10 clicks; nearer counts more, and the newest item most."""

    def __init__(self, sessions: Iterable[Session]) -> None:
        following: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
        for session in sessions:
            for place, item in enumerate(session):
                for distance, other in enumerate(session[place + 1 : place + 1 + _WINDOW], start=1):
                    if other != item:
                        following[item][other] += 1 / distance
        self._following = following

    def scores(self, seen: Session) -> Mapping[str, float]:
        """See Recommender."""
        found: defaultdict[str, float] = defaultdict(float)
        for age, item in enumerate(reversed(seen[-_WINDOW:]), start=1):
            for other, weight in self._following.get(item, {}).items():
                found[other] += weight / age
        return found


class SessionNeighbours:
    """Session-kNN: what the sessions most like this one went on to look at.

    Likeness is the share of common items, the newest of this session weighing most (vector multiplication session kNN,
    Ludewig and Jannach, 2018).
    """

    def __init__(self, sessions: Iterable[Session]) -> None:
        self._sessions = [tuple(dict.fromkeys(session)) for session in sessions]
        holders: defaultdict[str, list[int]] = defaultdict(list)
        for number, session in enumerate(self._sessions):
            for item in session:
                holders[item].append(number)
        self._holders = holders

    def scores(self, seen: Session) -> Mapping[str, float]:
        """See Recommender."""
        newest = list(dict.fromkeys(reversed(seen)))
        weights = {item: 1 / (age + 1) for age, item in enumerate(newest)}
        overlap: defaultdict[int, float] = defaultdict(float)
        for item, weight in weights.items():
            for number in self._holders.get(item, ())[-_CANDIDATES:]:
                overlap[number] += weight
        likeness = {number: shared / sqrt(len(self._sessions[number])) for number, shared in overlap.items()}
        nearest = sorted(likeness.items(), key=lambda pair: (-pair[1], -pair[0]))[:_NEIGHBOURS]
        found: defaultdict[str, float] = defaultdict(float)
        for number, like in nearest:
            session = self._sessions[number]
            newest_shared = min(age for age, item in enumerate(newest, start=1) if item in session)
            for item in session:
                if item not in weights:
                    found[item] += like / newest_shared
        return found


@dataclass(frozen=True, slots=True)
class Blend:
    """The recommender that is served: neighbours and co-occurrence together, popularity where both know nothing.

    popularity: item → sessions that looked at it. categories: item → category, for items that nobody has looked at.
    """

    neighbours: SessionNeighbours
    following: CoOccurrence
    popularity: Mapping[str, float]
    categories: Mapping[str, str]

    @classmethod
    def train(cls, sessions: Sequence[Session], categories: Mapping[str, str] | None = None) -> "Blend":
        """Learn from sessions.

        Args:
            sessions: oldest first.
            categories: item → category of the catalogue, as far as known.
        """
        popularity = Popularity(sessions).scores(())
        return cls(SessionNeighbours(sessions), CoOccurrence(sessions), popularity, categories or {})

    def scores(self, seen: Session) -> Mapping[str, float]:
        """See Recommender; never empty once anything was trained."""
        found: defaultdict[str, float] = defaultdict(float)
        for part in (self.neighbours.scores(seen), self.following.scores(seen)):
            most = max(part.values(), default=0.0)
            for item, score in part.items():
                found[item] += score / most
        if found:
            return found
        return self._cold(seen)

    def _cold(self, seen: Session) -> Mapping[str, float]:
        """Popular items, those of the categories of what was seen first."""
        wanted = {self.categories[item] for item in seen if item in self.categories}
        most = max(self.popularity.values(), default=1.0)
        return {
            item: count / most + (1 if self.categories.get(item) in wanted else 0)
            for item, count in self.popularity.items()
        }


def top(
    recommender: Recommender, seen: Session, n: int, *, popularity: Mapping[str, float], without: Collection[str] = ()
) -> list[str]:
    """The n best items, without those that were seen.

    Args:
        recommender: what ranks.
        seen: item_ids in time order, the newest last.
        n: how many at most.
        popularity: decides between equal scores, and fills up where the recommender names fewer than n.
        without: items that must not be shown, such as those that are sold out.
    """
    barred = {*seen, *without}
    scores = recommender.scores(seen)
    ranked = sorted(
        (item for item in scores if item not in barred),
        key=lambda item: (-scores[item], -popularity.get(item, 0), item),
    )[:n]
    if len(ranked) < n:
        barred.update(ranked)
        rest = sorted((item for item in popularity if item not in barred), key=lambda item: (-popularity[item], item))
        ranked += rest[: n - len(ranked)]
    return ranked
