"""The control messages of gap repair: report, status and resend (docs/architecture.md, "Gap repair")."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from contract.commands import ID_PATTERN, LARGEST, NAME_PATTERN, CommandState
from contract.telemetry import Identifier

Seq = Annotated[int, Field(ge=1, le=2**63 - 1)]


def _ascending(pair: tuple[int, int]) -> tuple[int, int]:
    if pair[0] > pair[1]:
        raise ValueError("a range is [first, last] with first ≤ last")
    return pair


Range = Annotated[tuple[Seq, Seq], AfterValidator(_ascending)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, defer_build=True)


class Thinned(_Message):
    """The agent dropped all samples from `from` to `to` to make room, and kept every `keep_every`-th around them.

    What it kept, events among it, lies between two such runs and in none: it is asked for like any other.
    """

    from_: Annotated[Seq, Field(alias="from")]
    to: Seq
    keep_every: Annotated[int, Field(ge=1)]


class NeverStored(_Message):
    """Samples that one process of the agent took and that found no place on its disk, so that they have no number.

    run: that process's random id. count: how many, never falling within a run, so a receiver keeps the highest per run
    and adds the runs up. from, to: times of the first and the last of them by the truck's clock, None where unknown.
    """

    run: Identifier
    count: Annotated[int, Field(ge=0)]
    from_: Annotated[str | None, Field(alias="from")] = None
    to: str | None = None


def _as_runs(value: object) -> object:
    """The release before sent a bare count per process without saying which: it cannot be added up."""
    return [] if isinstance(value, int) else value


class CommandAnswer(_Message):
    """What became of one command (contract.commands). id, name: the command's.

    state: `done`; `refused`, nothing was done; `failed`, it was begun, and is not tried again; `part`, one piece of a
    recording, whose `done` says how many there are. detail: what was found, or why not, for a reader.
    """

    id: Annotated[str, Field(min_length=1, max_length=64)]
    name: Annotated[str, Field(max_length=64)]
    state: CommandState
    detail: Any = None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


Instant = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$")]


class CommandText(_Strict):
    """What one truck is to do, once: see contract.commands.Command. It travels as text, in a SignedCommand."""

    truck_id: Identifier
    id: Annotated[str, Field(pattern=f"^{ID_PATTERN}$")]
    name: Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")]
    arguments: dict[str, int | float | str | bool] = {}
    issued_at: Instant
    expires_at: Instant


class SignedCommand(_Strict):
    """What is published. command: the JSON text of a CommandText. signature: Ed25519 over contract.commands.PREFIX and
    that text, base64."""

    command: Annotated[str, Field(max_length=LARGEST)]
    signature: Annotated[str, Field(max_length=128)]


class Report(_Message):
    """What a truck's buffer file says of one stream.

    `pending`: stored, not yet sent. `thinned`, `gone`: never to be had again. `closed`: the stream has ended and
    what is neither pending nor received is gone. `never_stored`: lost before they had a number, by process.
    `commands`: answers to commands, each sent until the broker has acknowledged it.
    """

    stream_id: Identifier
    oldest_retained: Seq | None = None
    highest_seq: Annotated[int, Field(ge=0, le=2**63 - 1)]
    pending: list[Range] = []
    thinned: list[Thinned] = []
    gone: list[Range] = []
    closed: bool = False
    never_stored: Annotated[list[NeverStored], BeforeValidator(_as_runs), Field(max_length=256)] = []
    commands: Annotated[list[CommandAnswer], Field(max_length=64)] = []


class Status(_Message):
    """Retained, and the last will: is the truck there, and how much does it hold.

    config_version: the remote configuration (contract.remote_config) that the truck has proved to work, None for its
    own file's. config_problem: why the one it was offered is not in force.
    """

    state: Literal["online", "offline", "lost"]
    at: str | None = None
    stream_id: Identifier | None = None
    highest_seq: Annotated[int | None, Field(ge=0, le=2**63 - 1)] = None
    buffered: Annotated[int | None, Field(ge=0)] = None
    version: str | None = None
    config_version: int | str | None = None
    config_problem: str | None = None


class Resend(_Message):
    """The collector asks a truck to send these again; at most 20 ranges."""

    stream_id: Identifier
    ranges: list[Range]


class TimeAsk(_Message):
    """A truck without GPS and NTP asks what time it is. id: 128 random bits in hexadecimal, new for each ask."""

    id: Annotated[str, Field(min_length=1, max_length=64)]


class TimeAnswer(_Message):
    """The cloud's clock when it saw the ask of that id. ms: Unix milliseconds; half the round trip bounds the error."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    ms: Annotated[int, Field(ge=0, le=2**53)]
