"""What a running service writes is closed to others, and it leaves no core dump."""

import os
import resource
import stat
import subprocess
from pathlib import Path

from standalone.backup import back_up
from tests.standalone.up import MILEPOST, Up


def test_everything_that_it_writes_is_closed_to_others_and_it_dumps_no_core(up: Up, tmp_path: Path) -> None:
    """Nor is a backup of it open, whoever calls for it."""
    backup = tmp_path / "backups" / "today"
    before = os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    try:
        up.folder.mkdir(mode=0o755)
        subprocess.run([*MILEPOST, "provision", "init", "--data-dir", str(up.folder)], check=True, capture_output=True)
        ready = up.start("--trucks", "1", "--shoppers", "0")
        back_up(up.folder, backup)
    finally:
        os.umask(before)
    for pid in (ready["pid"], ready["broker_pid"]):
        limits = Path(f"/proc/{pid}/limits").read_text()
        (core,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert core.split()[4:6] == ["0", "0"]
    up.end()
    public = {"ca.pem", "roots.pem", "server.pem", "crl.pem", "command.pub"}
    assert all((backup / "provisioning" / name).exists() for name in ("ca.key", "command.key"))
    open_to_others = [
        str(path)
        for path in [up.folder, *up.folder.rglob("*"), backup, *backup.rglob("*")]
        if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o077 and path.name not in public
    ]
    assert open_to_others == []
