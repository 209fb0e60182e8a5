"""A network of the trucks' own: a namespace of the kernel, tied to this machine by one link that tc can make bad.

The link loses TCP segments, which a proxy cannot (simulator.scenario.line): tc's token bucket (tbf) lets so many bytes
a second through, and what its short queue cannot hold is dropped. Down, it is a cable pulled out: nobody is told. It
needs root and the packages iproute2 and util-linux. The namespace has no name and belongs to one sleeping process, so
that it goes with the runner, also when that is killed.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Self

from contract import leashed_process
from contract.errors import MilepostError

_FIRST = int(IPv4Address("198.18.0.0"))
_PAIRS = 1 << 15
"""RFC 2544 keeps 198.18.0.0/15 for tests of networks: nobody's real address. Four addresses for each link."""

_INSIDE = "trucks"
_BURST, _QUEUE = 3_200, 16_000
_START_S = 30.0


class NetworkNamespace:
    """Use as a context. address: of this machine, as the trucks see it. through: comes before a command that is to run
    in the namespace."""

    def __init__(self) -> None:
        self.address = ""
        self.through: tuple[str, ...] = ()
        self._holder: subprocess.Popen[bytes] | None = None
        self._link = ""

    def __enter__(self) -> Self:
        """Raises MilepostError where it is not allowed, or a program is missing."""
        unshare, sleep, nsenter = (_program(name, "util-linux") for name in ("unshare", "sleep", "nsenter"))
        argv = [unshare, "--net", sleep, "infinity"]
        self._holder = holder = leashed_process.start(argv, death_signal=signal.SIGKILL)
        try:
            _wait_until_apart(holder)
            self.through = (nsenter, "--target", str(holder.pid), "--net")
            self._link = f"mp{holder.pid}"
            first = IPv4Address(_FIRST + holder.pid % _PAIRS * 4)
            self.address = str(first + 1)
            self._ip("link", "add", self._link, "type", "veth", "peer", "name", _INSIDE, "netns", str(holder.pid))
            self._ip("address", "add", f"{self.address}/30", "dev", self._link)
            self._ip("link", "set", self._link, "up")
            self._ip("address", "add", f"{first + 2}/30", "dev", _INSIDE, inside=True)
            self._ip("link", "set", _INSIDE, "up", inside=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait()

    def narrow(self, bytes_per_second: float) -> None:
        """So many bytes a second each way, for all trucks together; what does not fit is dropped. 0: as it was."""
        shape = ["rate", f"{round(bytes_per_second * 8)}bit", "burst", str(_BURST), "limit", str(_QUEUE)]
        for device, inside in ((self._link, False), (_INSIDE, True)):
            if bytes_per_second:
                self._run("tc", "qdisc", "replace", "dev", device, "root", "tbf", *shape, inside=inside)
            else:
                self._run("tc", "qdisc", "delete", "dev", device, "root", inside=inside)

    def dropped(self) -> int:
        """Packets that the narrow link has dropped, both ways, since it was made narrow."""
        return sum(
            int(row.get("drops", 0))
            for device, inside in ((self._link, False), (_INSIDE, True))
            for row in json.loads(self._run("tc", "-s", "-j", "qdisc", "show", "dev", device, inside=inside) or "[]")
        )

    def set_up(self, *, up: bool) -> None:
        """Put the cable in, or pull it out."""
        self._ip("link", "set", self._link, "up" if up else "down")

    def _ip(self, *arguments: str, inside: bool = False) -> None:
        self._run("ip", *arguments, inside=inside)

    def _run(self, program: str, *arguments: str, inside: bool) -> str:
        argv = [*(self.through if inside else ()), _program(program, "iproute2"), *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MilepostError(f"{program} {' '.join(arguments)}: {done.stderr.strip()} (run as root)")
        return done.stdout


def _program(name: str, package: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise MilepostError(f"a network namespace needs the program {name}: apt-get install {package}")
    return found


def _wait_until_apart(holder: "subprocess.Popen[bytes]") -> None:
    """The process begins in our network and leaves it a moment later."""
    until = time.monotonic() + _START_S
    theirs = Path(f"/proc/{holder.pid}/ns/net")
    while holder.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError):  # it has ended
            if theirs.readlink() != Path("/proc/self/ns/net").readlink():
                return
        time.sleep(0.01)
    raise MilepostError("a network namespace of its own is not allowed here (run as root)")
