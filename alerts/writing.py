"""How alerts are written."""

from collections.abc import Callable
from typing import Any, TypeVar

from collector.stores import Store

Answer = TypeVar("Answer")


class Writing:
    """Runs functions on the store, each as one unit that is durable when the call returns.

    Args:
        call: runs a function on the store and gives what it returns, on whatever thread owns the store.
    """

    def __init__(self, call: Callable[[Callable[[Store], Any]], Any]) -> None:
        self._call = call

    def __call__(self, act: Callable[[Store], Answer]) -> Answer:
        """What `act` returns. Raises what the store raises; then nothing was changed."""

        def within(store: Store) -> Answer:
            with store.unit():
                return act(store)

        return self._call(within)  # type: ignore[no-any-return]
