"""A DynamoDB table as `export-table-to-point-in-time` writes it into S3, in the format DYNAMODB_JSON: plain records.

Under the prefix stands `AWSDynamoDB/EXPORT/data/….json.gz`, a line `{"Item":{"Item_ID":{"S":"A13"},…}}` for each item,
and beside `data/` manifests that name them.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

from contract.codec import Json, dump, parse
from contract.errors import Rejected


def holds_items(key: str) -> bool:
    """Whether an object of an export has items, by its key: manifests and checksums have none."""
    return "/data/" in f"/{key}" and key.endswith((".json.gz", ".json"))


def records(lines: BinaryIO) -> Iterator[bytes]:
    """The items of one object, each as the JSON record that it was made of; what is no such line comes as it is.

    Args:
        lines: the object, unpacked.

    Returns:
        One record for each line, in order.
    """
    for line in lines:
        try:
            document = parse(line.strip())
            if not isinstance(document, dict) or document.keys() != {"Item"}:
                raise ValueError("no line of an export")
            yield dump({name: _plain(value) for name, value in document["Item"].items()}).encode()
        except (Rejected, ValueError, TypeError, AttributeError, KeyError):
            yield line


def _plain(typed: Any) -> Json:
    [(kind, value)] = typed.items()
    match kind:
        case "N":
            return parse(value)
        case "NULL":
            return None
        case "M":
            return {name: _plain(each) for name, each in value.items()}
        case "L":
            return [_plain(each) for each in value]
        case "NS":
            return [parse(each) for each in value]
    return value
