"""Real captures decode to the figures that an independent parser found in them (can_capture_stats.json)."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from agent.sensors.can_frame import Frame
from agent.sensors.candump import Candump
from agent.sensors.j1939.faults import DM1_PGN, decode_dm1
from agent.sensors.j1939.signals import SIGNALS, Signal
from agent.sensors.j1939.transport_protocol import TP_CM, J1939Message, Reassembler
from agent.sensors.replay import open_recording

TRUCK = "j1939/css_truck_idle_11111111.log"
KEY_ON = "j1939/css_24v_keyon_FCBF0606_2058.log"
BENCH = "j1939/css_dm1_lfc_00000048.log"
J1939 = (TRUCK, KEY_ON, BENCH)
CAR = tuple(f"obd2/css_car_3BA199E2_0164_part{part}.log.gz" for part in (1, 2, 3))
EACH = pytest.mark.parametrize("name", J1939)

SPN_OF = {
    "rpm": 190,
    "kmh": 84,
    "Lph": 183,
    "odokm": 245,
    "oilkPa": 100,
    "coolC": 110,
    "battV": 168,
    "keyV": 158,
    "fuel%": 96,
}
"""The statistics' names → parameters."""


@dataclass
class Capture:
    """Everything of one file that the statistics speak of."""

    frames: int = 0
    skipped: int = 0
    extended: int = 0
    pgns: Counter[int] = field(default_factory=Counter)
    sources: set[int] = field(default_factory=set)
    announced: Counter[str] = field(default_factory=Counter)
    messages: list[J1939Message] = field(default_factory=list)
    dm1_frames: list[Frame] = field(default_factory=list)
    measured: defaultdict[tuple[int, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)


def of_table(pgn: int) -> list[Signal]:
    return [signal for signal in SIGNALS if signal.pgn == pgn]


@cache
def parsed(path: Path) -> Capture:
    capture, reassembler = Capture(), Reassembler()
    with open_recording(path) as lines:
        log = Candump(lines)
        for now, frame in log:
            if frame.extended:
                take(capture, reassembler, now, frame)
    capture.frames, capture.skipped, capture.counts = log.frames, log.skipped, reassembler.counts
    return capture


def take(capture: Capture, reassembler: Reassembler, now: float, frame: Frame) -> None:
    pgn = frame.pgn
    capture.extended += 1
    capture.pgns[pgn] += 1
    capture.sources.add(frame.source)
    if pgn == TP_CM and frame.data[0] == 32:
        capture.announced[f"BAM PGN {int.from_bytes(frame.data[5:], 'little')} SA {frame.source}"] += 1
    if pgn == DM1_PGN:
        capture.dm1_frames.append(frame)
    message = reassembler.feed(now, frame)
    if message is not None:
        capture.messages.append(message)
    for signal in of_table(pgn):
        raw = signal.raw(frame.data)
        if not isinstance(raw, str):
            capture.measured[signal.spn, frame.source].append(raw * signal.scale + signal.offset)


def faults(data: bytes) -> str:
    """As the statistics write a DM1."""
    dm1 = decode_dm1(data)
    assert dm1 is not None
    return " ".join(f"SPN{fault.spn}/FMI{fault.fmi}/OC{fault.occurrences}" for fault in dm1.faults)


@pytest.fixture
def capture(recording: Callable[[str], Path], name: str) -> Capture:
    return parsed(recording(name))


@pytest.fixture
def figures(capture_stats: dict[str, Any], name: str) -> dict[str, Any]:
    return capture_stats[name]


@pytest.mark.parametrize("name", J1939 + CAR)
def test_every_line_is_a_frame(capture: Capture, figures: dict[str, Any]) -> None:
    assert (capture.frames, capture.extended, capture.skipped) == (figures["frames"], figures["ext_frames"], 0)


@pytest.mark.parametrize("name", J1939 + CAR)
def test_every_pgn_is_counted(capture: Capture, figures: dict[str, Any]) -> None:
    assert {str(pgn): n for pgn, n in capture.pgns.items()} == figures["pgn_counts"]


@EACH
def test_every_source_is_known(capture: Capture, figures: dict[str, Any]) -> None:
    assert sorted(capture.sources) == figures["source_addresses"]


@EACH
def test_every_announcement_is_seen(capture: Capture, figures: dict[str, Any]) -> None:
    assert capture.announced == figures["tp_announcements"]


@EACH
def test_every_transport_session_completes(capture: Capture, figures: dict[str, Any]) -> None:
    completed = Counter(f"PGN {message.pgn} SA {message.source}" for message in capture.messages)
    assert completed == figures["tp_completed"]


@EACH
def test_no_session_is_dropped(capture: Capture) -> None:
    assert set(capture.counts) <= {"announced", "completed"}


@EACH
def test_every_signal_has_its_figures(capture: Capture, figures: dict[str, Any]) -> None:
    for title, expected in figures["signals"].items():
        _, _, _, source, quantity = title.split()
        values = capture.measured[SPN_OF[quantity], int(source)]
        found = {"n": len(values), "min": min(values), "max": max(values), "first": values[0], "last": values[-1]}
        assert found == pytest.approx(expected), title


@EACH
def test_no_signal_is_measured_that_the_statistics_do_not_have(capture: Capture, figures: dict[str, Any]) -> None:
    expected = {(SPN_OF[title.split()[-1]], int(title.split()[-2])) for title in figures["signals"]}
    assert {key for key in capture.measured if key[0] in SPN_OF.values()} == expected


@EACH
def test_multi_packet_dm1_has_its_codes(capture: Capture, figures: dict[str, Any]) -> None:
    found = Counter(
        f"SA {message.source} lamps {message.data[:2].hex().upper()} DTCs {faults(message.data)}"
        for message in capture.messages
        if message.pgn == DM1_PGN
    )
    assert found == figures["dm1_multipacket"]


@EACH
def test_single_frame_dm1_has_no_code(capture: Capture, figures: dict[str, Any]) -> None:
    assert len(capture.dm1_frames) == sum(figures["dm1_single_frame"].values())
    assert not any(faults(frame.data) for frame in capture.dm1_frames)


EC1 = bytes.fromhex("5014BB7A44B6201CD16022E1E02EE1C044FFFF7509C0440341DC7DE17A440000FFFF")


def messages(path: Path) -> list[J1939Message]:
    return parsed(path).messages


def test_a_sample_broadcast(recording: Callable[[str], Path]) -> None:
    assert messages(recording("j1939/pretty_j1939_multipacket_bam.txt")) == [J1939Message(65251, 0, 255, EC1)]


def test_a_sample_connection_on_two_interface_names(recording: Callable[[str], Path]) -> None:
    found = messages(recording("j1939/pretty_j1939_multipacket_cts.txt"))
    piece = bytes.fromhex("2334567890FF23")
    assert found == [J1939Message(65260, 0x49, 0, (piece * 4)[:22])]


def test_two_interleaved_samples_whose_time_goes_back(recording: Callable[[str], Path]) -> None:
    found = messages(recording("j1939/pretty_j1939_multipacket_interleaved.txt"))
    assert {(message.pgn, message.source, len(message.data)) for message in found} == {(65251, 0, 34), (65260, 73, 22)}
    assert next(message.data for message in found if message.pgn == 65251) == EC1


def test_sample_single_frames(recording: Callable[[str], Path]) -> None:
    found = parsed(recording("j1939/pretty_j1939_simplecandump.txt"))
    assert found.measured[190, 0] == [649.0]
    assert found.measured[245, 0] == [854934.0]
    assert not found.measured[84, 0x31]
