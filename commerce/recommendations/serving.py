"""Recommendations as they are served: from memory, without what cannot be bought."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from commerce.recommendations.artefact import Model, load
from commerce.recommendations.models import top
from contract.errors import Misconfigured

FOLDER = "recommendations"
"""Of the artefacts, in the data directory."""

MOST = 100
"""Items that one answer may hold."""


def is_unavailable(item: Mapping[str, object]) -> bool:
    """Whether an item of the catalogue cannot be bought now."""
    return item.get("active") is False or item.get("stock") == 0


class Recommendations:
    """Answers from the model that is current in a folder; a newly trained one is taken up by itself.

    Safe to call from several threads.
    """

    def __init__(self, folder: Path, *, unavailable: Callable[[], Collection[str]] = tuple) -> None:
        """
        Args:
            folder: of the artefacts.
            unavailable: item_ids that must not be shown now: inactive or sold out.
        """
        self._folder, self._unavailable = folder, unavailable
        self._guard = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._model: Model | None = None

    def model(self) -> Model | None:
        """The model that is served, None where none was trained yet."""
        try:
            found = (self._folder / "current").stat()
        except FileNotFoundError:
            return None
        stamp = (found.st_mtime_ns, found.st_ino)
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

        Raises:
            Misconfigured: no model was trained yet.
        """
        model = self.model()
        if model is None:
            raise Misconfigured("no model yet: run `milepost recommend train`")
        barred = {*without, *self._unavailable()}
        return top(model.blend, seen, n, popularity=model.blend.popularity, without=barred)
