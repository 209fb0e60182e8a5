"""How the commands show rows to people: rich tables of the very rows that `--json` prints.

Numbers are rounded and times cut to seconds here; `--json` has them in full.
"""

import re
from collections.abc import Sequence
from typing import Any

from contract.log_format import printable

_WHOLE_WORD = 20
"""Characters: shorter words are never broken, whatever the width of the terminal."""
_INSTANT_WIDTH = len("2026-01-31 00:00:00")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """Print a table to stdout, or the sentence `empty` where there are no rows.

    Args:
        title: above the table; "" for none.
        columns: their headings.
        rows: cells, as many as columns.
        empty: what is said where there is no row.
    """
    from rich.box import SIMPLE_HEAD  # here: `--json` does without, and starts in half the time
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False)
    if not rows:
        console.print(empty)
        return
    table = Table(
        title=printable(title) or None, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
    table.padding = (0, 1, 0, 0)
    for index, column in enumerate(columns):
        numbers = all(_is_number_or_none(row[index]) for row in rows)
        instants = any(isinstance(row[index], str) and _INSTANT.fullmatch(row[index]) for row in rows)
        table.add_column(
            column,
            justify="right" if numbers else "left",
            overflow="fold",
            no_wrap=numbers or instants,
            min_width=_INSTANT_WIDTH if instants else _longest_word([column, *(_cell(row[index]) for row in rows)]),
        )
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))  # Text: what came may look like markup
    unbounded = console.options.update_width(1_000)
    if console.measure(table, options=unbounded).minimum > console.width:
        table.padding = (0, 0, 0, 0)
    console.print(table)


def _is_number_or_none(value: Any) -> bool:
    return isinstance(value, int | float | None) and not isinstance(value, bool)


def _longest_word(cells: Sequence[str]) -> int:
    words = [len(word) for cell in cells for word in cell.split()]
    return max((length for length in words if length <= _WHOLE_WORD), default=1)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _rounded(value)
    if isinstance(value, list):
        return " ".join(f"{a}–{b}" if a != b else str(a) for a, b in value) or "none"
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        return f"{value[:10]} {value[11:19]}"
    return printable(str(value))


def _rounded(value: float) -> str:
    """Three or four digits that say something: 1000.375 is 1000, 49.82 is 49.8, 0.2857 is 0.29."""
    size = abs(value)
    return f"{value:.{0 if size >= 1000 else 1 if size >= 1 else 2}f}"
