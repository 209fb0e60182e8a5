"""How the commands show a truck's sample: a few cells of it."""

from collections.abc import Mapping
from typing import Any

from contract.records import at

Row = Mapping[str, Any]


def faults(sample: Row) -> str:
    """The active faults of a sample as `spn/fmi`, "none" where there are none, – where nobody looked."""
    found = at(dict(sample), "vehicle_health_and_maintenance.active_faults")
    if found is None:
        return "–"
    return " ".join(f"{fault['spn']}/{fault['fmi']}" for fault in found) or "none"


HIGHLIGHTS = {
    "brakes": "vehicle_health_and_maintenance.brake_status",
    "rpm": "engine_diagnostics.engine_rpm",
    "fuel %": "engine_diagnostics.fuel_level",
    "°C": "engine_diagnostics.engine_temperature",
    "psi": "engine_diagnostics.oil_pressure",
}
"""Column → dotted field, for tables of samples."""


def highlights(sample: Row) -> list[Any]:
    """The cells of HIGHLIGHTS and the active faults."""
    return [*(at(dict(sample), path) for path in HIGHLIGHTS.values()), faults(sample)]
