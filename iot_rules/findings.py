"""What lint says: one shape for all checks."""

from dataclasses import dataclass

ERROR, WARNING, INFO = "error", "warning", "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """code: a short name. message: what is wrong. remedy: what to do. position: in the statement, or None.

    level: an error loses data or is refused by AWS; a warning may; info is a figure to know.
    """

    rule: str
    code: str
    message: str
    remedy: str
    position: int | None = None
    level: str = ERROR
