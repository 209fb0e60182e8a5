"""Lake and warehouse, built again and again: what the timers of deploy/systemd do, for where there is no systemd.

`python -m deploy.builds --every SECONDS --engine URL --data-dir DIR` until SIGTERM, which lets a build that runs end,
and builds once more, so that what came last is in the marts. How the last one went stands in DIR/builds.json.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from contract import atomic_file
from contract.process_signals import stop_event

STATE = "builds.json"


def build(engine: str, data_dir: Path) -> int:
    """The lake, then the warehouse; the code of the first that failed, else 0."""
    for arguments in (["lake", "build"], ["warehouse", "build", "--engine", engine]):
        argv = [sys.executable, "-P", "-m", "milepost", *arguments, "--data-dir", str(data_dir)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, check=False, start_new_session=True)
        if done.returncode:
            return done.returncode
    return 0


def main() -> None:
    """Ends with the last build's code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.builds", description=__doc__)
    parser.add_argument("--every", type=float, required=True, metavar="SECONDS")
    parser.add_argument("--engine", required=True, metavar="URL", help="as of `milepost warehouse build`")
    parser.add_argument("--data-dir", type=Path, required=True)
    given = parser.parse_args()
    stop, last = stop_event(), False
    code = 0
    while not last:
        last = stop.wait(given.every)
        code = build(given.engine, given.data_dir)
        said = json.dumps({"at": time.time(), "code": code})
        atomic_file.write(given.data_dir / STATE, said + "\n", durable=False)
    sys.exit(code)


if __name__ == "__main__":
    main()
