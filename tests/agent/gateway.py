"""A gateway with a real systemd as its first process, in namespaces of this machine: booted, entered, switched off."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

INIT = Path("/lib/systemd/systemd")
_TOOLS = ("unshare", "nsenter", "pivot_root", "systemctl")
_BOOT_SECONDS = 20.0
_ROOT = Path(__file__).resolve().parents[2]


class Unbootable(Exception):
    """Why no such machine can be had here."""


class Gateway:
    """Raises Unbootable. folder: an empty one of the test's. What is done inside does not stay on this disk."""

    def __init__(self, folder: Path) -> None:
        missing = [tool for tool in _TOOLS if not shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin")]
        if os.geteuid() != 0 or missing or not INIT.exists():
            raise Unbootable(f"root and systemd are needed, and {', '.join(missing or _TOOLS)}")
        needed = [str(_ROOT), sys.prefix, sys.base_prefix]
        if hidden := [each for each in needed if each.startswith("/tmp/")]:
            raise Unbootable(f"{hidden[0]} lies in /tmp, and a service has one of its own")
        self._cgroup = _own_cgroup()
        self._log = folder / "console.log"
        (folder / "disk").mkdir()
        join = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
        unshare = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts", "--cgroup")
        boot = ("sh", str(Path(__file__).with_name("boot.sh")), str(folder / "disk"), *needed)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", join, str(self._cgroup), *unshare, *boot], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._wait_until_it_runs()
        except BaseException:
            self.switch_off()
            raise

    def run(self, *command: str, check: bool = True, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """A command in it, as root, in /. text: for its stdin."""
        enter = ("nsenter", "--target", str(self._init()), "--mount", "--pid", "--cgroup", "--uts", "--ipc", "--wd=/")
        done = subprocess.run([*enter, *command], input=text, capture_output=True, text=True, check=False, timeout=90)
        assert done.returncode == 0 or not check, (
            f"{command}: {done.stdout}{done.stderr}{self._log.read_text()[-2000:]}"
        )
        return done

    def write(self, path: str, text: str) -> None:
        """A file on its disk."""
        self.run("sh", "-c", 'mkdir -p "$(dirname "$0")" && cat > "$0"', path, text=text)

    def show(self, unit: str) -> dict[str, str]:
        """What `systemctl show` says of a unit."""
        lines = self.run("systemctl", "show", unit).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def switch_off(self) -> None:
        """At once, with all that runs in it."""
        self._process.kill()
        self._process.wait()
        deadline = time.monotonic() + 90
        while self._cgroup.exists() and time.monotonic() < deadline:  # the dead leave a little later
            for each, _, _ in os.walk(self._cgroup, topdown=False):
                try:
                    Path(each).rmdir()
                except OSError:
                    time.sleep(0.05)

    def _init(self) -> int:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        if not children:
            raise Unbootable(f"it did not start: {self._log.read_text()[-500:]}")
        return int(children[0])

    def _wait_until_it_runs(self) -> None:
        deadline = time.monotonic() + _BOOT_SECONDS
        said = ""
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                said = self.run("systemctl", "is-system-running", check=False).stdout.strip()
            except Unbootable:
                said = "no process"
            if said == "running":
                return
            time.sleep(0.1)
        raise Unbootable(
            f"systemd does not come up in namespaces of this machine ({said}): {self._log.read_text()[-500:]}"
        )


def _own_cgroup() -> Path:
    """A new one in the unified hierarchy, which a systemd wants for its own."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    unified = next((Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"), None)
    if unified is None:
        raise Unbootable("no cgroup2 is mounted here")
    made = unified / f"milepost-test-{os.getpid()}"
    try:
        made.mkdir()
    except OSError as error:
        raise Unbootable(f"no cgroup can be made here: {error}") from None
    return made
