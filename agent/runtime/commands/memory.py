"""The ids of commands, on disk until they have expired: each is carried out once, and answered until that has arrived.

An id is written down before anything is done, so that a kill in between leaves a command that was begun, which is never
done again. What is remembered no more is told from what is new by `floor`: the latest `expires_at` of all that was
forgotten. A command that does not expire after that is refused, whatever any clock says.
"""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from logging import getLogger
from typing import Any

from agent.json_state_file import JsonStateFile
from contract import timestamps
from contract.commands import Command, CommandState

log = getLogger(__name__)

MOST = 128
"""Ids that are remembered at a time."""

_STATES = ("begun", "done", "refused", "failed")
_SHORT = 300
"""Characters of an answer's text that are kept after the answer has arrived."""


@dataclass(slots=True)
class Remembered:
    """One command. state: `begun` until there is an answer. told: the broker has the answer. recording: pieces of a
    file that are to be sent after it, 0 for none; a start begins with the first again."""

    name: str
    expires_at: str
    state: str = "begun"
    detail: Any = None
    told: bool = False
    recording: int = 0


@dataclass(slots=True)
class _Kept:
    """lost: a damaged file was found, and since then nobody vouched for the time. not_before: as in CommandMemory."""

    floor: str = ""
    lost: bool = False
    not_before: str = ""
    commands: dict[str, Remembered] = field(default_factory=dict)


class CommandMemory:
    """One truck's. What the last process had begun and not answered counts as failed from the start on."""

    def __init__(self, file: JsonStateFile) -> None:
        self._file = file
        self._kept = _read(file)
        for each in self._kept.commands.values():
            if each.state == "begun":
                each.state, each.detail = "failed", "the agent ended before it was done; it is not tried again"

    @property
    def floor(self) -> str:
        """The latest `expires_at` of what was forgotten, "" for nothing."""
        return self._kept.floor

    def refuses(self, command: Command, now: datetime | None) -> str | None:
        """Judge a command that is not remembered, where what was remembered once has been lost with a damaged file.

        Args:
            command: it.
            now: what time it is, if somebody vouches for it.

        Returns:
            Why it may have been carried out before; None where it cannot have been.
        """
        if self._kept.lost and now:
            self._kept.not_before, self._kept.lost = timestamps.from_datetime(now), False
            self._save()
        if self._kept.lost or command.issued_at <= self._kept.not_before:
            return "this truck's note of earlier commands was damaged, so it may have been carried out: send a new one"
        return None

    @property
    def commands(self) -> dict[str, Remembered]:
        """Id → what is known of it, oldest first."""
        return self._kept.commands

    def begin(self, command: Command, now: datetime | None) -> str | None:
        """Write down that a command will be carried out now.

        Args:
            command: one that is not remembered.
            now: what time it is, if somebody vouches for it: what has expired by then is forgotten.

        Returns:
            Why it must not be carried out; None once the note of it is durable.
        """
        self._forget(now)
        if len(self.commands) >= MOST:
            return f"{MOST} commands wait for their answers to arrive: send no more until they have"
        self.commands[command.id] = Remembered(command.name, command.expires_at)
        try:
            self._write()
        except OSError as error:
            del self.commands[command.id]
            return f"the disk takes no note of it: {error}"
        return None

    def answer(self, command_id: str, state: CommandState, detail: Any, *, recording: int = 0) -> None:
        """Keep what became of a command that was begun.

        Args:
            command_id: its.
            state: how it ended.
            detail: what is to be said.
            recording: pieces that are to be sent after it.
        """
        known = self.commands[command_id]
        known.state, known.detail, known.told, known.recording = state, detail, False, recording
        self._save()

    def tell_again(self, command_id: str, *, recording: int) -> None:
        """A command that was answered has come once more: so does its answer, and the pieces of its recording."""
        known = self.commands[command_id]
        known.told, known.recording = False, recording

    def told(self, ids: list[str]) -> None:
        """The broker has the answers to these."""
        fresh = [known for one in ids if (known := self.commands.get(one)) and not known.told]
        for known in fresh:
            known.told = True
            if len(str(known.detail)) > _SHORT:
                known.detail = f"{known.detail!s:.{_SHORT}} … (sent whole before)"
        if fresh:
            self._save()

    def sent(self, command_id: str) -> None:
        """All pieces of its recording have arrived."""
        if known := self.commands.get(command_id):
            known.recording = 0
            self._save()

    def _forget(self, now: datetime | None) -> None:
        """Let go of what has expired and is answered; where there is no room, of what expires first."""
        passed = timestamps.from_datetime(now) if now else ""
        done = sorted((one.expires_at, key) for key, one in self.commands.items() if one.told and not one.recording)
        for expires_at, key in done:
            if expires_at <= passed or len(self.commands) >= MOST:
                del self.commands[key]
                self._kept.floor = max(self._kept.floor, expires_at)

    def _save(self) -> None:
        """As durable as the disk allows: what is lost by it is said again, never done again."""
        try:
            self._write()
        except OSError as error:
            log.error("command_answer_not_kept reason=%r", str(error))

    def _write(self) -> None:
        self._file.write(asdict(self._kept))


def _read(file: JsonStateFile) -> _Kept:
    if not file.exists:
        return _Kept()
    try:
        kept = _Kept(**(file.read() or {"damaged": True}))
        kept.commands = {key: Remembered(**one) for key, one in kept.commands.items()}  # type: ignore[arg-type]
        if any(one.state not in _STATES for one in kept.commands.values()):
            return _Kept(lost=True)
    except (TypeError, AttributeError):
        return _Kept(lost=True)
    return kept
