"""The lean client answers and fails as boto3's does: on a real ministack, and on servers that misbehave."""

import os
import pathlib
import resource
import socket
import string
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError, HTTPClientError
from hypothesis import given
from hypothesis import strategies as st

from collector.stores.dynamodb import create_tables
from collector.stores.dynamodb.lean_client import LeanClient, lean
from collector.stores.dynamodb.retries import Calls, ConditionFailed
from collector.stores.dynamodb.signature import Signer
from contract.errors import Retryable
from tests import ministack

TABLE = "lean-trucks"
KEY = {"truck_id": {"S": "T1"}, "part": {"S": "head"}}
ITEM = {**KEY, "b": {"B": bytes(range(256))}, "m": {"M": {"b": {"B": b"\0"}, "n": {"N": "7"}}}, "t": {"BOOL": True}}
CONDITION = {"ConditionExpression": "attribute_not_exists(#id)", "ExpressionAttributeNames": {"#id": "truck_id"}}


@pytest.fixture(scope="module")
def theirs() -> Any:
    client = ministack.client(ministack.shared())
    create_tables(client, "lean", expiring=False)
    return client


def _same(theirs: Any, operation: str, **arguments: Any) -> Any:
    """What both clients answer."""
    said = []
    for client in (theirs, LeanClient(theirs)):
        answer = getattr(client, operation)(**arguments)
        answer.pop("ResponseMetadata", None)
        said.append(answer)
    assert said[0] == said[1]
    return said[1]


def test_items_come_back_as_from_boto3(theirs: Any) -> None:
    LeanClient(theirs).put_item(TableName=TABLE, Item=ITEM)
    assert _same(theirs, "get_item", TableName=TABLE, Key=KEY)["Item"] == ITEM
    assert _same(theirs, "scan", TableName=TABLE)["Items"] == [ITEM]
    wanted = {TABLE: {"Keys": [KEY], "ConsistentRead": True}}
    assert _same(theirs, "batch_get_item", RequestItems=wanted)["Responses"] == {TABLE: [ITEM]}
    got = _same(theirs, "transact_get_items", TransactItems=[{"Get": {"TableName": TABLE, "Key": KEY}}])
    assert got["Responses"] == [{"Item": ITEM}]
    condition = {"KeyConditionExpression": "truck_id = :t", "ExpressionAttributeValues": {":t": {"S": "T1"}}}
    assert _same(theirs, "query", TableName=TABLE, **condition)["Items"] == [ITEM]
    assert lean(theirs).list_tables()["TableNames"]  # what it does not know is boto3's


def test_refusals_are_those_of_boto3(theirs: Any) -> None:
    LeanClient(theirs).put_item(TableName=TABLE, Item=ITEM)
    for operation, arguments in (
        ("put_item", {"TableName": TABLE, "Item": ITEM, **CONDITION}),
        ("get_item", {"TableName": "nowhere", "Key": KEY}),
        ("transact_write_items", {"TransactItems": [{"Put": {"TableName": TABLE, "Item": ITEM, **CONDITION}}]}),
    ):
        errors = []
        for client in (theirs, LeanClient(theirs)):
            with pytest.raises(ClientError) as caught:
                getattr(client, operation)(**arguments)
            answer = caught.value.response
            reasons = [reason["Code"] for reason in answer.get("CancellationReasons", [])]  # type: ignore[attr-defined]
            errors.append((answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], reasons))
        assert errors[0] == errors[1]
    with pytest.raises(ConditionFailed):
        Calls(LeanClient(theirs))("put_item", TableName=TABLE, Item=ITEM, **CONDITION)


SECRETS = st.text(string.ascii_letters + string.digits + "/+=", min_size=1, max_size=60)


@given(st.binary(max_size=300), SECRETS, st.none() | SECRETS, st.sampled_from(["", ":8000"]))
def test_the_signature_is_botocores(body: bytes, secret: str, token: str | None, port: str) -> None:
    credentials = ReadOnlyCredentials("AKID", secret, token)
    host, target = f"dynamodb.eu-central-1.amazonaws.com{port}", "DynamoDB_20120810.GetItem"
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": target}
    theirs = AWSRequest("POST", f"https://{host}/", headers=headers, data=body)
    SigV4Auth(credentials, "dynamodb", "eu-central-1").add_auth(theirs)
    at = datetime.strptime(theirs.headers["X-Amz-Date"] + "+0000", "%Y%m%dT%H%M%SZ%z").timestamp()
    line, *fields = Signer(host, "/", "eu-central-1").head(target, body, credentials, at).decode().split("\r\n")[:-2]
    assert line == "POST / HTTP/1.1"
    ours = dict(field.split(": ", 1) for field in fields)
    signed = {name.lower(): value for name, value in theirs.headers.items()}
    assert ours == {"host": host, "content-length": str(len(body)), **signed}


@contextmanager
def _server(*answers: Callable[[socket.socket], object]) -> Iterator[str]:
    """One that gives each connection the next answer, once a request has come."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    thread.join(60)


def _says(status: str, body: bytes, **headers: str) -> Callable[[socket.socket], None]:
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    text = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body
    return lambda connection: connection.sendall(text)


GOOD = _says("200 OK", b"{}")


@pytest.mark.parametrize(
    "bad",
    [
        lambda connection: None,
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"),
        lambda connection: connection.sendall(b"nonsense\r\n\r\n"),
        _says("200 OK", b"{}", x_amz_crc32="1"),
        _says("500 Internal", b"<html>"),
        _says("400 Bad", b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"later"}'),
    ],
    ids=["closed", "half", "no HTTP", "wrong checksum", "no JSON", "throttled"],
)
def test_what_is_no_whole_answer_is_tried_again(bad: Callable[[socket.socket], object]) -> None:
    with _server(bad, bad, GOOD) as url:
        calls = Calls(LeanClient(ministack.client(url)), sleep=lambda _: None)
        assert calls("get_item", TableName=TABLE, Key=KEY) == {}


def _in_pieces(connection: socket.socket) -> None:
    for piece in (b"HTTP/1.1 200 OK\r\nTransfer-Enc", b"oding: chunked\r\n\r\n1\r\n{", b"\r\n1\r\n}\r\n0\r\n\r\n"):
        connection.sendall(piece)


def test_connections_that_are_closed_while_idle_cost_no_call() -> None:
    """One whose end is not yet heard of fails, and is tried again on a new one."""
    with _server(GOOD, _in_pieces, _says("200 OK", b"{}", connection="close"), GOOD) as url:
        calls = Calls(LeanClient(ministack.client(url)), sleep=lambda _: None)
        for _ in range(4):
            assert calls("get_item", TableName=TABLE, Key=KEY) == {}


def test_a_connection_is_kept_also_above_the_thousandth_descriptor() -> None:
    """And used for the next call: the server takes one connection."""
    twice = lambda connection: (GOOD(connection), connection.recv(65536), GOOD(connection))  # noqa: E731
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with _server(twice) as url, ExitStack() as held:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        client = LeanClient(ministack.client(url))
        for _ in range(1100):
            held.enter_context(pathlib.Path(os.devnull).open())
        assert client.get_item(TableName=TABLE, Key=KEY) == client.get_item(TableName=TABLE, Key=KEY) == {}


def test_nobody_there_is_retryable() -> None:
    with _server() as url:
        pass
    with pytest.raises(HTTPClientError):
        LeanClient(ministack.client(url)).get_item(TableName=TABLE, Key=KEY)
    with pytest.raises(Retryable):
        Calls(LeanClient(ministack.client(url)), sleep=lambda _: None)("get_item", TableName=TABLE, Key=KEY)
