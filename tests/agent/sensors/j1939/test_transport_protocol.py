"""The reassembler: whole payloads or none, whatever is lost, repeated, out of order or interleaved; bounded memory."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sensors.can_frame import GLOBAL, Frame
from agent.sensors.j1939.transport_protocol import MAX_BYTES, TP_CM, TP_DT, J1939Message, Reassembler

PGN = 65226
BAM, RTS, CTS, END, ABORT = 32, 16, 17, 19, 255


def control(kind: int, source: int, destination: int, *, rest: bytes, pgn: int = PGN) -> Frame:
    data = bytes([kind]) + rest.ljust(4, b"\xff") + pgn.to_bytes(3, "little")
    return Frame(0x1C000000 | TP_CM << 8 | destination << 8 | source, data)


def announce(payload: bytes, source: int, destination: int = GLOBAL) -> Frame:
    packets = -(-len(payload) // 7)
    kind = BAM if destination == GLOBAL else RTS
    return control(kind, source, destination, rest=len(payload).to_bytes(2, "little") + bytes([packets]))


def packet(payload: bytes, number: int, source: int, destination: int = GLOBAL) -> Frame:
    piece = payload[(number - 1) * 7 : number * 7].ljust(7, b"\xff")
    return Frame(0x1C000000 | TP_DT << 8 | destination << 8 | source, bytes([number]) + piece)


def session(payload: bytes, source: int, destination: int = GLOBAL) -> list[Frame]:
    numbers = range(1, -(-len(payload) // 7) + 1)
    return [announce(payload, source, destination), *(packet(payload, n, source, destination) for n in numbers)]


def play(reassembler: Reassembler, frames: list[Frame], start: float = 0.0, step: float = 0.01) -> list[J1939Message]:
    heard = (reassembler.feed(start + step * at, frame) for at, frame in enumerate(frames))
    return [message for message in heard if message is not None]


PAYLOAD = bytes(range(30))
PAYLOADS = st.binary(min_size=9, max_size=120)
NODES = st.tuples(st.integers(0, 253), st.sampled_from([GLOBAL, 0, 3, 73]))


def test_a_broadcast_is_put_together() -> None:
    assert play(Reassembler(), session(PAYLOAD, 0)) == [J1939Message(PGN, 0, GLOBAL, PAYLOAD)]


def test_a_connection_is_put_together() -> None:
    assert play(Reassembler(), session(PAYLOAD, 0x49, 0)) == [J1939Message(PGN, 0x49, 0, PAYLOAD)]


def test_the_longest_message_is_put_together() -> None:
    payload = bytes(at % 251 for at in range(MAX_BYTES))
    assert play(Reassembler(), session(payload, 0))[0].data == payload


@given(st.dictionaries(NODES, PAYLOADS, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_any_interleaving_of_sessions_gives_every_payload(sessions: dict, random) -> None:
    queues = [session(payload, *node) for node, payload in sessions.items()]
    frames = []
    while queues:
        queue = random.choice(queues)
        frames.append(queue.pop(0))
        queues = [queue for queue in queues if queue]
    messages = play(Reassembler(), frames, step=0.001)
    assert {(m.source, m.destination): m.data for m in messages} == sessions
    assert len(messages) == len(sessions)


@given(PAYLOADS, st.data())
def test_any_frames_of_a_session_in_any_order_give_its_payload_or_none(payload: bytes, data) -> None:
    """Loss, repetition and disorder together."""
    frames = session(payload, 0)
    picks = data.draw(st.lists(st.integers(0, len(frames) - 1), max_size=2 * len(frames)))
    for message in play(Reassembler(), [frames[at] for at in picks], step=0.001):
        assert message.data == payload


@given(PAYLOADS, st.data())
def test_a_lost_packet_loses_the_message(payload: bytes, data) -> None:
    frames = session(payload, 0)
    del frames[data.draw(st.integers(0, len(frames) - 1))]
    assert play(Reassembler(), frames) == []


@given(PAYLOADS, st.data())
def test_two_swapped_packets_lose_the_message(payload: bytes, data) -> None:
    frames = session(payload, 0)
    at = data.draw(st.integers(1, len(frames) - 2))
    frames[at], frames[at + 1] = frames[at + 1], frames[at]
    assert play(Reassembler(), frames) == []


@given(PAYLOADS, PAYLOADS, st.data())
def test_a_broken_session_harms_neither_its_neighbour_nor_its_successor(payload: bytes, other: bytes, data) -> None:
    broken = session(payload, 0)
    del broken[data.draw(st.integers(1, len(broken) - 1))]
    sound = session(other, 1)
    mixed = [frame for pair in zip(broken, sound, strict=False) for frame in pair]
    mixed += broken[len(sound) :] + sound[len(broken) :] + session(payload, 0)
    assert [m.data for m in play(Reassembler(), mixed, step=0.001)] == [other, payload]


def test_a_last_packet_without_padding_is_enough() -> None:
    *frames, last = session(PAYLOAD, 0)
    short = Frame(last.can_id, last.data[:3])
    assert [m.data for m in play(Reassembler(), [*frames, short])] == [PAYLOAD]


def test_a_packet_cut_off_loses_the_message() -> None:
    frames = session(PAYLOAD, 0)
    frames[2] = Frame(frames[2].can_id, frames[2].data[:5])
    assert play(Reassembler(), frames) == []


def test_silence_ends_a_broadcast() -> None:
    reassembler = Reassembler()
    assert play(reassembler, session(PAYLOAD, 0), step=0.8) == []
    assert reassembler.counts["timeout"] == 1


def test_a_new_announcement_replaces_an_unfinished_one() -> None:
    reassembler = Reassembler()
    assert len(play(reassembler, session(PAYLOAD, 0)[:3] + session(PAYLOAD, 0))) == 1
    assert reassembler.counts["superseded"] == 1


def test_packets_asked_for_again_replace_those_heard() -> None:
    wrong = packet(bytes(30), 2, 0x49, 0)
    frames = session(PAYLOAD, 0x49, 0)
    again = control(CTS, 0, 0x49, rest=bytes([4, 2]))
    assert [m.data for m in play(Reassembler(), [*frames[:2], wrong, again, *frames[2:]])] == [PAYLOAD]


def test_a_receiver_ahead_of_us_ends_the_session() -> None:
    reassembler = Reassembler()
    frames = session(PAYLOAD, 0x49, 0)
    play(reassembler, [*frames[:2], control(CTS, 0, 0x49, rest=bytes([2, 4])), *frames[4:]])
    assert reassembler.counts["sequence"] == 1


def test_a_receiver_that_asks_to_wait_keeps_the_session_open() -> None:
    frames = session(PAYLOAD, 0x49, 0)
    wait = control(CTS, 0, 0x49, rest=bytes([0, 255]))
    assert len(play(Reassembler(), [*frames[:3], wait, wait, wait, *frames[3:]], step=0.9)) == 1


@pytest.mark.parametrize("source", [0x49, 0], ids=["the sender", "the receiver"])
def test_an_abort_ends_the_session(source: int) -> None:
    reassembler = Reassembler()
    frames = session(PAYLOAD, 0x49, 0)
    abort = control(ABORT, source, 0x49 - source, rest=b"\x03")
    assert play(reassembler, [*frames[:3], abort, *frames[3:]]) == []
    assert reassembler.counts["aborted"] == 1


def test_an_acknowledgement_of_what_we_did_not_hear_ends_the_session() -> None:
    reassembler = Reassembler()
    frames = session(PAYLOAD, 0x49, 0)
    play(reassembler, [*frames[:3], control(END, 0, 0x49, rest=bytes([30, 0, 5]))])
    assert reassembler.counts["ended"] == 1
    assert len(reassembler) == 0


@pytest.mark.parametrize(
    "frame",
    [
        announce(bytes(8), 0),
        control(BAM, 0, GLOBAL, rest=(MAX_BYTES + 1).to_bytes(2, "little") + b"\xff"),
        control(BAM, 0, GLOBAL, rest=bytes([30, 0, 4])),
        control(BAM, 0, 3, rest=bytes([30, 0, 5])),
        control(RTS, 0, GLOBAL, rest=bytes([30, 0, 5])),
        control(99, 0, GLOBAL, rest=b""),
        Frame(0x1CECFF00, b"\x20\x1e"),
    ],
    ids=["too short", "too long", "wrong packet count", "BAM to one", "RTS to all", "unknown kind", "cut off"],
)
def test_a_malformed_announcement_opens_nothing(frame: Frame) -> None:
    reassembler = Reassembler()
    reassembler.feed(0.0, frame)
    assert len(reassembler) == 0
    assert reassembler.counts == Counter(malformed=1)


def test_too_many_sessions_evict_the_one_silent_longest() -> None:
    reassembler = Reassembler(max_sessions=2)
    first, second, third = (session(PAYLOAD, source) for source in (1, 2, 3))
    reassembler.feed(0.0, first[0])
    reassembler.feed(0.1, second[0])
    reassembler.feed(0.2, first[1])
    reassembler.feed(0.3, third[0])
    assert [m.source for m in play(reassembler, first[2:] + third[1:], start=0.4)] == [1, 3]
    assert reassembler.counts["evicted"] == 1


CONTROLS = st.builds(
    control,
    st.sampled_from([BAM, RTS, CTS, END, ABORT, 0]),
    st.integers(0, 255),
    st.sampled_from([0, 1, GLOBAL]),
    rest=st.binary(min_size=4, max_size=4),
)
ANNOUNCEMENTS = st.builds(announce, st.binary(min_size=9, max_size=1785), st.integers(0, 255))
PACKETS = st.builds(packet, st.just(PAYLOAD), st.integers(1, 3), st.integers(0, 255), st.sampled_from([0, 1, GLOBAL]))
ANYTHING = st.builds(Frame, st.integers(0, 0x1FFFFFFF), st.binary(max_size=8))


@given(st.lists(st.tuples(st.floats(0, 2), CONTROLS | ANNOUNCEMENTS | PACKETS | ANYTHING), max_size=60))
def test_memory_stays_bounded_whatever_is_heard(heard: list[tuple[float, Frame]]) -> None:
    reassembler = Reassembler(max_sessions=3)
    for now, frame in heard:
        reassembler.feed(now, frame)
        assert len(reassembler) <= 3
        assert reassembler.buffered <= 3 * MAX_BYTES


def test_every_session_is_accounted_for() -> None:
    reassembler = Reassembler(max_sessions=4)
    for source in range(20):
        play(reassembler, session(PAYLOAD, source)[: 2 + source % 6], start=source * 0.3)
    ends = ("completed", "sequence", "timeout", "superseded", "aborted", "ended", "evicted")
    assert reassembler.counts["announced"] == sum(reassembler.counts[end] for end in ends) + len(reassembler)
