"""Recommendations as they are served: from memory, without what cannot be bought."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from commerce.recommendations.artefact import Model, load
from commerce.recommendations.models import top
from contract.errors import Misconfigured
from contract.file_stamp import Stamp, file_stamp

FOLDER = "recommendations"
"""Of the artefacts, in the data directory."""

MOST = 100
"""Items that one answer may hold."""


SHOWN = ("item_name", "category", "price", "currency")
"""Of an item's document, what an answer carries."""


def is_unavailable(item: Mapping[str, object]) -> bool:
    """Whether an item of the catalogue cannot be bought now.

    Args:
        item: its document in force.

    Returns:
        True where it is inactive or out of stock; without a `stock` it is in stock.
    """
    return item.get("active") is False or item.get("stock") == 0


class Recommendations:
    """Answers from the model that is current in a folder; a newly trained one is taken up by itself.

    Safe to call from several threads.
    """

    def __init__(self, folder: Path, *, catalogue: Callable[[], Sequence[Mapping[str, object]]] = tuple) -> None:
        """
        Args:
            folder: of the artefacts.
            catalogue: the documents of items in force now, read at each answer: none that is inactive or sold out is
                recommended, and the others are shown by name and price.
        """
        self._folder, self._catalogue = folder, catalogue
        self._guard = threading.Lock()
        self._stamp: Stamp | None = None
        self._model: Model | None = None

    def model(self) -> Model | None:
        """The model that is served.

        Returns:
            The newest one, read again when another was trained; None where none was yet.
        """
        try:
            stamp = file_stamp(self._folder / "current")
        except FileNotFoundError:
            return None
        with self._guard:
            if stamp != self._stamp:
                self._model, self._stamp = load(self._folder), stamp
            return self._model

    def top(self, seen: Sequence[str], n: int, *, without: Collection[str] = ()) -> list[str]:
        """The n best items for somebody who has just looked at these.

        Args:
            seen: item_ids in time order, the newest last; none for somebody new.
            n: 1 to MOST.
            without: items that must not be shown besides, such as those just bought.

        Returns:
            item_ids, the best first; fewer than n where there are no more.

        Raises:
            Misconfigured: no model was trained yet.
        """
        return [str(item["item_id"]) for item in self.items(seen, n, without=without)]

    def items(self, seen: Sequence[str], n: int, *, without: Collection[str] = ()) -> list[dict[str, object]]:
        """The same as `top`, as a shop's page shows it.

        Args:
            seen, n, without: as `top` takes them.

        Returns:
            item_id, and what the catalogue knows of SHOWN; an item seen only in clicks has its id alone.

        Raises:
            Misconfigured: no model was trained yet.
        """
        model = self.model()
        if model is None:
            raise Misconfigured("no model yet: run `milepost recommend train`")
        known = {str(item["item_id"]): item for item in self._catalogue()}
        barred = {*without, *(item_id for item_id, item in known.items() if is_unavailable(item))}
        found = top(model.blend, seen, n, popularity=model.blend.popularity, without=barred)
        return [
            {"item_id": item_id, **{name: item[name] for name in SHOWN if item.get(name) is not None}}
            for item_id in found
            for item in [known.get(item_id, {})]
        ]
