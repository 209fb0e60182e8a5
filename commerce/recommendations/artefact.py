"""A trained model as a file: what it was trained on, under a version that its content decides.

`DIR/recommendations/VERSION.json.gz` holds the sessions and the catalogue's categories, from which `Blend.train` makes
the model in well under a second per 10,000 sessions: so what is kept is data that any version of this program can read,
not the innards of one. `DIR/recommendations/current` names the version that is served.
"""

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commerce.recommendations.models import Blend, Session
from contract import atomic_file
from contract.errors import Misconfigured

_FORMAT = 1
_CURRENT = "current"


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model that can be served.

    version: a hash of what it was trained on. trained_at: RFC 3339. sessions: how many.
    """

    version: str
    trained_at: str
    sessions: int
    blend: Blend


def save(folder: Path, sessions: Sequence[Session], categories: Mapping[str, str], *, trained_at: str) -> str:
    """Keep what a model is trained on, and make it the one that is served; atomically.

    Args:
        folder: of the artefacts; made where it is missing.
        sessions: item_ids in time order, oldest session first.
        categories: item → category.
        trained_at: RFC 3339.

    Returns:
        The version: the same sessions and categories have the same one.
    """
    content = {"format": _FORMAT, "sessions": sessions, "categories": dict(sorted(categories.items()))}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    version = hashlib.sha256(text.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    packed = gzip.compress(json.dumps({**content, "trained_at": trained_at}).encode(), mtime=0)
    _write(folder / f"{version}.json.gz", packed)
    _write(folder / _CURRENT, f"{version}\n".encode())
    return version


def load(folder: Path, version: str | None = None) -> Model:
    """The model of a version, or the one that is served.

    Raises:
        Misconfigured: none was trained yet, or the file is damaged or of a newer program.
    """
    current = folder / _CURRENT
    if version is None:
        if not current.exists():
            raise Misconfigured(f"no model in {folder} yet: run `milepost recommend train`")
        version = current.read_text().strip()
    path = folder / f"{version}.json.gz"
    try:
        content: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
        if content["format"] > _FORMAT:
            raise Misconfigured(f"{path} was made by a newer milepost: upgrade, or train again")
        sessions, categories = content["sessions"], content["categories"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise Misconfigured(f"{path} cannot be read ({error}): run `milepost recommend train`") from None
    return Model(version, content["trained_at"], len(sessions), Blend.train(sessions, categories))


def _write(path: Path, content: bytes) -> None:
    atomic_file.write(path, content)
