"""Where a CAN bus is: the `path` of a sensor on one, `interface:channel?option=value&…`.

`can0` and `socketcan:can0` are Linux's own; every interface name of python-can works, such as
`slcan:/dev/ttyACM0?bitrate=500000`, `udp_multicast:239.74.163.2` or `virtual:test`, and `capture:FILE?speed=1` plays a
recording that python-can reads (.log, .asc, .blf, .trc, …, also .gz) round and round at its own pace × speed.
Options are handed to python-can, except our own: `speed`, and `ask` for OBD-II.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl

from contract.errors import Misconfigured

if TYPE_CHECKING:
    import can

CAPTURE = "capture"

Option = str | int | float | bool


class Bus(Protocol):
    """What a sensor needs of python-can's bus."""

    def recv(self, timeout: float | None = None) -> "can.Message | None":
        """Wait for one frame.

        Args:
            timeout: seconds; None for ever.

        Returns:
            It, or None where none came.
        """

    def send(self, message: "can.Message", timeout: float | None = None, /) -> None:
        """Send one frame. Raises whatever the driver raises.

        Args:
            message: it.
            timeout: seconds to wait for room in the driver's queue.
        """

    def shutdown(self) -> None: ...


@dataclass(frozen=True, slots=True)
class CanAddress:
    """One bus. options: what python-can gets; own: what is ours."""

    interface: str
    channel: str
    options: Mapping[str, Option] = field(default_factory=dict)
    own: Mapping[str, Option] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.interface}:{self.channel}"

    def open(self, filters: "list[can.typechecking.CanFilter] | None" = None) -> Bus:
        """The bus, open. Raises whatever python-can and its drivers raise. Filters are for the kernel to apply."""
        if self.interface == CAPTURE:
            from agent.sensors.can_playback import CaptureBus

            return CaptureBus(self.channel, speed=float(self.own.get("speed", 1)))
        import can

        kernel = filters if self.interface == "socketcan" else None
        options: dict[str, Any] = dict(self.options)
        return can.Bus(self.channel, self.interface, can_filters=kernel, ignore_config=True, **options)


_OWN = frozenset({"ask", "speed"})
_TAKEN = frozenset({"interface", "channel", "can_filters", "ignore_config"})
_WORDS: dict[str, bool] = {"yes": True, "true": True, "no": False, "false": False}


def parse_address(kind: str, path: str | None) -> CanAddress:
    """The address in a setting. Raises Misconfigured when it is missing or python-can does not know the interface."""
    where = f'[[agent.sensors]] type="{kind}"'
    if not path:
        raise Misconfigured(f'{where} needs path = "interface:channel", e.g. path = "socketcan:can0".')
    interfaces = _interfaces(where)
    bus, _, query = path.partition("?")
    interface, colon, channel = bus.partition(":")
    if not colon:
        interface, channel = "socketcan", bus
    if interface not in interfaces or not channel:
        known = ", ".join(sorted(interfaces))
        raise Misconfigured(f'{where} path="{path}" is no CAN bus: write "interface:channel" with one of {known}.')
    try:
        options = {name: _option(text) for name, text in parse_qsl(query, strict_parsing=True)} if query else {}
        if options.keys() & _TAKEN:
            raise ValueError
    except ValueError:
        raise Misconfigured(f'{where} path="{path}": write options as "?name=value&name=value".') from None
    own = {name: value for name, value in options.items() if name in _OWN}
    _check(where, own)
    return CanAddress(interface, channel, {name: options[name] for name in options.keys() - _OWN}, own)


def _interfaces(where: str) -> set[str]:
    try:
        import can
    except ModuleNotFoundError:
        raise Misconfigured(f"{where} needs python-can: pip install 'milepost[agent-can]'") from None
    return {*can.VALID_INTERFACES, CAPTURE}


def _check(where: str, own: Mapping[str, Option]) -> None:
    speed = own.get("speed", 1)
    if isinstance(speed, (bool, str)) or not 0 < speed <= 10_000:
        raise Misconfigured(f"{where}: speed={speed} must be a number above 0, at most 10000.")
    if not isinstance(own.get("ask", True), bool):
        raise Misconfigured(f"{where}: ask={own['ask']} must be yes or no.")


def _option(text: str) -> Option:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for make in (int, float):
        try:
            return make(text)
        except ValueError:
            continue
    return text
