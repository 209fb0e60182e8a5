"""Look for known vulnerabilities in every pinned environment, by pip-audit: `make audit`.

    python -m scripts.audit [--advisories FILE] [REQUIREMENTS...]

Without a network, `--advisories` is a file of OSV records: a JSON list, or the archive that osv.dev gives for PyPI
(`all.zip`). pip-audit then asks a server on the loopback interface that answers from it. Exits 1 if something is found,
2 for a file that cannot be read, 3 if the advisories cannot be had.
"""

import argparse
import json
import subprocess
import sys
import threading
import zipfile
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
Advisories = dict[str, list[dict[str, Any]]]


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="make audit", description="Known vulnerabilities of what is pinned.")
    parser.add_argument("--advisories", type=Path, help="OSV records: a JSON list, or osv.dev's all.zip for PyPI")
    parser.add_argument("requirements", nargs="*", type=Path)
    options = parser.parse_args()
    files = options.requirements or sorted((ROOT / "requirements").glob("*.txt"))
    if options.advisories is None:
        return audit(files)
    try:
        known = read(options.advisories)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        sys.stderr.write(f"audit: {options.advisories} holds no OSV records: {error}\n")
        return 2
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(known))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        return audit(files, "-s", "osv", "--osv-url", f"http://127.0.0.1:{server.server_port}/")
    finally:
        server.shutdown()


def audit(files: list[Path], *service: str) -> int:
    """Ask for all files; the worst outcome."""
    worst = 0
    for file in files:
        argv = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "-r", str(file), *service]
        done = subprocess.run([*argv, "--progress-spinner", "off"], capture_output=True, text=True, check=False)
        said = f"{done.stdout}{done.stderr}".strip()
        # pip-audit takes a package of which it heard nothing for a good one.
        unreachable = "could not be audited" in said or (done.returncode and "vulnerabilit" not in said)
        sys.stdout.write(f"{file.name}: {said}\n")
        if unreachable:
            sys.stderr.write("audit: the advisories cannot be had: give a local file by ADVISORIES=all.zip\n")
        worst = max(worst, 3 if unreachable else done.returncode)
    return worst


def read(path: Path) -> Advisories:
    """The records of a file, by the canonical name of the package."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            records = [json.loads(archive.read(name)) for name in archive.namelist() if name.endswith(".json")]
    else:
        records = json.loads(path.read_text("utf-8"))
    found: Advisories = defaultdict(list)
    for record in records:
        for affected in record.get("affected", []):
            package = affected.get("package", {})
            if package.get("ecosystem") == "PyPI":
                found[canonicalize_name(package["name"])].append({**record, "affected": [affected]})
    return found


def concerns(record: dict[str, Any], version: str) -> bool:
    """Whether a record's one `affected` entry names a version (OSV schema: `versions`, and `ranges` of ECOSYSTEM)."""
    (affected,) = record["affected"]
    if version in affected.get("versions", []):
        return True
    for span in affected.get("ranges", []):
        if span.get("type") != "ECOSYSTEM":
            continue
        inside = False
        for event in sorted(span["events"], key=lambda event: _version(next(iter(event.values())))):
            ((kind, at),) = event.items()
            if _version(at) < Version(version) or (kind != "last_affected" and _version(at) == Version(version)):
                inside = kind == "introduced"
        if inside:
            return True
    return False


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def handler(known: Advisories) -> type[BaseHTTPRequestHandler]:
    """Answers OSV's `POST /v1/query` for one package and version."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            records = known.get(canonicalize_name(asked["package"]["name"]), [])
            found = [record for record in records if concerns(record, asked["version"])]
            body = json.dumps({"vulns": found} if found else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing for each request."""

    return Handler


if __name__ == "__main__":
    sys.exit(main())
