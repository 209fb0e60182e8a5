"""How many examples a property test takes: few in `make test`, many in `make prove`."""

import pytest

_PROVING_SECONDS = 3600
"""As `make prove` allows, also where somebody runs one by hand: 20,000 examples take two minutes on an idle machine."""


def budget(quick: int, proving: int) -> pytest.MarkDecorator:
    """Parametrises `examples`: `quick` always, `proving` only where the long forms run."""
    long_form = pytest.param(proving, marks=[pytest.mark.prove, pytest.mark.timeout(_PROVING_SECONDS)])
    return pytest.mark.parametrize("examples", [quick, long_form])
