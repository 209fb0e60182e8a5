"""One small JSON document beside the buffer that survives a power cut: written whole, synced, then renamed."""

import json
from pathlib import Path

from contract import atomic_file
from contract.codec import Json


class JsonStateFile:
    """The file; `read` gives None where there is none, or one that cannot be understood."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def exists(self) -> bool:
        """Whether there is anything to read, understandable or not."""
        return self._path.exists()

    def read(self) -> dict[str, Json] | None:
        """What was written last."""
        try:
            document = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    def write(self, document: dict[str, Json]) -> None:
        """Durable when it returns; OSError where the disk refuses, and then what was there before still is."""
        atomic_file.write(self._path, json.dumps(document))
