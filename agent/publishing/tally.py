"""What one run of the agent has done, in numbers."""

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """What one run has done, in samples; `messages` and `connections` are what they say."""

    sampled: int = 0
    not_stored: int = 0
    sent: int = 0
    refused: int = 0
    asked_again: int = 0
    pending: int = 0
    messages: int = 0
    connections: int = 0
