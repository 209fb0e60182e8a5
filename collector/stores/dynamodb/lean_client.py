"""DynamoDB's data calls as JSON over kept connections: a tenth of the CPU of a boto3 client.

botocore models each call: it validates and copies the parameters, builds a user agent, fires two dozen events and
parses the answer by its shapes; http.client parses an answer's headers as those of an e-mail. Attribute values are JSON
already in the form that the store keeps them in (API_AttributeValue: only binary ones are Base64 there), so none of it
is needed here. What is botocore's stays so: region, endpoint, credentials, and the errors that callers know.
"""

import os
import select
import socket
import ssl
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import httptools
import orjson
from botocore.exceptions import ClientError, HTTPClientError, NoCredentialsError
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from collector.stores.dynamodb.items import decode
from collector.stores.dynamodb.signature import Signer

_TARGET = "DynamoDB_20120810."
_OPERATIONS = {
    "batch_get_item": "BatchGetItem",
    "delete_item": "DeleteItem",
    "get_item": "GetItem",
    "put_item": "PutItem",
    "query": "Query",
    "scan": "Scan",
    "transact_get_items": "TransactGetItems",
    "transact_write_items": "TransactWriteItems",
    "update_item": "UpdateItem",
}
CONNECT_TIMEOUT, READ_TIMEOUT = 2.0, 4.0

Answer = dict[str, Any]


def lean(client: Any) -> Any:
    """A boto3 client's stand-in for the calls that a store makes; the client itself behind a proxy.

    Args:
        client: boto3's, of DynamoDB. Operations that are not in this module are still its own.
    """
    return client if get_environ_proxies(client.meta.endpoint_url) else LeanClient(client)


class LeanClient:
    """Methods named and answering as boto3's, `ResponseMetadata` apart. May be called from several threads.

    Raises:
        ClientError: DynamoDB refused, with its code and reasons.
        HTTPClientError: no whole answer came; the call may have been carried out.
        NoCredentialsError: there are none.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._place = urlsplit(client.meta.endpoint_url)
        host = self._place.netloc.removesuffix(":443" if self._place.scheme == "https" else ":80")
        self._signer = Signer(host, self._place.path.rstrip("/") + "/", client.meta.region_name)
        self._credentials = client._request_signer._credentials
        self._idle: list[HTTPConnection] = []
        self._tls = (
            ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or get_cert_path(True))
            if self._place.scheme == "https"
            else None
        )

    def __getattr__(self, name: str) -> Any:
        operation = _OPERATIONS.get(name)
        if operation is None:
            return getattr(self._client, name)
        call: Callable[..., Answer] = lambda **arguments: self._call(operation, arguments)  # noqa: E731
        setattr(self, name, call)
        return call

    def _call(self, operation: str, arguments: dict[str, Any]) -> Answer:
        body = orjson.dumps(arguments, default=_binary)
        status, text, crc = self._exchange(self._signed(operation, body), body)
        if crc is not None and int(crc) != zlib.crc32(text):
            raise HTTPClientError(error="the answer's checksum does not hold")
        if status >= 300:
            raise _error(operation, status, text)
        answer: Answer = orjson.loads(text)
        for item in _items(answer):
            decode(item)
        return answer

    def _signed(self, operation: str, body: bytes) -> bytes:
        if self._credentials is None:
            raise NoCredentialsError
        return self._signer.head(_TARGET + operation, body, self._credentials.get_frozen_credentials())

    def _exchange(self, head: bytes, body: bytes) -> tuple[int, bytes, str | None]:
        """Status, body and the checksum that the answer gives of it."""
        connection: HTTPConnection | None = None
        answer = _Answer()
        try:
            connection = self._connection()
            connection.sock.sendall(head + body)
            while not answer.is_whole:
                answer.feed(connection.sock.recv(65_536))
        except (OSError, httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if connection is not None:
                connection.close()
            raise HTTPClientError(error=f"{type(error).__name__}: {error}") from error
        if answer.may_stay:
            self._idle.append(connection)
        else:
            connection.close()
        return answer.status, b"".join(answer.pieces), answer.crc

    def _connection(self) -> HTTPConnection:
        """One that is idle and still open, else a new one."""
        with suppress(IndexError):
            while connection := self._idle.pop():
                if not _is_readable(connection.sock):  # else the other side has closed it
                    return connection
                connection.close()
        host, port = self._place.hostname or "", self._place.port
        if self._tls is None:
            connection = HTTPConnection(host, port, timeout=CONNECT_TIMEOUT)
        else:
            connection = HTTPSConnection(host, port, timeout=CONNECT_TIMEOUT, context=self._tls)
        connection.connect()
        connection.sock.settimeout(READ_TIMEOUT)
        return connection


class _Answer:
    """One answer, as it comes; httptools calls the methods named on_…"""

    def __init__(self) -> None:
        self.status = 0
        self.crc: str | None = None
        self.pieces: list[bytes] = []
        self.is_whole = self.may_stay = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Raises ConnectionError where nothing more comes."""
        if not data:
            raise ConnectionError("closed before the whole answer had come")
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-amz-crc32":
            self.crc = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status, self.may_stay = self._parser.get_status_code(), self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        self.pieces.append(body)

    def on_message_complete(self) -> None:
        self.is_whole = True


def _is_readable(connection: socket.socket) -> bool:
    looking = select.poll()  # select.select takes no descriptor above 1,023
    looking.register(connection, select.POLLIN)
    return bool(looking.poll(0))


def _binary(value: object) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    raise TypeError(f"no attribute value: {value!r:.80}")


def _items(answer: Answer) -> Iterable[Answer]:
    if "Item" in answer:
        yield answer["Item"]
    yield from answer.get("Items", ())
    found = answer.get("Responses", ())
    for each in found.values() if isinstance(found, dict) else [found]:
        for item in each:
            yield item.get("Item", {}) if each is found else item


def _error(operation: str, status: int, text: bytes) -> ClientError:
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        said = {}
    code = str(said.get("__type", status)).rsplit("#", 1)[-1]
    message = said.get("message") or said.get("Message") or text[:200].decode("utf-8", "replace")
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    answer |= {name: said[name] for name in ("CancellationReasons", "Item") if name in said}
    return ClientError(answer, operation)
