"""The enrolment file that an operator hands out, and what of it is kept for renewals (`office.json`)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.enrollment.credential_store import Wallet, read_private
from contract.errors import Misconfigured
from contract.telemetry import Identifier


class EnrolmentFile(BaseModel):
    """What `milepost provision truck add` or `claim` wrote. One truck's; a secret until it is used.

    kind: `https` (the box: url and token) or `claim` (AWS IoT: template, claim certificate and key, and the token that
    the template's hook asks for). broker: where the truck connects afterwards. ca: PEM. command_key: by which commands
    are known, PEM, where the office itself cannot say it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    version: Literal[1]
    kind: Literal["https", "claim"]
    truck_id: Identifier
    broker: str
    ca: str
    url: str | None = None
    template: str | None = None
    token: str | None = None
    claim_certificate: str | None = None
    claim_key: str | None = None
    command_key: str | None = None

    def __repr__(self) -> str:
        return f"EnrolmentFile(truck_id={self.truck_id!r}, kind={self.kind!r})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where the next certificate comes from, and the broker it is for. Holds no secret."""

    kind: Literal["https", "claim"]
    truck_id: str
    broker: str
    url: str | None
    template: str | None


def read(path: Path) -> EnrolmentFile:
    """An enrolment file. Misconfigured where it is none, or others may read it."""
    try:
        return EnrolmentFile.model_validate_json(read_private(path))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise Misconfigured(f"{path} is no enrolment file: {where}: {first['msg']}; ask for a new one") from None


def address_of(file: EnrolmentFile) -> ServerAddress:
    """What renewals need of it."""
    return ServerAddress(file.kind, file.truck_id, file.broker, file.url, file.template)


def office_text(address: ServerAddress) -> str:
    """As it is kept in an identity's office.json."""
    return json.dumps({name: getattr(address, name) for name in ServerAddress.__slots__}) + "\n"


def kept(wallet: Wallet) -> ServerAddress | None:
    """Where the current identity's next certificate comes from, None where this truck was never enrolled."""
    path = wallet.folder / "office.json"
    return read_address(path) if path.exists() else None


def read_address(path: Path) -> ServerAddress:
    """An office.json. Misconfigured where it is damaged."""
    try:
        return ServerAddress(**json.loads(read_private(path)))
    except (ValueError, TypeError):
        raise Misconfigured(f"{path} is damaged: enrol again with a new enrolment file") from None
