"""`ReplaySensor`: a real drive, played again and again, for trials and tests; not for a truck that carries goods.

It reads a candump log (plain or gzipped) or a trip table (see mixed.py, trips.py), and streams it: one item is held
ahead, never the file. It knows the recording's time line only, so a `Reading` has no `time`.
"""

import gzip
import logging
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from agent.sensors import Reading
from agent.sensors.candump import Candump, parse_line
from agent.sensors.fields import Reason
from agent.sensors.mixed_recording import Mixed
from agent.sensors.recording_clock import Tape
from agent.sensors.since_last import Interval
from agent.sensors.trip_csv import TripState, layout_of, rows
from contract.errors import Misconfigured

logger = logging.getLogger(__name__)

LEAD_IN = 12.0
"""Seconds that the first read of a lap covers at least: one round of the slowest signal (tyres, every 10 s)."""

_PROBE_LINES, _PROBE_CHARS = 200, 4096
_GZIP = b"\x1f\x8b"


class _State(Protocol):
    def feed(self, now: float, item: Any, /) -> None:
        """File one item of the recording.

        Args:
            now: seconds of the recording's own time line.
            item: a frame, or a row.
        """

    def snapshot(self, now: float) -> tuple[dict[str, object], dict[str, Reason]]:
        """What is true at a moment.

        Args:
            now: seconds of the recording's own time line.

        Returns:
            (leaf → value in wire units, leaf → why not).
        """

    def end_interval(self, now: float) -> Interval | None:
        """What happened since the last call.

        Args:
            now: seconds of the recording's own time line.

        Returns:
            None where nothing was heard.
        """


class _Player(NamedTuple):
    """How a kind of recording is played: lines → stamped items, and what is known of them."""

    items: Callable[[Iterable[str]], Iterator[tuple[float, Any]]]
    state: Callable[[], _State]


class ReplaySensor:
    """Plays `interval` seconds of the recording at each read, and starts over when it ends.

    The first read covers at least `LEAD_IN` seconds, so that it has every signal the recording carries; the last one
    ends where the recording ends, however little was left. Then a new lap begins with nothing known: no value and no
    staleness crosses the seam, and every lap gives the same readings. A pause of more than a minute in a recording (the
    next drive of a trip table) is such a seam too. The `now` of a read is not used.

    Raises Misconfigured when the path is missing, cannot be read, or is neither a candump log nor a known trip table.
    Should the file vanish later, its leaves are `error` until it is back.
    """

    def __init__(self, path: str | Path | None, *, interval: float) -> None:
        if not path:
            raise Misconfigured(
                '[[agent.sensors]] type="replay" needs path = "…": a candump log (also gzipped) or a CSV trip table.'
            )
        if interval <= 0:
            raise Misconfigured(f"[agent] interval={interval}: a replay needs more than 0 seconds.")
        self._path = Path(path)
        self._interval = interval
        self._player = _player_of(self._path)
        self._file: IO[str] | None = None
        self._tape: Tape[Any] | None = None
        self._state = self._player.state()
        self._due = 0.0

    def read(self, now: datetime) -> Reading:
        """The newest values after the next piece of the recording."""
        try:
            tape = self._tape or self._start()
        except OSError as error:
            logger.warning("replay.unreadable path=%s error=%s", self._path, error)
            return Reading({}, dict.fromkeys(self._state.snapshot(0.0)[1], "error"))
        self._due += self._interval if self._due else max(self._interval, LEAD_IN)
        for at, item in tape.until(self._due):
            self._state.feed(at, item)
        end = tape.now if tape.ended else self._due
        values, quality = self._state.snapshot(end)
        interval = self._state.end_interval(end)
        if tape.ended:
            self._rewind()
        return Reading(values, dict(quality), interval=interval)

    def close(self) -> None:
        """Lets go of the file."""
        if self._file is not None:
            self._file.close()
        self._file, self._tape = None, None

    def _start(self) -> Tape[Any]:
        self._file = open_recording(self._path)
        self._tape = Tape(self._player.items(_readable(self._file)))
        return self._tape

    def _rewind(self) -> None:
        """To the next part, or to the beginning after the last; knowing nothing, as at first."""
        self._state, self._due = self._player.state(), 0.0
        if self._tape is None or self._tape.finished:
            self.close()
        else:
            self._tape.turn()


def open_recording(path: Path) -> IO[str]:
    """The lines of a recording, unpacked if they are packed; bytes that are no text are replaced. Raises OSError."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    if packed:
        return gzip.open(path, "rt", encoding="utf-8", errors="replace")
    return path.open(encoding="utf-8", errors="replace")


def _readable(file: IO[str]) -> Iterator[str]:
    """Its lines, as far as they can be read: a damaged rest counts as the end of the recording."""
    with suppress(OSError, EOFError, zlib.error):
        yield from file


def _player_of(path: Path) -> _Player:
    """How to play the file: told by its contents, not by its name."""
    try:
        with open_recording(path) as file:
            lines = [*islice(iter(lambda: file.readline(_PROBE_CHARS), ""), _PROBE_LINES)]
    except (OSError, EOFError, zlib.error) as error:
        raise Misconfigured(
            f'[[agent.sensors]] type="replay" path="{path}" cannot be read ({error}). '
            "Correct the path or the file's permissions."
        ) from error
    layout = layout_of(lines[0]) if lines else None
    if layout is not None:
        return _Player(lambda text: rows(text, layout), lambda: TripState(layout))
    if any(parse_line(line) for line in lines):
        return _Player(lambda text: iter(Candump(text)), Mixed)
    raise Misconfigured(
        f'[[agent.sensors]] type="replay" path="{path}" is neither a candump log ("(seconds) can0 18FEF100#…", made by '
        "`candump -L`) nor a trip table with known columns (agent/sensors/trip_csv.py). Point it at such a file."
    )
