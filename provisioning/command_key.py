"""The key by which trucks know their operator's commands: Ed25519, beside the certificate authority.

    command.key (0600)   signs; back it up with ca.key
    command.pub          what trucks have: they get it with their certificate, and from a box at their daily visit

Whoever has the key commands the fleet. Where it may be in other hands, remove both files: `milepost provision init`
makes new ones, and each truck obeys the new key from its next visit on.
"""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contract.errors import Misconfigured
from provisioning import secure_files

COMMAND_KEY = "command key (command.key, command.pub)"
"""What `init` says that it made."""


class CommandKey:
    """The two files in one folder (0700)."""

    def __init__(self, folder: Path) -> None:
        self._private, self._public = folder / "command.key", folder / "command.pub"

    @property
    def exists(self) -> bool:
        """Whether `init` has made it."""
        return self._private.exists() and self._public.exists()

    def make(self) -> None:
        """Make what is missing; a key that a kill has left alone is used."""
        if not self._private.exists():
            text = Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            secure_files.write(self._private, text, mode=secure_files.PRIVATE)
        public = (
            self._key()
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        secure_files.write(self._public, public, mode=secure_files.PUBLIC)

    def public(self) -> str | None:
        """What trucks verify by.

        Returns:
            PEM; None before `make`.
        """
        return self._public.read_text(encoding="ascii") if self.exists else None

    def sign(self, message: bytes) -> bytes:
        """Sign as the operator.

        Args:
            message: of contract.commands.signed_bytes.

        Returns:
            64 bytes.

        Raises:
            Misconfigured: there is no key, it is damaged, or others may read it.
        """
        if not self.exists:
            raise Misconfigured(f"no command.key in {self._private.parent}: `milepost provision init` makes it")
        return self._key().sign(message)

    def _key(self) -> Ed25519PrivateKey:
        try:
            key = serialization.load_pem_private_key(secure_files.read_private(self._private), password=None)
        except ValueError:
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise Misconfigured(f"{self._private} is damaged: restore it, or remove it and `milepost provision init`")
        return key
