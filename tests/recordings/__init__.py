"""Recordings of real vehicles, receivers and shops; README.md has their sources and licences.

Large files are stored compressed; tests get them unpacked, in a folder that lives as long as the process.
"""

import atexit
import gzip
import shutil
import tempfile
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent


@cache
def _unpacked() -> Path:
    folder = tempfile.mkdtemp(prefix="milepost-recordings-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def recording(name: str) -> Path:
    """The recording's path, by its name in README.md, such as `trips/driveplotr_nds_drives.csv`.

    Raises:
        FileNotFoundError: no recording has this name.
    """
    path = HERE / name
    if path.is_file():
        return path
    packed = path.with_name(path.name + ".gz")
    if not packed.is_file():
        raise FileNotFoundError(f"tests/recordings has no {name}")
    target = _unpacked() / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.decompress(packed.read_bytes()))
    return target
