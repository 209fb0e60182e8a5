"""Who is told, when, and in one message where one is enough."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alerts import outbox
from alerts.alert import Alert
from alerts.delivery import deliver
from alerts.evaluation import Evaluation
from alerts.rules import load_rules
from alerts.senders import Untold, send
from alerts.settings import AlertSettings, Receiver
from alerts.threads import Thread, Told
from alerts.writing import Writing
from collector.rows import OutboxMessage
from contract import timestamps
from tests import ministack
from tests.alerts.receivers import SECRET, MailServer, WebhookServer, serving
from tests.collector.stores_on_disk import Collector
from tests.contract.examples import put, sample

NOON_MS = timestamps.to_ms("2026-06-01T12:00:00.000Z")
NOON = timestamps.from_ms(NOON_MS)


def told(subject: str = "T1", severity: str = "warning", title: str = "Silent") -> Told:
    alert = Alert(f"id-{subject}", "silent", title, severity, subject, NOON, None, "", "silent", "", ((NOON, "x"),))
    return Told(Thread(f"thread-{subject}", "silent", "", alert.id, NOON, None, "open", 1), "opening", alert)


def webhook(url: str, **more: Any) -> Receiver:
    return Receiver(name="ops", kind="webhook", url=url, secret=SECRET, **more)


def waiting(receiver: Receiver, *subjects: str, title: str = "Silent") -> list[OutboxMessage]:
    return [message for each in subjects for message in outbox.messages([receiver], told(each, title=title), NOON_MS)]


@pytest.mark.parametrize(
    ("quiet", "severity", "due"),
    [
        (None, "warning", "2026-06-01T12:00:10.000Z"),
        ("13:00-15:00", "warning", "2026-06-01T13:00:00.000Z"),  # in Berlin it is 14:00
        ("13:00-15:00", "critical", "2026-06-01T12:00:10.000Z"),
        ("22:00-06:00", "warning", "2026-06-01T12:00:10.000Z"),
        ("14:00-13:00", "info", "2026-06-02T11:00:00.000Z"),
    ],
)
def test_quiet_hours_hold_what_is_not_critical_until_their_end(quiet: str | None, severity: str, due: str) -> None:
    receiver = webhook("http://127.0.0.1:1", quiet=quiet, zone="Europe/Berlin")
    assert timestamps.from_ms(outbox.due_ms(receiver, severity, NOON_MS)) == due


def test_a_receiver_hears_only_of_what_is_severe_enough() -> None:
    receivers = [webhook("http://127.0.0.1:1", at_least="critical")]
    assert [
        outbox.messages(receivers, told(severity=each), NOON_MS) == [] for each in ("info", "warning", "critical")
    ] == [
        True,
        True,
        False,
    ]


def test_fifty_trucks_behind_one_dead_antenna_are_one_message() -> None:
    with serving(WebhookServer()) as server:
        receiver = webhook(server.url)
        due = waiting(receiver, *(f"T{number}" for number in range(50)))
        [group] = outbox.groups(due)
        send(receiver, group)
    [request] = server.requests
    assert (request["text"], len(request["messages"])) == ("50 subjects: Silent", 50)
    assert request["messages"][0]["alert"]["samples"] == [[NOON, "x"]]


def test_a_webhook_that_does_not_answer_2xx_has_not_taken_it() -> None:
    with serving(WebhookServer()) as server:
        receiver = webhook(server.url)
        [group] = outbox.groups(waiting(receiver, "T1"))
        server.is_down = True
        with pytest.raises(Untold, match="503"):
            send(receiver, group)
        server.is_down = False
        with pytest.raises(Untold, match="401"):
            send(receiver.model_copy(update={"secret": "another secret, just as long"}), group)
    with pytest.raises(Untold, match="refused"):
        send(receiver, group)


def test_a_receiver_that_is_away_for_an_hour_gets_everything_once_when_it_is_back(tmp_path: Path) -> None:
    """Each minute another truck overheats, every other one cools down; the service is started again on the way."""
    collector = Collector(tmp_path / "milepost.db")
    store = collector.store
    write = Writing(lambda act: act(store))

    def take(truck_id: str, minute: int, heat: float, seq: int) -> None:
        now_ms = NOON_MS + minute * 60_000
        record = sample(truck_id=truck_id, seq=seq, sampled_at=timestamps.from_ms(now_ms - 240_000 + seq * 60_000))
        collector.take(put(record, "engine_diagnostics.engine_temperature", heat), received_ms=now_ms)

    rules = [rule for rule in load_rules() if rule.name == "overheating"]
    with serving(WebhookServer()) as server:
        receiver = webhook(server.url, wait_seconds=0)
        server.is_down = True
        for minute in range(65):
            if minute % 30 == 0:
                evaluation = Evaluation(rules, [receiver], write)
            for seq in (1, 2, 3) if minute < 60 else ():
                take(f"T{minute}", minute, 120, seq)
            if minute < 60 and minute % 2:
                take(f"T{minute - 1}", minute, 90, 4)
            evaluation.step(store, NOON_MS + minute * 60_000)
            server.is_down = minute < 60
            deliver(receiver, store, write, send, NOON_MS + minute * 60_000)
    told = Counter((each["alert"]["subject"], each["event"]) for each in server.messages.values())
    over = [minute for minute in range(60) if minute % 2 == 0 or minute < 55]  # cooled down, or not heard any more
    assert told == {
        **{(f"T{minute}", "opening"): 1 for minute in range(60)},
        **{(f"T{minute}", "end"): 1 for minute in over},
    }
    assert sum(len(each["messages"]) for each in server.requests) == len(server.messages)  # nothing came twice
    assert (store.outbox_size(), server.refused < 200) == (0, True)
    collector.close()


def test_an_e_mail_says_what_was_seen_and_a_title_cannot_add_headers() -> None:
    with serving(MailServer()) as server:
        receiver = Receiver(
            name="mail", kind="email", server=server.address, tls="none", sender="a@example.org", to=("b@example.org",)
        )
        [group] = outbox.groups(waiting(receiver, "T1", title="Worn\r\nBcc: x@example.org"))
        send(receiver, group)
    [mail] = server.mails
    head, _, body = mail.partition("\r\n\r\n")
    assert "Subject: [warning] T1: Worn Bcc: x@example.org" in head
    assert "\nBcc" not in head
    assert f"{NOON}  x" in body


def test_sns_gets_it_on_the_local_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    url = ministack.shared()
    for name, value in {**ministack.CREDENTIALS, "AWS_ENDPOINT_URL": url}.items():
        monkeypatch.setenv(name, value)
    sns, sqs = ministack.client(url, "sns"), ministack.client(url, "sqs")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    queue = sqs.create_queue(QueueName="alerts")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    receiver = Receiver(name="aws", kind="sns", topic_arn=topic)
    [group] = outbox.groups(waiting(receiver, "T1"))
    send(receiver, group)
    [message] = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    assert "thread-T1" in message["Body"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "webhook", "url": "http://x"}, "needs secret"),
        ({"kind": "webhook", "url": "ftp://x", "secret": SECRET}, "pattern"),
        ({"kind": "email", "server": "x:25"}, "needs sender and to"),
        ({"kind": "sns", "topic_arn": "arn", "quiet": "22-6"}, "span of the day"),
        ({"kind": "sns", "topic_arn": "arn", "zone": "Mars/Olympus"}, "time zone"),
    ],
)
def test_a_wrong_receiver_is_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AlertSettings(receivers=[{"name": "x", **table}])
