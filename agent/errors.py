"""The agent's errors beside the contract's: what ends the service and what only delays it."""

from contract.errors import MilepostError


class BufferDamaged(MilepostError):
    """The buffer file turned out to be damaged while it was open; the next start sets it aside and begins a new one."""
