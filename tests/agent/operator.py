"""An operator with a command key of the test's own: makes commands, and alters them."""

import base64
import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contract.commands import signed_bytes
from contract.timestamps import from_datetime
from tests.agent.trucks import TRUCK


class Operator:
    """`command.pub` in a folder, and what its private half signs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._key = Ed25519PrivateKey.generate()
        self.file = folder / "command.pub"
        self.file.write_bytes(self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def command(self, name: str = "sample_now", *, now: datetime | None = None, **more: Any) -> dict[str, Any]:
        """A command that is good for ten minutes; more: other values of its keys."""
        issued = now or datetime.now(UTC)
        return {
            "truck_id": TRUCK,
            "id": secrets.token_hex(16),
            "name": name,
            "arguments": {},
            "issued_at": from_datetime(issued),
            "expires_at": from_datetime(issued + timedelta(minutes=10)),
        } | more

    def sign(self, command: object) -> dict[str, str]:
        """As it is published."""
        text = json.dumps(command)
        return {"command": text, "signature": base64.b64encode(self._key.sign(signed_bytes(text))).decode()}

    def payload(self, command: object) -> bytes:
        """The bytes of that."""
        return json.dumps(self.sign(command)).encode()
