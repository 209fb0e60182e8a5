"""The control messages of gap repair: report, status and resend (docs/architecture.md, "Gap repair")."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from contract.telemetry import Identifier

Seq = Annotated[int, Field(ge=1, le=2**63 - 1)]


def _ascending(pair: tuple[int, int]) -> tuple[int, int]:
    if pair[0] > pair[1]:
        raise ValueError("a range is [first, last] with first ≤ last")
    return pair


Range = Annotated[tuple[Seq, Seq], AfterValidator(_ascending)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)


class Thinned(_Message):
    """The agent dropped all samples from `from` to `to` to make room, and kept every `keep_every`-th around them.

    What it kept, events among it, lies between two such runs and in none: it is asked for like any other.
    """

    from_: Annotated[Seq, Field(alias="from")]
    to: Seq
    keep_every: Annotated[int, Field(ge=1)]


class Report(_Message):
    """What a truck's buffer file says of one stream.

    `pending`: stored, not yet sent. `thinned`, `gone`: never to be had again. `closed`: the stream has ended and
    what is neither pending nor received is gone.
    """

    stream_id: Identifier
    oldest_retained: Seq | None = None
    highest_seq: Annotated[int, Field(ge=0, le=2**63 - 1)]
    pending: list[Range] = []
    thinned: list[Thinned] = []
    gone: list[Range] = []
    closed: bool = False


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


MAX_RESEND_RANGES = 20
