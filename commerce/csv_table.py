"""Tables in CSV: a header line and rows under it, so read that no cell comes under another column's name."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from contract.errors import Misconfigured, Rejected


@dataclass(frozen=True, slots=True)
class Row:
    """One row. line: where it stands. values: column → text, empty cells left out. extra: values without a column."""

    line: int
    values: dict[str, str]
    extra: int

    def cells(self) -> dict[str, str]:
        """The values.

        Raises:
            Rejected: there are more than columns, as where a number has a decimal comma: who knows which is which.
        """
        if self.extra:
            raise Rejected("", "has more values than there are columns: quote values that hold a comma")
        return self.values


def read_table(source: TextIO, id_name: str) -> tuple[Sequence[str], Iterator[Row]]:
    """The columns, and the rows as they are read.

    Args:
        source: opened with newline="".
        id_name: the column that must be there.

    Raises:
        Misconfigured: it is not, or a column is named twice.
        csv.Error: a quote is not closed, or the like; the rows before it have come.
    """
    reader = csv.DictReader(source, strict=True)
    columns = [name.strip() for name in reader.fieldnames or ()]
    if id_name not in columns:
        raise Misconfigured(f"the file's first line must name the columns, with commas between, one of them {id_name}")
    if twice := sorted({name for name in columns if name and columns.count(name) > 1}):
        raise Misconfigured(f"the file's first line names {', '.join(twice)} twice: rename or remove one")
    reader.fieldnames = columns
    return columns, _rows(reader)


def _rows(reader: "csv.DictReader[str]") -> Iterator[Row]:
    for row in reader:
        extra = row.pop(None, ())
        values = {name: text.strip() for name, text in row.items() if name and text and text.strip()}
        yield Row(reader.line_num, values, len(extra))
