"""`milepost up --dashboard`: the analysts' pages beside the box, and their marts, built again and again."""

import importlib.util
import logging
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from contract.errors import Misconfigured
from contract.ports import can_listen, free_port
from standalone.child_processes import Child, Children

log = logging.getLogger(__name__)

PORT = 8501
BUILD_SECONDS = 60.0
_FIRST_SECONDS = 5.0
_LOOK_SECONDS = 1.0
_MILEPOST = (sys.executable, "-P", "-m", "milepost")  # -P: nothing of the caller's folder


class AnalystsPages:
    """Use as a context inside a running box: `milepost dashboard` as a child, and lake and warehouse builds.

    The first build begins after a few seconds, each further one a minute after the last has ended, so that builds never
    overlap. What they say stands in DIR/builds.log, what the pages say in DIR/dashboard.log. A child that ends is
    started anew.

    Args:
        children: of the box; they end with it.
        folder: the data directory.
        config: the milepost.toml for all.
        any_port: take a free port rather than 8501.

    Raises:
        Misconfigured: the extra `dashboard` or `warehouse` is not installed.
    """

    def __init__(self, children: Children, folder: Path, config: Path | None, *, any_port: bool) -> None:
        if missing := [each for each in ("streamlit", "duckdb", "pyiceberg") if importlib.util.find_spec(each) is None]:
            raise Misconfigured(f"--dashboard needs {', '.join(missing)}: pip install 'milepost[dashboard]'")
        self._children, self._folder = children, folder
        self._shared = ["--data-dir", str(folder), *(["--config", str(config)] if config else [])]
        self._port = PORT if not any_port and can_listen(PORT) else free_port()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._serve, name="dashboard", daemon=True),
            threading.Thread(target=self._build, name="builds", daemon=True),
        ]

    @property
    def url(self) -> str:
        """Where the pages are."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> "AnalystsPages":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._run("dashboard", ["dashboard", "--port", str(self._port)], self._folder / "dashboard.log")

    def _build(self) -> None:
        wait = _FIRST_SECONDS
        while not self._stop.wait(wait):
            for step in ("lake", "warehouse"):
                if self._run(f"{step} build", [step, "build"], self._folder / "builds.log"):
                    break  # the log says why; the pages keep what the build before made
            wait = BUILD_SECONDS

    def _run(self, name: str, command: Sequence[str], log_file: Path) -> int:
        """Run a command to its end, or until the box ends; its exit code, 0 where it was ended by us."""
        child: Child = self._children.spawn([*_MILEPOST, *command, *self._shared], name=name, log=log_file)
        while not self._stop.wait(_LOOK_SECONDS):
            if (code := child.returncode) is not None:
                if code or name == "dashboard":
                    log.warning("child_ended name=%s exit=%d log=%s", name, code, log_file)
                return code
        child.stop()
        return 0
