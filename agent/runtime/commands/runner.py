"""Decides on each command, has it carried out, and has answers for the reports. In the agent's thread, and quick there:
what takes longer than a sample has a thread of its own, one at a time. What only a command needs is imported when one
comes, since most trucks get none.

A command whose id is known is never carried out again; its answer is sent once more. While nobody vouches for the time,
what is harmless is done at once; what costs (a snapshot) waits for a time, a minute at most.
"""

import base64
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from logging import getLogger
from pathlib import Path
from typing import Any

from agent.errors import BufferDamaged
from agent.json_state_file import JsonStateFile
from agent.runtime.commands.memory import CommandMemory
from agent.settings import AgentSettings
from agent.timing.clock import Clock
from contract.commands import Command, CommandState, wrong_arguments

log = getLogger(__name__)

TIME_PATIENCE = 60.0
"""Seconds that a command which needs a time waits for one."""

REFUSALS_TOLD = 8
"""Of what was not signed by our operator, at most so many are answered in one report."""

REFUSAL_SECONDS = 5.0
"""Between two reports that are sent because of such refusals alone."""

_ANSWERS = 32
_REPORT_BYTES = 16_000
_TEXT = 400
_NEED_A_TIME = frozenset({"snapshot"})


class CommandRunner:
    """One truck's. Implements agent.publishing.hears.Answers.

    vouched_now: what time it is, None where nobody vouches for it. acts: what is quick, by name; gives the answer's
    detail. doctor: the program that examines this truck, None where the agent is a part of another program. wake:
    called from another thread, when something is done.
    """

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        settings: AgentSettings,
        clock: Clock,
        vouched_now: Callable[[], datetime | None],
        *,
        acts: Mapping[str, Callable[[], Any]],
        doctor: Sequence[str] | None,
        wake: Callable[[], None],
    ) -> None:
        self._settings, self._clock, self._vouched_now = settings, clock, vouched_now
        self._acts, self._doctor, self._wake = acts, doctor, wake
        self._memory = CommandMemory(JsonStateFile(settings.buffer.with_name(settings.buffer.name + ".commands")))
        self._refusals: deque[dict[str, Any]] = deque(maxlen=REFUSALS_TOLD)
        self._waiting_for_time: list[tuple[Command, float]] = []
        self._working: threading.Thread | None = None
        self._done: deque[tuple[str, CommandState, Any, int]] = deque()
        self._on_their_way: set[str] = set()
        self._next_piece: dict[str, int] = {}
        self._news = False
        self._refusals_at = 0.0

    def receive(self, payload: bytes, retained: bool = False) -> None:
        """A message of the command topic has come.

        Args:
            payload: as it came.
            retained: the broker had kept it: nobody knows for how long, so it is not obeyed.

        Raises:
            BufferDamaged: met while carrying it out; it is answered as failed.
        """
        if retained:
            log.warning("command_refused reason='it was retained: publish commands without that'")
            return
        from agent.runtime.commands.verification import NotObeyed, understand

        try:
            command = understand(payload, self._settings.truck_id, self._settings.command_key_file)
        except NotObeyed as error:
            self._refuse(error.id, error.name, str(error))
            return
        if command.id in self._memory.commands:
            self._say_again(command.id)
        elif all(command.id != other.id for other, _ in self._waiting_for_time):
            self._judge(command)

    def tick(self) -> bool:
        """Time passes. Whether a report is due because there is something to say. Raises as `receive`."""
        waiting, self._waiting_for_time = self._waiting_for_time, []
        for command, until in waiting:
            self._judge(command, until)
        while self._done:
            self._working = None
            command_id, state, detail, pieces = self._done.popleft()
            self._answer(command_id, state, detail, pieces)
        if self._refusals and self._clock.monotonic() >= self._refusals_at:
            self._refusals_at = self._clock.monotonic() + REFUSAL_SECONDS
            self._news = True
        return self._news

    def waiting(self) -> Sequence[dict[str, Any]]:
        """Refusals and answers that did not arrive yet, and one piece of a recording."""
        self._news = False
        answers = list(self._refusals)
        self._refusals.clear()
        size = 0
        for command_id, known in self._memory.commands.items():
            if known.state == "begun" or known.told or command_id in self._on_their_way:
                continue
            size += len(str(known.detail))
            if len(answers) >= _ANSWERS or (answers and size > _REPORT_BYTES):
                self._news = True
                break
            answers.append(_answer(command_id, known.name, known.state, known.detail))
        if not any(key.endswith("/piece") for key in self._on_their_way):
            answers += self._piece()
        self._on_their_way |= {_key(answer) for answer in answers}
        return answers

    def acknowledged(self, answers: Sequence[dict[str, Any]]) -> None:
        """The broker has these."""
        self._on_their_way -= {_key(answer) for answer in answers}
        if told := [answer["id"] for answer in answers if answer["state"] != "part"]:
            self._memory.told(told)
        for answer in answers:
            if answer["state"] == "part":
                self._next_piece[answer["id"]] = answer["detail"]["part"] + 1
        self._news |= any(known.recording and known.told for known in self._memory.commands.values())

    def returned(self, answers: Sequence[dict[str, Any]]) -> None:
        """These did not arrive: the next report has them again."""
        self._on_their_way -= {_key(answer) for answer in answers}

    def _judge(self, command: Command, until: float | None = None) -> None:
        """until: monotonic seconds up to which it may wait for a time; None: it has just come."""
        from agent.runtime.commands.verification import untimely

        now = self._vouched_now()
        if reason := untimely(command, now, self._memory.floor) or self._memory.refuses(command, now):
            self._refuse(command.id, command.name, reason)
            return
        if now is None and command.name in _NEED_A_TIME:
            until = self._clock.monotonic() + TIME_PATIENCE if until is None else until
            if self._clock.monotonic() < until:
                self._waiting_for_time.append((command, until))
                return
        if reason := self._memory.begin(command, now):
            self._refuse(command.id, command.name, reason)
            return
        log.info("command_begun name=%s id=%s", command.name, command.id)
        if reason := wrong_arguments(command.name, command.arguments):
            self._answer(command.id, "refused", reason)
        elif now is None and command.name in _NEED_A_TIME:
            reason = "nobody vouches for this truck's time, so whether it has expired is not known: see its doctor"
            self._answer(command.id, "refused", reason)
        elif command.name in self._acts:
            self._act(command)
        else:
            self._begin_work(command)

    def _act(self, command: Command) -> None:
        try:
            self._answer(command.id, "done", self._acts[command.name]())
        except BufferDamaged:
            self._answer(command.id, "failed", "the buffer is damaged, and is repaired now: ask again")
            raise
        except Exception as error:  # a command's door: the service goes on whatever one does
            log.exception("command_failed name=%s", command.name)
            self._answer(command.id, "failed", f"{type(error).__name__}: {error}"[:_TEXT])

    def _begin_work(self, command: Command) -> None:
        if self._working:
            self._answer(
                command.id, "refused", "another snapshot or doctor is at work: send it again when that is done"
            )
            return
        self._working = threading.Thread(target=self._work, args=(command,), name="command", daemon=True)
        self._working.start()

    def _work(self, command: Command) -> None:
        """In a thread of its own."""
        from agent.runtime.commands import snapshot

        state: CommandState = "failed"
        detail: Any = None
        pieces = 0
        try:
            if command.name == "doctor":
                state, detail = self._examine()
            else:
                lines, file = snapshot.lines_of(self._settings), self._recording(command.id)
                detail = snapshot.record(lines, float(command.arguments["seconds"]), file)
                pieces = snapshot.pieces_of(file)
                state, detail = "done", detail | {"pieces": pieces, "file": file.name}
        except snapshot.NoLine as error:
            state, detail = "refused", str(error)
        except Exception as error:  # the thread's door: whatever it was, the operator is told
            log.exception("command_failed name=%s", command.name)
            detail = f"{type(error).__name__}: {error}"[:_TEXT]
        self._done.append((command.id, state, detail, pieces))
        self._wake()

    def _examine(self) -> tuple[CommandState, Any]:
        if self._doctor is None:
            return "refused", "this agent runs inside another program, which has no doctor"
        from agent.runtime.commands import doctor_process

        return "done", doctor_process.findings(self._doctor)

    def _piece(self) -> list[dict[str, Any]]:
        """The next piece of the oldest recording whose answer has arrived."""
        from agent.runtime.commands import snapshot

        for command_id, known in self._memory.commands.items():
            if not (known.told and known.recording):
                continue
            number = self._next_piece.get(command_id, 1)
            if number <= known.recording:
                try:
                    data = base64.b64encode(snapshot.piece(self._recording(command_id), number)).decode()
                except OSError as error:
                    log.error("recording_gone id=%s reason=%r", command_id, str(error))
                else:
                    detail = {"part": number, "of": known.recording, "data": data}
                    return [_answer(command_id, known.name, "part", detail)]
            self._next_piece.pop(command_id, None)
            self._memory.sent(command_id)
        return []

    def _recording(self, command_id: str) -> Path:
        return self._settings.buffer.parent / "snapshots" / f"{command_id}.log.gz"

    def _say_again(self, command_id: str) -> None:
        """A broker that is killed forgets what it acknowledged, so a recording that has gone comes again as well."""
        from agent.runtime.commands import snapshot

        known = self._memory.commands[command_id]
        if known.state == "begun":
            return
        pieces, file = known.recording, self._recording(command_id)
        if not pieces and known.state == "done" and file.exists():
            pieces = snapshot.pieces_of(file)
            self._next_piece.pop(command_id, None)
        self._memory.tell_again(command_id, recording=pieces)
        self._news = True

    def _answer(self, command_id: str, state: CommandState, detail: Any, pieces: int = 0) -> None:
        log.info("command_answered id=%s state=%s", command_id, state)
        self._memory.answer(command_id, state, detail, recording=pieces)
        self._news = True

    def _refuse(self, command_id: str, name: str, reason: str) -> None:
        """Not remembered: whoever can publish here could fill the memory."""
        log.warning("command_refused name=%s id=%s reason=%r", name, command_id, reason)
        if command_id:
            self._refusals.append(_answer(command_id, name, "refused", reason[:_TEXT]))


def _answer(command_id: str, name: str, state: str, detail: Any) -> dict[str, Any]:
    return {"id": command_id, "name": name, "state": state, "detail": detail}


def _key(answer: dict[str, Any]) -> str:
    return f"{answer['id']}/piece" if answer["state"] == "part" else str(answer["id"])
