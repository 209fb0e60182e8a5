"""`make package`: the functions' bundle and the whole template, in build/aws/, ready for `sam deploy`.

One bundle holds all functions: the rooms contract and collector, and the libraries that they need, without boto3, which
Lambda brings. Libraries come by pip for Lambda's machine, at the versions and hashes of requirements/dev.txt; or, with
`--from-here`, as they are installed here, for Lambda on this very machine and Python (tests, `milepost up --aws`).
Modules are compiled where the Python is the same: Lambda cannot keep what it compiles, and would at each cold start.
"""

import argparse
import importlib.metadata
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from contract.errors import Misconfigured, Unreachable
from deploy.render import render

ROOT = Path(__file__).parent.parent
BUILD = Path("build/aws")
ROOMS = ("contract", "collector")
LIBRARIES = (
    "httptools",
    "orjson",
    "pydantic",
    "aws-lambda-powertools",
    "starlette",
    "aws-xray-sdk",
    "crawler-user-agents",
    "maxminddb",
    "ua-parser",
    "ua-parser-rs",
)
BROUGHT = frozenset({"boto3", "botocore", "s3transfer", "jmespath", "urllib3", "python-dateutil", "six"})
"""What Lambda's Python runtimes have."""
LIMIT = 250 * 1024 * 1024
_LEFT_OUT = ("*.pyc", "__pycache__", "*.pyi", "cli.py", "openapi.json")
_MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
_EPOCH = (2020, 1, 1, 0, 0, 0)


def closure(libraries: Iterable[str]) -> list[str]:
    """The libraries and all that they need on Lambda, by what is installed here; without what Lambda brings."""
    found: dict[str, None] = {}
    waiting = list(libraries)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found or name in BROUGHT:
            continue
        found[name] = None
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            raise Misconfigured(f"{name} is not installed: pip install 'milepost[aws]'") from None
        parsed = map(Requirement, needs)
        waiting += [need.name for need in parsed if need.marker is None or need.marker.evaluate({"extra": ""})]
    return sorted(found)


def build(folder: Path, *, python: str, architecture: str, from_here: bool = False) -> Path:
    """Make `handlers/` and `handlers.zip` in the folder; the zip. python: "3.13"."""
    handlers = folder / "handlers"
    shutil.rmtree(handlers, ignore_errors=True)
    handlers.mkdir(parents=True)
    if from_here:
        _copy_installed(handlers)
    else:
        _fetch(handlers, python, architecture)
    for room in ROOMS:
        shutil.copytree(ROOT / room, handlers / room, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    _strip(handlers)
    if python == _own_python():
        _compile(handlers)
    return _zip(handlers, folder / "handlers.zip")


def write_template(folder: Path, *, python: str, architecture: str) -> Path:
    """The whole template, its defaults those of the bundle beside it."""
    template = render()
    template["Parameters"]["Runtime"]["Default"] = f"python{python}"
    template["Parameters"]["Architecture"]["Default"] = architecture
    path = folder / "template.json"
    path.write_text(json.dumps(template, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _copy_installed(target: Path) -> None:
    for name in closure(LIBRARIES):
        distribution = importlib.metadata.distribution(name)
        for file in distribution.files or ():
            source = Path(str(distribution.locate_file(file)))
            if ".." not in file.parts and source.suffix != ".pyc" and source.is_file():
                copy = target / file
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)


def _fetch(target: Path, python: str, architecture: str) -> None:
    machine = _MACHINES[architecture]
    platforms = [f"--platform={each}_{machine}" for each in ("manylinux2014", "manylinux_2_28", "manylinux_2_17")]
    with tempfile.TemporaryDirectory() as scratch:
        pins = Path(scratch) / "pins.txt"
        pins.write_text("".join(_pins()), encoding="utf-8")
        command = [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--require-hashes", "--only-binary=:all:", "--implementation=cp", f"--python-version={python}",
            *platforms, f"--target={target}", "-r", str(pins),
        ]  # fmt: skip
        if subprocess.run(command, check=False).returncode:
            raise Unreachable(
                "pip could not fetch the libraries for Lambda: see above; is the package index reachable?"
            )


def _pins() -> Iterator[str]:
    """The blocks of requirements/dev.txt, hashes and all, of what the functions need."""
    blocks = re.split(r"^(?=\S)", (ROOT / "requirements/dev.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    pinned: dict[str, str] = {canonicalize_name(block.split("==")[0]): block for block in blocks if "==" in block}
    for name in closure(LIBRARIES):
        if name not in pinned:
            raise Misconfigured(f"requirements/dev.txt does not pin {name}: run `make pins`")
        yield pinned[name]


def _strip(handlers: Path) -> None:
    """Leave out what no function needs; the metadata stays, libraries read their version from it."""
    for path in sorted(handlers.rglob("*"), reverse=True):
        wanted = path.name not in ("tests", "bin", "__pycache__") and path.suffix not in (".pyi", ".pyc")
        if not wanted and path.is_dir():
            shutil.rmtree(path)
        elif not wanted:
            path.unlink(missing_ok=True)


def _compile(handlers: Path) -> None:
    """In a process of its own: what a process has imported before changes the bytes."""
    options = ["-qq", "--invalidation-mode", "unchecked-hash", "-s", str(handlers)]
    subprocess.run([sys.executable, "-I", "-S", "-m", "compileall", *options, str(handlers)], check=False)


def _zip(handlers: Path, path: Path) -> Path:
    """The same files make the same bytes, so that an unchanged bundle is not deployed again."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(handlers.rglob("*")):
            if file.is_file():
                entry = zipfile.ZipInfo(str(file.relative_to(handlers)), _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, file.read_bytes())
    return path


def _own_python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _own_architecture() -> str:
    return "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


def here(folder: Path) -> tuple[Path, Path]:
    """Bundle and template for this machine and Python."""
    python, architecture = _own_python(), _own_architecture()
    bundle = build(folder, python=python, architecture=architecture, from_here=True)
    return bundle, write_template(folder, python=python, architecture=architecture)


def main() -> None:
    """The command line: see `--help`."""
    parser = argparse.ArgumentParser(prog="python -m deploy.package", description=__doc__.split("\n")[0])
    parser.add_argument("--python", default=_own_python(), help="Lambda's Python [default: this one]")
    parser.add_argument("--architecture", choices=sorted(_MACHINES), default="arm64")
    parser.add_argument("--from-here", action="store_true", help="the libraries installed here, for this machine")
    parser.add_argument("--folder", type=Path, default=BUILD)
    asked = parser.parse_args()
    if asked.from_here:
        bundle, template = here(asked.folder)
    else:
        bundle = build(asked.folder, python=asked.python, architecture=asked.architecture)
        template = write_template(asked.folder, python=asked.python, architecture=asked.architecture)
    unpacked = sum(file.stat().st_size for file in (asked.folder / "handlers").rglob("*") if file.is_file())
    packed = bundle.stat().st_size
    sys.stdout.write(f"{bundle}: {packed / 1e6:.1f} MB packed, {unpacked / 1e6:.1f} MB unpacked\n{template}\n")
    if unpacked > LIMIT:
        raise Misconfigured(f"the bundle is over Lambda's {LIMIT} bytes: leave libraries out")


if __name__ == "__main__":
    try:
        main()
    except (Misconfigured, Unreachable) as error:
        sys.stderr.write(f"package: {error}\n")
        sys.exit(2 if isinstance(error, Misconfigured) else 3)
