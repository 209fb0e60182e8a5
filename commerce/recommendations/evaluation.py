"""How good a recommender is: on sessions it has not seen, does it name the last click?

Sessions are cut into folds in time order by a seed; each fold is held out once, the rest is trained on, and for each
held out session the last click is hidden. Repeated clicks on one item are one, since nobody needs to be shown what is
before them.
"""

from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from random import Random
from statistics import mean, stdev
from typing import NamedTuple

from commerce.recommendations.models import (
    Blend,
    CoOccurrence,
    Popularity,
    Recommender,
    Session,
    SessionNeighbours,
    top,
)
from contract.errors import Misconfigured

_T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""Student's t for a 95 % confidence interval over so many folds."""

TRAINERS: Mapping[str, Callable[[Sequence[Session]], Recommender]] = {
    "popularity": Popularity,
    "co-occurrence": CoOccurrence,
    "session-knn": SessionNeighbours,
    "served": Blend.train,
}


class Figures(NamedTuple):
    """One fold. hit_rate: share of last clicks among the n. mrr: mean of 1 / rank. coverage: share of all items that
    were ever recommended. popularity_bias: mean popularity of what was recommended, over that of what was clicked; None
    where nothing that was clicked is known from training."""

    hit_rate: float
    mrr: float
    coverage: float
    popularity_bias: float | None


def evaluate(
    sessions: Sequence[Session], *, n: int = 20, folds: int = 5, seed: int = 1
) -> list[dict[str, float | str | None]]:
    """Compare all recommenders.

    Args:
        sessions: item_ids in time order, oldest session first; those of fewer than two different items say nothing.
        n: how many items are recommended.
        folds: 2 to 10.
        seed: which sessions go into which fold.

    Returns:
        One row per recommender: `{model, hit_rate, hit_rate_low, hit_rate_high, mrr, coverage, popularity_bias,
        against_popularity}`; low and high are the 95 % confidence interval over the folds. The last two are None where
        they cannot be said: popularity named nothing, or nothing that was clicked is known.

    Raises:
        Misconfigured: there are too few sessions: a fold would hold nothing out, or nothing would be left to learn.
    """
    useful = [session for session in map(_without_repeats, sessions) if len(session) > 1]
    dice = Random(seed)
    places = [dice.randrange(folds) for _ in useful]
    if len(set(places)) < folds:
        raise Misconfigured(f"{len(useful)} sessions of two items are too few for {folds} folds: give fewer --folds")
    found: dict[str, list[Figures]] = {name: [] for name in TRAINERS}
    for fold in range(folds):
        train = [session for session, place in zip(useful, places, strict=True) if place != fold]
        held_out = [session for session, place in zip(useful, places, strict=True) if place == fold]
        popularity = Popularity(train).scores(())
        for name, trainer in TRAINERS.items():
            found[name].append(_figures(trainer(train), held_out, popularity, n))
    floor = mean(figures.hit_rate for figures in found["popularity"])
    return [_row(name, figures, floor) for name, figures in found.items()]


def _figures(model: Recommender, held_out: Sequence[Session], popularity: Mapping[str, float], n: int) -> Figures:
    hits, reciprocal, shown, clicked = 0, 0.0, [], []
    for session in held_out:
        *seen, last = session
        named = top(model, seen, n, popularity=popularity)
        shown.extend(named)
        clicked.append(last)
        if last in named:
            hits += 1
            reciprocal += 1 / (named.index(last) + 1)
    total = len(held_out)
    clicked_popularity = mean(popularity.get(item, 0) for item in clicked)
    shown_popularity = mean(popularity.get(item, 0) for item in shown)
    bias = shown_popularity / clicked_popularity if clicked_popularity else None
    return Figures(hits / total, reciprocal / total, len(set(shown)) / len(popularity), bias)


def _row(name: str, figures: Sequence[Figures], floor: float) -> dict[str, float | str | None]:
    rates = [each.hit_rate for each in figures]
    biases = [each.popularity_bias for each in figures if each.popularity_bias is not None]
    margin = _T_95[len(rates)] * stdev(rates) / sqrt(len(rates))
    return {
        "model": name,
        "hit_rate": mean(rates),
        "hit_rate_low": mean(rates) - margin,
        "hit_rate_high": mean(rates) + margin,
        "mrr": mean(each.mrr for each in figures),
        "coverage": mean(each.coverage for each in figures),
        "popularity_bias": mean(biases) if biases else None,
        "against_popularity": mean(rates) / floor if floor else None,
    }


def _without_repeats(session: Session) -> list[str]:
    """A click on what was just clicked tells nothing; a session of one item has no last click to guess."""
    found: list[str] = []
    for item in session:
        if not found or found[-1] != item:
            found.append(item)
    return found
