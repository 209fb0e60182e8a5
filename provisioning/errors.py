"""The room's errors beside the contract's two families."""

from datetime import datetime

from contract.errors import MilepostError, Misconfigured, Retryable


class Unknown(Misconfigured):
    """A truck that the registry does not have."""

    def __init__(self, truck_id: str) -> None:
        super().__init__(f"no truck {truck_id!r}: `milepost provision truck add {truck_id}` makes it")


class Denied(MilepostError):
    """An enrolment that is refused. The words are the same whatever was wrong, so that nobody learns by trying."""


class Throttled(Retryable):
    """Too many requests. after: seconds until the next may succeed."""

    def __init__(self, after: float) -> None:
        super().__init__(f"too many requests: try again in {after:.0f} s")
        self.after = after


class AuthorityEnds(MilepostError):
    """The CA that would sign a certificate ends too soon."""

    def __init__(self, end: datetime) -> None:
        super().__init__(
            f"the CA ends on {end:%Y-%m-%d}, before a new certificate would: `milepost provision ca rotate` makes the "
            "next one"
        )
