"""How numbers are written: by their unit, the same in tables, figures and axes."""

from typing import Any

from dashboards.panels import Measure, Unit

_SUFFIX: dict[Unit, str] = {
    "ratio": "", "count": "", "": "", "money": "", "price": "", "°": "", "days": "", "L/100km": "",
}  # fmt: skip
_DIGITS: dict[Unit, int] = {
    "count": 0, "ratio": 1, "money": 2, "price": 2, "km": 1, "L": 1, "L/100km": 1, "min": 0, "s": 0, "rpm": 0, "°": 5,
}  # fmt: skip


_TITLES = {"month_no": "Months later", "rfm": "RFM"}
_ENDINGS: dict[Unit, str] = {"km": "_km", "min": "_min", "s": "_s", "km/h": "_kmh", "L": "_l"}


def label(column: str, unit: Unit = "", *, with_unit: bool = True) -> str:
    """A column's name as a title: `idle_min` → "Idle, min"."""
    if column in _TITLES:
        return _TITLES[column]
    words = (
        column.replace("100km", "100 km")
        .removesuffix(_ENDINGS.get(unit, ""))
        .removesuffix("_id")
        .replace("_", " ")
        .strip()
    )
    words = words[:1].upper() + words[1:]
    return f"{words}, {unit}" if with_unit and unit and unit not in _SUFFIX else words


def figure(value: Any, unit: Unit, currency: str) -> str:
    """A value as text; – where it is not known."""
    if value is None:
        return "–"
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    if unit == "ratio":
        return f"{value:.1%}"
    text = f"{value:,.{_DIGITS.get(unit, 1)}f}"
    if unit == "money":
        return f"{text} {currency}"
    return f"{text} {unit}" if unit == "L/100km" or unit not in _SUFFIX else text


def minutes(instant: str) -> str:
    """An instant as text, to the minute: 2026-03-30T08:00:00.000Z → "2026-03-30 08:00 UTC"."""
    return f"{instant[:10]} {instant[11:16]} UTC"


def column_format(measure: Measure, currency: str) -> str | None:
    """The format of a table's column, as Streamlit takes it."""
    if not measure.unit:
        return None
    if measure.unit == "ratio":
        return "percent"
    return f"%.{_DIGITS.get(measure.unit, 1)}f" + (f" {currency}" if measure.unit == "money" else "")


def axis_format(unit: Unit) -> str:
    """The format of an axis, as Vega takes it."""
    return ".0%" if unit == "ratio" else ",.12~g"
