"""How many examples a property test takes: few in `make test`, many in `make prove`."""

import pytest


def budget(quick: int, proving: int) -> pytest.MarkDecorator:
    """Parametrises `examples`: `quick` always, `proving` only where the long forms run."""
    return pytest.mark.parametrize("examples", [quick, pytest.param(proving, marks=pytest.mark.prove)])
