"""What keeps this truck from doing its work, and what to do about it: one finding a check, also beside the service.

A check looks and never changes anything; it never raises, and never takes longer than a few seconds.
"""

from collections.abc import Iterator
from logging import getLogger

from agent.operations.doctor.finding import Check, DoctorFinding
from agent.settings import AgentSettings

log = getLogger(__name__)


def examine(settings: AgentSettings) -> Iterator[DoctorFinding]:
    """All checks, in the order in which their faults depend on each other."""
    from agent.operations.doctor import connection, machine, sensors

    checks: dict[str, Check] = {
        "clock": machine.clock,
        "sensors": sensors.sensors,
        "disk": machine.disk,
        "buffer": machine.buffer,
        "certificate": connection.certificates,
        "broker": connection.broker,
        "service": machine.service,
    }
    for name, check in checks.items():
        try:
            yield from check(settings)
        except Exception as error:  # a check's door: the others are to be made all the same
            log.exception("check_failed check=%s", name)
            yield DoctorFinding(
                name, "failed", f"the check itself failed: {type(error).__name__}: {error}", "report this"
            )
