"""KafkaStream and its settings on Apache Kafka: brokers that are away or killed, TLS and SASL, what is misspelt."""

import gc
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from collector.streams import Record
from collector.streams import kafka as kafka_streams
from collector.streams.kafka import KafkaAddress, KafkaSettings, KafkaStream, lag, make_topics
from contract.errors import Misconfigured, Retryable, Unreachable
from deploy.local_kafka import LocalKafka
from tests import kafka
from tests.processes import free_port


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """One of these tests' own, to be killed; each leaves it running."""
    kafka.require()
    with LocalKafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


def records(start: int, count: int) -> list[Record]:
    return [Record(f"T{number % 5}", str(number).encode()) for number in range(start, start + count)]


def test_a_broker_that_is_killed_has_what_it_acknowledged_and_takes_the_rest_again(broker: LocalKafka) -> None:
    """Away: Retryable within the deadline. Back: the same stream goes on, and what was acknowledged is there."""
    address = kafka.made(broker.address)
    topic = f"{address.prefix}-telemetry"
    stream = KafkaStream(address, topic, deadline=2)
    assert stream.put(records(0, 100)) == [None] * 100
    broker.kill()
    began = time.monotonic()
    with pytest.raises(Retryable, match="send all again later"):
        stream.put(records(100, 10))
    assert time.monotonic() - began < 60
    broker.start()
    for _ in range(20):
        try:
            stream.put(records(100, 10))
            break
        except Retryable:
            time.sleep(0.2)
    found = {int(data) for _, data in kafka.read(address, topic, 110)}
    assert found >= set(range(110))


def test_a_broker_that_is_killed_while_its_lag_is_asked_for_ends_no_process(broker: LocalKafka) -> None:
    """It is told as out of reach, from any thread, also while Python collects its garbage; then the lag is there."""
    address = kafka.made(broker.address)
    KafkaStream(address, f"{address.prefix}-clicks").put(records(0, 30))
    stop, said = threading.Event(), Counter[str]()

    def look() -> None:
        while not stop.is_set():
            try:
                said[str(lag(address)[f"{address.prefix}-clicks"])] += 1
            except Unreachable:
                said["out of reach"] += 1
            gc.collect()

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    broker.kill()
    time.sleep(1)
    broker.start()
    time.sleep(1)
    stop.set()
    for thread in threads:
        thread.join()
    assert said.keys() == {"30", "out of reach"}
    assert lag(address)[f"{address.prefix}-clicks"] == 30


def test_no_broker_is_told_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is taken; here after a second, else after ten."""
    monkeypatch.setattr(kafka_streams, "_ANSWER_SECONDS", 1.0)
    address = KafkaAddress.of(f"kafka://127.0.0.1:{free_port()}/x", KafkaSettings())
    with pytest.raises(Unreachable, match=r"no Kafka at 127\.0\.0\.1:\d+"):
        make_topics(address)


def test_what_no_worker_has_taken_is_the_lag() -> None:
    """All of a topic that nobody has read yet; none of one that is empty."""
    address = kafka.made(kafka.shared())
    stream = KafkaStream(address, f"{address.prefix}-clicks")
    stream.put(records(0, 30))
    assert lag(address) == {f"{address.prefix}-telemetry": 0, f"{address.prefix}-clicks": 30}


@pytest.mark.parametrize(
    "url", ["kafka:///milepost", "http://127.0.0.1:9092", "127.0.0.1:9092", "kafka://me:secret@127.0.0.1:9092/x"]
)
def test_a_url_that_is_none_is_refused_and_its_password_not_shown(url: str) -> None:
    with pytest.raises(Misconfigured, match="kafka://HOST:PORT") as told:
        KafkaAddress.of(url, KafkaSettings())
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (KafkaSettings(mechanism="PLAIN", username="me"), "username and password"),
        (KafkaSettings(ca=Path("/nowhere.pem")), r"\[kafka\] ca: no file"),
    ],
)
def test_half_a_setting_is_named(settings: KafkaSettings, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        KafkaAddress.of("kafka://h:1/x", settings).client()


def test_mutual_tls_and_a_password_are_spoken_as_set(tmp_path: Path) -> None:
    """A broker whose second listener wants SASL PLAIN over TLS: with the password records go, without they do not."""
    kafka.require()
    ca, chain, key = kafka.certificates(tmp_path)
    tls, plain = free_port(), free_port()
    users = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_milepost="s3cret";'
    more = {
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{tls},CONTROLLER://127.0.0.1:{free_port()}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{tls}",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": users,
        "listener.name.sasl_ssl.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(chain),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(ca),
    }
    more["controller.quorum.voters"] = f"1@{more['listeners'].rsplit('//', 1)[1]}"
    with LocalKafka(tmp_path / "kafka", port=plain, more=more):
        url = f"kafka://127.0.0.1:{tls}/secret"
        right = KafkaSettings(
            ca=ca, certificate=chain, key=key, mechanism="PLAIN", username="milepost", password=SecretStr("s3cret")
        )
        address = KafkaAddress.of(url, right)
        make_topics(address)
        stream = KafkaStream(address, "secret-telemetry", deadline=10)
        assert stream.put(records(0, 5)) == [None] * 5
        wrong = KafkaAddress.of(url, right.model_copy(update={"password": SecretStr("guess")}))
        with pytest.raises((Unreachable, Retryable)):
            KafkaStream(wrong, "secret-telemetry", deadline=3).put(records(0, 1))
