"""What is served as beacon.js."""

import gzip
import hashlib
import re
from pathlib import Path

import collector.beacon
from collector.beacon.served_script import served_script

FOLDER = Path(collector.beacon.__file__).parent / "script"


def test_the_script_that_is_served_is_under_5_kb() -> None:
    assert len(gzip.compress(served_script(), 9)) < 5 * 1024


def test_the_bundles_were_made_of_the_sources_as_they_are() -> None:
    """scripts/bundle-beacon makes them; it must be run after a change."""
    sources = b"".join(path.read_bytes() for path in sorted((FOLDER / "src").glob("*.js")))
    expected = hashlib.sha256(sources).hexdigest()[:16]
    for name in ("beacon.js", "beacon.mjs"):
        found = re.match(r"/\* Milepost beacon \d+, of (\w+):", (FOLDER / "bundle" / name).read_text("utf-8"))
        assert found is not None
        assert found[1] == expected, f"{name} is of other sources: run scripts/bundle-beacon"
