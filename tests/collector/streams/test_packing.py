"""What producers pack into one stream record comes out as the records that they put."""

import gzip
import hashlib
from contextlib import suppress

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from collector.streams.packing import MOST_BYTES, gunzipped, unpacked
from contract.errors import Rejected

MAGIC = b"\xf3\x89\x9a\xc2"


def _classes() -> dict[str, type]:
    """KPL's own message, as its repository defines it (messages.proto)."""
    file = descriptor_pb2.FileDescriptorProto(name="kpl.proto", package="kpl", syntax="proto2")
    field = descriptor_pb2.FieldDescriptorProto
    tag, record, whole = (file.message_type.add(name=name) for name in ("Tag", "Record", "AggregatedRecord"))
    for message, number, name, kind, label, of in (
        (tag, 1, "key", field.TYPE_STRING, field.LABEL_REQUIRED, None),
        (tag, 2, "value", field.TYPE_STRING, field.LABEL_OPTIONAL, None),
        (record, 1, "partition_key_index", field.TYPE_UINT64, field.LABEL_REQUIRED, None),
        (record, 2, "explicit_hash_key_index", field.TYPE_UINT64, field.LABEL_OPTIONAL, None),
        (record, 3, "data", field.TYPE_BYTES, field.LABEL_REQUIRED, None),
        (record, 4, "tags", field.TYPE_MESSAGE, field.LABEL_REPEATED, ".kpl.Tag"),
        (whole, 1, "partition_key_table", field.TYPE_STRING, field.LABEL_REPEATED, None),
        (whole, 2, "explicit_hash_key_table", field.TYPE_STRING, field.LABEL_REPEATED, None),
        (whole, 3, "records", field.TYPE_MESSAGE, field.LABEL_REPEATED, ".kpl.Record"),
    ):
        message.field.add(name=name, number=number, type=kind, label=label, type_name=of)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"kpl.{name}"))
        for name in ("Record", "AggregatedRecord")
    }


CLASSES = _classes()


def aggregate(*datas: bytes) -> bytes:
    """As the Kinesis Producer Library writes them."""
    whole = CLASSES["AggregatedRecord"](partition_key_table=["T1", "T2"], explicit_hash_key_table=["0"])
    for number, data in enumerate(datas):
        record = whole.records.add(partition_key_index=number % 2, data=data)
        if number % 2:
            record.explicit_hash_key_index = 0
            record.tags.add(key="k", value="v")
    message = whole.SerializeToString()
    return MAGIC + message + hashlib.md5(message, usedforsecurity=False).digest()


@given(st.lists(st.binary(max_size=300).filter(lambda data: data[:2] != b"\x1f\x8b" and data[:4] != MAGIC)))
def test_an_aggregate_holds_the_records_that_were_put(datas: list[bytes]) -> None:
    assert unpacked(aggregate(*datas)) == datas


def test_gzip_is_unpacked_also_inside_an_aggregate_and_in_several_members() -> None:
    packed = gzip.compress(b"{}") + gzip.compress(b"[]")
    assert unpacked(packed) == [b"{}[]"]
    assert [gunzipped(each) for each in unpacked(gzip.compress(aggregate(packed, b"x")))] == [b"{}[]", b"x"]


@given(st.binary(max_size=300))
def test_no_bytes_cost_more_than_a_refusal(data: bytes) -> None:
    message = data + hashlib.md5(data, usedforsecurity=False).digest()
    for each in (data, MAGIC + data, MAGIC + message, b"\x1f\x8b" + data):
        with suppress(Rejected):
            assert all(isinstance(part, bytes) for part in unpacked(each))


def test_what_is_no_aggregate_but_begins_like_one_is_a_record() -> None:
    assert unpacked(MAGIC + b"something else, of some length") == [MAGIC + b"something else, of some length"]


@pytest.mark.parametrize(
    "bad", [gzip.compress(b"{}", mtime=0)[:-6], b"\x1f\x8bnot gzip", gzip.compress(bytes(MOST_BYTES + 1))]
)
def test_gzip_that_is_cut_off_or_no_gzip_or_a_bomb_is_refused(bad: bytes) -> None:
    with pytest.raises(Rejected, match=r"gzip|bytes unpacked"):
        unpacked(bad)
