"""Apache Kafka for tests: one broker for the session, started when first asked for; topics of a test's own."""

import atexit
import tempfile
import uuid
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from collector.streams.kafka import KafkaAddress, KafkaSettings, make_topics
from deploy import local_kafka


def require() -> None:
    """Skips the test where no broker can be started, with the remedy."""
    if why := local_kafka.missing():
        pytest.skip(f"Apache Kafka cannot be started: {why}")


@cache
def shared() -> str:
    """host:port of the session's broker."""
    require()
    stack = ExitStack()
    atexit.register(stack.close)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="milepost-kafka-", ignore_cleanup_errors=True))
    return stack.enter_context(local_kafka.LocalKafka(Path(folder))).address


def url(brokers: str) -> str:
    """A stream's URL with a prefix that nobody else has."""
    return f"kafka://{brokers}/test-{uuid.uuid4().hex[:8]}"


def made(brokers: str, *, partitions: int = 3) -> KafkaAddress:
    """An address with its topics made."""
    address = KafkaAddress.of(url(brokers), KafkaSettings(partitions=partitions))
    make_topics(address)
    return address


def read(address: KafkaAddress, topic: str, count: int) -> list[tuple[str, bytes]]:
    """(key, data) of the first `count` records of a topic, partition by partition in order."""
    from confluent_kafka import Consumer, TopicPartition

    reader = Consumer(
        address.client(**{"group.id": "reader", "enable.auto.commit": False, "fetch.message.max.bytes": 4_000_000})
    )
    number = len(reader.list_topics(topic, 10).topics[topic].partitions)
    reader.assign([TopicPartition(topic, part, 0) for part in range(number)])
    found = []
    for _ in range(150):
        found += [message for message in reader.consume(1000, 0.2) if message.error() is None]
        if len(found) >= count:
            break
    reader.close()
    found.sort(key=lambda message: (message.partition(), message.offset()))
    return [(message.key().decode(), message.value()) for message in found]


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """PEM files of a CA, a broker's key with its chain for 127.0.0.1, and that key alone."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    now = datetime.datetime.now(datetime.UTC)
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("test CA", "127.0.0.1")]

    def signed(index: int, *extensions: x509.ExtensionType) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[index])
            .issuer_name(names[0])
            .public_key(keys[index].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    ca = signed(0, x509.BasicConstraints(ca=True, path_length=None))
    broker = signed(1, x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]))
    secret = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files = (folder / "ca.pem", folder / "broker.pem", folder / "broker.key")
    for file, content in zip(files, (ca, secret + broker + ca, secret), strict=True):
        file.write_bytes(content)
    return files
