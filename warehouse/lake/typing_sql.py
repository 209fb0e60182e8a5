"""SQL that turns the wire's JSON documents into a table's typed columns, in DuckDB: one parse of each document."""

import json
from collections.abc import Mapping
from typing import Any

from warehouse.lake.schema import DUCKDB, LakeColumn, LakeTable

_JSON_TYPES = {"text": "VARCHAR", "instant": "VARCHAR", "double": "DOUBLE", "long": "BIGINT", "boolean": "BOOLEAN"}


def select(table: LakeTable, relation: str, given: Mapping[str, str], *, text: str | None = None) -> str:
    """A SELECT of all columns of a table, in its order.

    Args:
        table: whose columns.
        relation: what to read; it has a column `wire`, the document under the wire's names as JSON text.
        given: column → SQL expression over `relation`, for what does not stand in the document.
        text: the column of `relation` that is the document where `wire` is null, if it has one.
    """
    structure: dict[str, Any] = {}
    for column in table.columns:
        if column.path and column.name not in given and not _is_group(table, column):
            _place(structure, column)
    terms = [f"{_term(table, column, given)} AS {column.name}" for column in table.columns]
    if text:
        relation = f"(SELECT * REPLACE (coalesce(wire, {text}) AS wire) FROM {relation})"
    parsed = f"SELECT *, from_json(wire, '{json.dumps(structure)}') AS parsed FROM {relation}"
    return f"SELECT {', '.join(terms)} FROM ({parsed})"


def _place(structure: dict[str, Any], column: LakeColumn) -> None:
    assert column.path
    node = structure
    for part in column.path[:-1]:
        node = node.setdefault(part, {})
    node[column.path[-1]] = "JSON" if column.json else _JSON_TYPES[column.type]


def _is_group(table: LakeTable, column: LakeColumn) -> bool:
    """Kept as JSON text, and some of its members are columns too."""
    path = column.path or ()
    others = (other.path for other in table.columns if other.path and other is not column)
    return bool(path) and any(other[: len(path)] == path for other in others)


def _term(table: LakeTable, column: LakeColumn, given: Mapping[str, str]) -> str:
    if column.name in given:
        return f"CAST({given[column.name]} AS {DUCKDB[column.type]})"
    if column.path is None:
        raise AssertionError(f"{column.name}: nothing gives this column")
    value = "parsed" + "".join(f"['{part}']" for part in column.path)
    if column.json:
        if _is_group(table, column):
            value = f"json_extract(wire, '/{'/'.join(column.path)}')"
        return f"nullif(CAST({value} AS VARCHAR), 'null')"
    if column.type == "text":
        return f"replace({value}, chr(0), '')"  # PostgreSQL has no text with a zero in it
    if column.type == "instant":
        return f"TRY_CAST({value} AS TIMESTAMPTZ)"
    if column.type == "double":
        return f"CASE WHEN isfinite({value}) THEN {value} END"
    return value
