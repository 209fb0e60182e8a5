"""The collector's end of MQTT: two sessions, so that what trucks sample now never waits behind what they kept.

A broker hands out a session's messages in the order in which they came. After an outage thousands of trucks send
batches of waiting samples for minutes, so these have a session of their own, `NAME-backlog`; samples sent one by one
come by `NAME`, which in release 0.1 brought everything. Reports and statuses come with the batches: they say what still
waits, which must not be known before what was sent before it. Both are persistent and acknowledged after commit.
"""

from collections.abc import Mapping

from collector.gap_repair import Ask
from contract import topics
from iot_rules.engine import Rules
from standalone.mqtt_consumer import Hearing, MqttConsumer, Submit, Unpack, items_of

_BACKLOG = Hearing(tuple(each for each in topics.UPLINK if each != topics.LIVE), window=100)
"""Batches are up to 128 KB each: some 12 MB that the broker hands out at once."""

_LIVE = Hearing((topics.LIVE,), left=_BACKLOG.filters, answers_time=True, watches_drops=True)


class MqttSessions:
    """Both sessions of one collector; `start` returns when they are subscribed.

    Args:
        url: of the broker: `mqtt://…` or `mqtts://…`.
        name: of the live session, and the beginning of the other's; the same at every start, and no other collector's.
        rules: what is made of a message.
        submit: where the rules' records go.
        unpack: in which form.
        user: name and password, where they are not in the URL.

    Raises:
        Misconfigured: the URL is none of a broker.
    """

    def __init__(  # noqa: PLR0913 - what it stands between
        self,
        url: str,
        name: str,
        rules: Rules,
        submit: Submit,
        *,
        unpack: Unpack = items_of,
        user: tuple[str, str] | None = None,
    ) -> None:
        self._live = MqttConsumer(url, name, _LIVE, rules, submit, unpack=unpack, user=user)
        self._backlog = MqttConsumer(url, f"{name}-backlog", _BACKLOG, rules, submit, unpack=unpack, user=user)
        self._sessions = {"live": self._live, "backlog": self._backlog}

    def start(self) -> None:
        """Connect both, the backlog first: the live session gives up what it subscribed only when the other has it.

        Raises:
            Unreachable: with what stood in the way.
        """
        self._backlog.start()
        self._live.start()

    def stop(self) -> None:
        """Finish what was taken, and leave the sessions to the broker."""
        self._live.stop()
        self._backlog.stop()

    @property
    def is_behind(self) -> bool:
        """Whether so many messages wait here that the broker has more of them."""
        return any(session.is_behind for session in self._sessions.values())

    def ask(self, ask: Ask) -> None:
        """Publish a resend request; if it does not arrive, it is due again.

        Args:
            ask: which truck, stream and ranges.
        """
        self._live.ask(ask)

    def figures(self) -> Mapping[str, int]:
        """For /healthz and /metrics.

        Returns:
            For each session, `live` and `backlog`: `…_connected` (0 or 1) and `…_unacknowledged` messages; and
            `broker_dropped`, the messages that the broker has acknowledged and dropped since its start.
        """
        found = {"broker_dropped": self._live.dropped}
        for name, session in self._sessions.items():
            found[f"{name}_connected"] = int(session.connected)
            found[f"{name}_unacknowledged"] = session.unacknowledged
        return found

    @property
    def failing(self) -> str:
        """Which session has no connection; empty where both have one."""
        return ", ".join(name for name, session in self._sessions.items() if not session.connected)
