"""Rows as a file that people open in a spreadsheet."""

from collections.abc import Mapping, Sequence
from typing import Any

from contract.spreadsheet import safe_cell
from warehouse.read import as_csv


def csv_file(rows: Sequence[Mapping[str, Any]]) -> str:
    """CSV as `milepost warehouse query --csv` gives it, but without what a spreadsheet would run: names of items come
    from strangers."""
    return as_csv([{name: safe_cell(value) for name, value in row.items()} for row in rows])
