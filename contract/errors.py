"""The errors every room shares.

Two families decide what a caller does: `Rejected` (keep it in dead letters with the reason, go on) and
`Retryable` (keep it, back off, try again). Two more end a command: `Misconfigured` (exit 2) and
`Unreachable` (exit 3). Every message says what to do next.
"""


class MilepostError(Exception):
    """Root of all errors that Milepost raises on purpose."""


class Rejected(MilepostError):
    """Input that no retry can make right.

    field: dotted name of what is wrong ("gps_location.latitude"), or "" for the whole document.
    reason: what is wrong and what would be right, one sentence.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


class Retryable(MilepostError):
    """A fault outside the input: the same call may succeed later."""


class Misconfigured(MilepostError):
    """A setting, a flag or a file that the user must change first (exit 2)."""


class Unreachable(MilepostError):
    """A service that cannot be reached or is not installed (exit 3)."""
