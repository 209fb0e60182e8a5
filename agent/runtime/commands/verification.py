"""Whether a message is a command of this fleet's operator to this truck, and whether now is its time."""

import base64
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from contract import timestamps
from contract.codec import parse
from contract.commands import (
    CLOCK_TOLERANCE,
    ID_PATTERN,
    LARGEST,
    LONGEST_LIFE,
    NAME_PATTERN,
    Command,
    signed_bytes,
)
from contract.errors import Rejected
from contract.wire_documents import understood


class NotObeyed(Exception):
    """Why a command is refused. id, name: what it calls itself, "" where that cannot be read: then nobody is told."""

    def __init__(self, reason: str, command_id: str = "", name: str = "") -> None:
        super().__init__(reason)
        self.id, self.name = command_id, name


def understand(payload: bytes, truck_id: str, key_file: Path | None) -> Command:
    """The command in a message, whose signature is good.

    Args:
        payload: of the command topic.
        truck_id: this truck.
        key_file: the public half of the fleet's command key, PEM; None where the settings name no place for one.

    Returns:
        A command to this truck; whether it was seen before and whether it is still good is not judged.

    Raises:
        NotObeyed: it is none, or not signed by that key, or another truck's.
    """
    if len(payload) > LARGEST:
        raise NotObeyed(f"over {LARGEST} bytes")
    try:
        signed = understood("command", parse(payload))
        said = parse(signed["command"].encode())
        signature = base64.b64decode(signed["signature"], validate=True)
    except (Rejected, ValueError):  # base64's errors, and halves of surrogates, are ValueErrors
        raise NotObeyed("not a signed command") from None
    command_id, name = _read(said, "id", ID_PATTERN), _read(said, "name", NAME_PATTERN)
    if reason := _unproven(signed_bytes(signed["command"]), signature, key_file):
        raise NotObeyed(reason, command_id, name)
    try:
        command = Command(**({"arguments": {}} | understood("command-text", said)))
        for field in ("issued_at", "expires_at"):
            timestamps.parse(getattr(command, field), field)
    except Rejected as error:
        raise NotObeyed(str(error), command_id, name) from None
    if command.truck_id != truck_id:
        raise NotObeyed(f"it is for another truck, {command.truck_id}", command_id, name)
    return command


def untimely(command: Command, now: datetime | None, floor: str) -> str | None:
    """Judge the time of a command that was verified and not seen before.

    Args:
        command: it.
        now: what time it is; None where nobody vouches for the time: then only `floor` is known.
        floor: the latest `expires_at` of all ids that are remembered no more; "" for none.

    Returns:
        Why it is not to be carried out, None where nothing speaks against it.
    """
    life = (timestamps.to_ms(command.expires_at) - timestamps.to_ms(command.issued_at)) / 1000
    if not 0 < life <= LONGEST_LIFE:
        return f"expires_at must lie after issued_at, {LONGEST_LIFE // 86_400} days at most"
    if command.expires_at <= floor:
        return f"it expired at {command.expires_at}"
    if now is None:
        return None
    if (passed := now.timestamp() - timestamps.to_ms(command.expires_at) / 1000) >= 0:
        return f"it expired {passed:.0f} s ago, by this truck's time"
    if (early := timestamps.to_ms(command.issued_at) / 1000 - now.timestamp()) > CLOCK_TOLERANCE:
        return f"it was issued {early:.0f} s in the future, by this truck's time: mend the sender's clock"
    return None


def _read(said: Any, key: str, form: str) -> str:
    value = said.get(key) if isinstance(said, dict) else None
    return value if isinstance(value, str) and re.fullmatch(form, value) else ""


def _unproven(message: bytes, signature: bytes, key_file: Path | None) -> str | None:
    """Why the message is not known to be the operator's."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if key_file is None:
        return (
            "this truck has no command key: set [agent] command_key to a copy of the fleet's provisioning/command.pub"
        )
    try:
        key = load_pem_public_key(key_file.read_bytes())
    except FileNotFoundError:
        return f"this truck has no command key: copy the fleet's provisioning/command.pub to {key_file}"
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        return f"{key_file} cannot be read as a public key ({error!r:.80}): copy the fleet's command.pub there again"
    if not isinstance(key, Ed25519PublicKey):
        return f"{key_file} is no Ed25519 key: copy the fleet's provisioning/command.pub there"
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return f"its signature is not by the key in {key_file}: is that the command.pub of this fleet?"
    return None
