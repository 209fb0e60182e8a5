"""Reading the marts: for dashboards, recommendations and routes. Imports nothing that builds.

Values are plain: instants as `…sssZ`, days as `YYYY-MM-DD`, numbers, texts, booleans, null.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from contract import timestamps
from warehouse.engines.factory import open_engine
from warehouse.settings import WarehouseSettings


def query(sql: str, data_dir: Path, settings: WarehouseSettings | None = None) -> list[dict[str, Any]]:
    """The rows of one SELECT over the marts, as plain JSON values.

    Args:
        sql: in the engine's dialect; the marts' names need no schema.
        data_dir: whose warehouse.
        settings: which engine; DuckDB in the data directory where None.

    Returns:
        One mapping a row, column → value, in the order that the SQL gives.

    Raises:
        Misconfigured: the SQL is wrong, or no warehouse was built yet.
        Unreachable: the engine cannot be reached.
    """
    return plain_rows(open_engine(None, settings or WarehouseSettings(), data_dir).query(sql))


@contextmanager
def one_build(data_dir: Path, settings: WarehouseSettings | None = None) -> Iterator[None]:
    """For a page of several queries: inside it they are cheaper, and on DuckDB all read the same build.

    Args:
        data_dir, settings: as `query` takes them.

    Returns:
        To be entered around the queries.

    Raises:
        Misconfigured: the DuckDB file is none.
    """
    with open_engine(None, settings or WarehouseSettings(), data_dir).held():
        yield


def plain_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of an engine in JSON's values.

    A column has values of one kind or two: they are looked at a column at a time, which for a year of a truck's hours
    takes a tenth of what it takes value by value.

    Args:
        rows: all with the same columns; those of their values that JSON does not have are replaced in place.

    Returns:
        The same rows.
    """
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows]
        kinds = set(map(type, values))
        if not kinds <= _AS_THEY_ARE or (float in kinds and any(value != value for value in values)):
            for row, value in zip(rows, values, strict=True):
                row[name] = _plain(value)
    return rows


_AS_THEY_ARE = {int, str, bool, float, type(None)}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return timestamps.from_datetime(value if value.tzinfo else value.replace(tzinfo=UTC))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV (RFC 4180).

    Args:
        rows: all with the same columns, as `plain_rows` gives them.

    Returns:
        A header line and a line each, null as an empty field; no text where there are no rows.
    """
    if not rows:
        return ""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
