"""SQL that turns the wire's JSON documents into a table's typed columns, in DuckDB: one parse of each document."""

import json
from collections.abc import Mapping
from typing import Any

from warehouse.lake.schema import DUCKDB, Column, Table

_JSON_TYPES = {"text": "VARCHAR", "instant": "VARCHAR", "double": "DOUBLE", "long": "BIGINT", "boolean": "BOOLEAN"}


def select(table: Table, relation: str, given: Mapping[str, str]) -> str:
    """A SELECT of all columns of a table, in its order.

    Args:
        table: whose columns.
        relation: what to read; it has a column `wire`, the document under the wire's names as JSON text.
        given: column → SQL expression over `relation`, for what does not stand in the document.
    """
    structure: dict[str, Any] = {}
    for column in table.columns:
        if column.path and not column.json and column.name not in given:
            _place(structure, column)
    terms = [f"{_term(column, given)} AS {column.name}" for column in table.columns]
    parsed = f"SELECT *, from_json(wire, '{json.dumps(structure)}') AS parsed FROM {relation}"
    return f"SELECT {', '.join(terms)} FROM ({parsed})"


def _place(structure: dict[str, Any], column: Column) -> None:
    assert column.path
    node = structure
    for part in column.path[:-1]:
        node = node.setdefault(part, {})
    node[column.path[-1]] = _JSON_TYPES[column.type]


def _term(column: Column, given: Mapping[str, str]) -> str:
    if column.name in given:
        return f"CAST({given[column.name]} AS {DUCKDB[column.type]})"
    if column.path is None:
        raise AssertionError(f"{column.name}: nothing gives this column")
    if column.json:
        pointer = "/".join(("", *column.path))
        return f"nullif(CAST(json_extract(wire, '{pointer}') AS VARCHAR), 'null')"
    value = "parsed" + "".join(f"['{part}']" for part in column.path)
    if column.type == "text":
        return f"replace({value}, chr(0), '')"  # PostgreSQL has no text with a zero in it
    if column.type == "instant":
        return f"TRY_CAST({value} AS TIMESTAMPTZ)"
    if column.type == "double":
        return f"CASE WHEN isfinite({value}) THEN {value} END"
    return value
