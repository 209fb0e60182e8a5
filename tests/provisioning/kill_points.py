"""Kills a step of provisioning at every file operation and every SQL statement, and says what each kill left.

    python -m tests.provisioning.kill_points STEP FOLDER EVERY

The folder holds `before`, a data directory. Each kill works on a copy of it: SIGKILL at the n-th operation, then what
lies there is judged, then the step is done again and judged again; EVERY is 1 for all operations, 4 for each fourth.
One JSON line for each, until a run ends by itself.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from provisioning import certificate_authority
from provisioning.registry import sqlite_file
from provisioning.registry.site import Wish
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings
from standalone.backup import restore

WRITES = os.O_WRONLY | os.O_RDWR
WATCHED = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate"})
SPARE_KEY = "spare.csr"


def opened(data: Path, wish: Wish | None = None) -> LocalRegistry:
    return LocalRegistry(data, ProvisioningSettings(), wish=wish)


def _registry_step(act: Callable[[LocalRegistry], Any]) -> Callable[[Path], None]:
    def step(data: Path) -> None:
        registry = opened(data)
        act(registry)
        registry.close()

    return step


def _add(registry: LocalRegistry) -> None:
    csr = (registry.folder.parent / SPARE_KEY).read_text()
    registry.add("NEW", {"group": "north"})
    registry.make_token("NEW", hours=1)
    registry.issue("NEW", csr)


def _settle(registry: LocalRegistry) -> None:
    registry.revoke_others("T1", registry.get("T1").active[0].id)


def _finish(registry: LocalRegistry) -> None:
    if len(registry.files.numbers) > 1:
        registry.finish_rotation()
    registry.init()


STEPS: dict[str, Callable[[Path], None]] = {
    "init": _registry_step(lambda registry: registry.init()),
    "add": _registry_step(_add),
    "rotate": _registry_step(_settle),
    "retire": _registry_step(lambda registry: registry.retire("T1")),
    "ca_rotate": _registry_step(lambda registry: registry.rotate_authority()),
    "ca_finish": _registry_step(_finish),
    "replace_ca": lambda data: _replace_authority(data),
    "restore": lambda data: void(restore(data.parent.parent / "backup", data, replace=True)),
}


def _replace_authority(data: Path) -> None:
    registry = opened(data, Wish(replace_ca=True))
    registry.init()
    registry.close()


def void(_: object) -> None:
    pass


def die_at(number: int) -> None:
    """Count what changes the disk, and die before the given one."""
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in WATCHED or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES):
            tick()

    connect = sqlite_file.connect

    def watched(*arguments: Any, **options: Any) -> Any:
        database = connect(*arguments, **options)
        database.set_trace_callback(lambda sql: tick() if sql.split()[0] not in ("SELECT", "PRAGMA") else None)
        return database

    sqlite_file.connect = watched
    sys.addaudithook(hook)


def in_child(work: Callable[[], object]) -> int:
    """0, the signal that ended it (negative), or 1 for an error."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - the child's end
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(1)
    os._exit(0)


def state(data: Path) -> dict[str, Any]:
    """What a running box would make of the folder."""
    if not (data / "provisioning" / "registry.db").exists():
        return {"registry": False}
    registry = opened(data)
    try:
        registry.write_revocations()
        roots = registry.authority()
        text = (registry.folder / "crl.pem").read_text()
        revoked = {one.serial for one in certificate_authority.revoked_by(roots, text)}
        trucks = list(registry.trucks())
        active = [one for truck in trucks for one in truck.active]
        return {
            "registry": True,
            "server": registry.files.server_is_good(),
            "roots": len(registry.files.numbers),
            "active": sorted(one.truck_id for one in active),
            "trusted": all(certificate_authority.vouches_for(roots, one.pem or "") for one in active),
            "revived": sorted(one.truck_id for one in active if one.id in revoked),
            "let_in": sorted(
                truck.truck_id for truck in trucks for one in truck.certificates
                if one.state == "revoked" and one.id not in revoked
            ),
            "states": {truck.truck_id: truck.state for truck in trucks},
        }  # fmt: skip
    finally:
        registry.close()


def left(data: Path) -> dict[str, Any]:
    """The state of what a kill has left, judged on a copy; between a restore's two renames: what was put aside."""
    there = data if data.exists() else max(data.parent.glob(f"{data.name}.replaced-*"))
    copy = data.parent / "judged"
    shutil.copytree(there, copy)
    try:
        return state(copy)
    finally:
        shutil.rmtree(copy)


def main() -> None:
    step, folder = STEPS[sys.argv[1]], Path(sys.argv[2])
    every = int(sys.argv[3])
    number, ended = 1 - every, -signal.SIGKILL
    while ended == -signal.SIGKILL:
        number += every
        data = folder / f"kill-{number}" / "data"
        shutil.copytree(folder / "before", data)

        def killed(number: int = number, data: Path = data) -> None:
            die_at(number)
            step(data)

        ended = in_child(killed)
        report: dict[str, Any] = {"kill": number, "ended": ended, "left": None, "again": None}
        if sys.argv[1] != "init":
            report["left"] = left(data)
        report["again"] = in_child(lambda data=data: step(data))  # type: ignore[misc]
        report["end"] = state(data)
        shutil.rmtree(data.parent)
        sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
