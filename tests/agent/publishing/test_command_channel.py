"""Listening to commands ends where the broker does not want it, and only there."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from agent.publishing.command_channel import CommandChannel
from agent.transport import Transport

TOPIC = "fleet/T1/command"


class Line:
    """A transport that only notes what is listened to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def listen(self, topic: str, qos: int = 0) -> None:
        self.asked.append((topic, qos))


class Said:
    """Answers that note what became of them."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.back: list[Any] = []

    def waiting(self) -> Sequence[dict[str, Any]]:
        return [{"id": "a"}]

    def acknowledged(self, answers: Sequence[dict[str, Any]]) -> None:
        self.told += answers

    def returned(self, answers: Sequence[dict[str, Any]]) -> None:
        self.back += answers


class Channel:
    def __init__(self, *, answers: bool = True) -> None:
        self.now, self.line, self.said = 0.0, Line(), Said()
        transport = cast("Transport", self.line)
        self.channel = CommandChannel(TOPIC, transport, self.said if answers else None, lambda: self.now)

    def connects(self) -> bool:
        """Whether the topic is asked for at a connection."""
        asked = len(self.line.asked)
        self.channel.connected()
        return len(self.line.asked) > asked


def test_it_asks_at_each_connection_at_qos_1_however_often_the_line_breaks() -> None:
    one = Channel()
    for _ in range(3):
        assert one.connects()
        one.channel.granted(TOPIC)
        one.channel.lost()
    one.connects()
    one.now += 6
    one.channel.lost()  # no answer, but too late to be the cause
    assert one.connects()
    assert set(one.line.asked) == {(TOPIC, 1)}


def test_three_connections_in_a_row_that_end_right_after_asking_end_the_asking(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With a refusal before the end or without; one that stands in between begins the count anew."""
    one = Channel()
    for refusal in (True, False, None, True, False, True):
        assert one.connects()
        if refusal is None:
            one.channel.granted(TOPIC)
        elif refusal:
            one.channel.refuse("Not authorized")
        one.now += 4
        one.channel.lost()
    assert not one.connects()
    assert [line.split("reason=")[1] for line in caplog.messages] == [
        "'Not authorized' until=next_connection",
        "'Not authorized' until=next_connection",
        "'connections ended right after asking' until=restart",
    ]


def test_a_refusal_alone_is_said_once_and_each_connection_asks_again(caplog: pytest.LogCaptureFixture) -> None:
    """A new truck's rights may be on their way to the broker."""
    one = Channel()
    for _ in range(5):
        assert one.connects()
        one.channel.refuse("Not authorized")
        one.now += 60
        one.channel.lost()
    assert len(caplog.messages) == 1


def test_who_carries_out_no_commands_does_not_listen() -> None:
    one = Channel(answers=False)
    assert not one.connects()
    assert list(one.channel.waiting()) == []


def test_answers_are_told_of_their_puback_and_of_each_loss() -> None:
    one = Channel()
    one.channel.sent(1, one.channel.waiting())
    one.channel.delivered((7, 1))
    one.channel.sent(2, [{"id": "b"}])
    one.channel.ended(2)
    one.channel.sent(3, [{"id": "c"}])
    one.channel.lost()
    one.channel.sent(None, [{"id": "d"}])
    one.channel.delivered((2, 3))
    assert (one.said.told, one.said.back) == ([{"id": "a"}], [{"id": "b"}, {"id": "c"}, {"id": "d"}])
