"""Where trucks reach this fleet, and the enrolment file that tells one of them: the same words for both registries.

The file holds a one-time token (on AWS also the claim): whoever has it first is the truck. It is written 0600 and never
printed.
"""

import json
from pathlib import Path
from typing import Any

from contract.errors import Misconfigured
from provisioning import secure_files
from provisioning.registry import Registry

VERSION = 1


def introduction(registry: Registry, truck_id: str) -> dict[str, Any]:
    """The enrolment file's content, with a new one-time token. Rejected for a retired truck, Unknown for none."""
    return {**office(registry, truck_id), **registry.introduction(truck_id)}


def office(registry: Registry, truck_id: str) -> dict[str, Any]:
    """Where a truck's certificates come from: nothing secret."""
    return {"version": VERSION, "truck_id": truck_id, **registry.office()}


def write_introduction(path: Path, document: dict[str, Any]) -> Path:
    """The enrolment file, readable by its owner only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(f"cannot write {path}: {error.strerror}: give another path") from None
    secure_files.write(path, json.dumps(document, indent=1) + "\n", mode=secure_files.PRIVATE)
    return path
