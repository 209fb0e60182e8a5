"""A panel's rows as an Altair chart: one unit on an axis, colours that colour-blind readers can tell apart."""

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Any

import altair as alt
import pandas  # type: ignore[import-untyped]

from dashboards.panels import Measure, Panel, Unit
from dashboards.streamlit_app.formats import axis_format, label

Rows = Sequence[dict[str, Any]]
Drawing = Any
"""A chart of Altair, of whichever of its classes."""
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#000000"]
"""Okabe and Ito's, without yellow."""
_TIMES = ("day", "hour", "month", "cohort_month")
_LEGEND_COLUMNS = 2
_POINTS = 200
"""A line of more values than this has no point at each: they would touch, and cost more to draw than the line. Nor has
it what is told of a value, to a pointer or a screen reader: of a line without points that is its first, wherever the
pointer is, and yet it is made for all of them by Vega's interpreter, which takes longer than the drawing."""
_PARTS = 120
"""A line of more than twice as many values is drawn by the lowest and the highest of so many parts of it: more would
stand within a pixel or two of each other, and each costs Vega's interpreter a tenth of a millisecond."""
_FUNNEL = ["page_view", "view", "add_to_cart", "purchase", "unattributed"]


def charts(panel: Panel, rows: Rows) -> list[Drawing]:
    """The charts of a panel, one for each unit."""
    if panel.chart == "heatmap":
        return [_heatmap(panel, rows)]
    if panel.chart == "funnel":
        return [_bars(panel, rows, "step", panel.measures[0], _FUNNEL)]
    times = [column for column in panel.by if column in _TIMES]
    if times:
        others = [column for column in panel.by if column not in _TIMES]
        together = [[each] for each in panel.measures if each.unit] if others else _by_unit(panel.measures)
        return [_over_time(panel, rows, times[0], others, same) for same in together]
    return [_bars(panel, rows, _name(panel), panel.measures[_first_number(panel)])]


def frame(values: Sequence[dict[str, Any]]) -> Any:
    """Rows as a chart's own data, which Streamlit sends as Arrow. As plain values Altair checks each against its
    schema, which takes seconds."""
    return pandas.DataFrame(values)


def _by_unit(measures: Sequence[Measure]) -> list[list[Measure]]:
    numbers = sorted((each for each in measures if each.unit), key=lambda each: str(each.unit))
    return [list(same) for _, same in groupby(numbers, key=lambda each: each.unit)]


def _first_number(panel: Panel) -> int:
    return next(index for index, each in enumerate(panel.measures) if each.unit)


def _told(value: object) -> str:
    """A name as the reader sees it: what is not known as in a table."""
    return "–" if value is None else str(value)


def _name(panel: Panel) -> str:
    """The column that names a bar: an item's name rather than its id."""
    return "item_name" if "item_name" in panel.columns else panel.by[0]


def _over_time(panel: Panel, rows: Rows, time: str, others: list[str], measures: list[Measure]) -> Drawing:
    unit = measures[0].unit
    data = [
        {
            "time": row[time],
            "series": ", ".join(
                [_told(row[each]) for each in others] + ([label(m.result)] if len(measures) > 1 else [])
            ),
            "value": row[m.result],
        }
        for row in rows
        for m in measures
        if row[m.result] is not None
    ]
    if panel.chart != "bar":
        data = _thinned(data)
    title = label(measures[0].result, unit) if len(measures) == 1 else (unit if unit not in ("count", "ratio") else "")
    # The title stands above: beside an axis of this height it would be cut.
    heading = alt.Title(title or "", anchor="start", fontSize=13, fontWeight="normal")
    series = {each["series"] for each in data}
    legend_rows = -(-len(series) // _LEGEND_COLUMNS) if len(series) > 1 else 0
    height = 220 + (40 + 22 * legend_rows if legend_rows else 0)  # Streamlit fits all into it, the legend too
    chart = alt.Chart(frame(data), height=height, title=heading)
    is_long = panel.chart != "bar" and len(data) > _POINTS
    told = {"aria": False, "invalid": None} if is_long else {"point": {"size": 20}}
    mark = chart.mark_bar() if panel.chart == "bar" else chart.mark_line(**told)
    # A day is a day of UTC wherever the reader is: never shifted into the browser's zone.
    when = "utcyearmonthdate(time):T" if time != "hour" else "time:T" if is_long else "utcyearmonthdatehours(time):T"
    encoded = mark.encode(
        x=alt.X(
            when,
            title=None,
            scale=alt.Scale(type="utc"),
            axis=alt.Axis(format="%d %b" if time != "hour" else "%d %b %H:%M", labelOverlap=True),
        ),
        y=alt.Y("value:Q", title=None, axis=_axis(unit), scale=_from_zero(unit)),
        tooltip=alt.value(None)
        if is_long
        else [
            alt.Tooltip(when, title=label(time), format="%Y-%m-%d" if time != "hour" else "%Y-%m-%d %H:%M"),
            alt.Tooltip("series:N"),
            alt.Tooltip("value:Q", title=label(measures[0].result, unit), format=",.4~g"),
        ],
    )
    if not legend_rows:
        return encoded.encode(color=alt.value(COLOURS[0]))
    legend = alt.Legend(title=None, orient="bottom", columns=_LEGEND_COLUMNS, labelLimit=140)
    return encoded.encode(color=alt.Color("series:N", scale=alt.Scale(range=COLOURS), legend=legend))


def _thinned(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each line's ends, and the lowest and the highest value of each part of it; a short line as it is."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for each in data:
        lines.setdefault(each["series"], []).append(each)
    kept: list[dict[str, Any]] = []
    for line in lines.values():
        size = -(-len(line) // _PARTS)
        if size < 3:
            kept += line
            continue
        places = {0, len(line) - 1}
        for first in range(0, len(line), size):
            part = range(first, min(first + size, len(line)))
            places |= {
                min(part, key=lambda place: line[place]["value"]),
                max(part, key=lambda place: line[place]["value"]),
            }
        kept += [line[place] for place in sorted(places)]
    return kept


def _axis(unit: Unit) -> alt.Axis:
    return alt.Axis(format=axis_format(unit), tickMinStep=1 if unit == "count" else alt.Undefined)


def _room(values: Sequence[float]) -> alt.Scale:
    """From zero, with room at the end for the numbers."""
    most, least = max(values, default=1), min(values, default=0)
    return alt.Scale(domain=[min(0, least * 1.15), max(most * 1.15, 0)], nice=False)


def bars_height(names: Collection[object]) -> int:
    """A row for each name, and room for the axis: Streamlit counts the axis in."""
    return 24 * len(names) + 70


def _from_zero(unit: str) -> alt.Scale:
    return alt.Scale(zero=unit not in ("psi", "V", "°C", "%", "rpm", "km/h"))


def _bars(panel: Panel, rows: Rows, name: str, measure: Measure, order: list[str] | None = None) -> Drawing:
    keys = [column for column in panel.by if column != name]
    shown = [row for row in rows if row[measure.result] is not None][:25]
    data = [
        {
            "name": " · ".join(_told(row[each]) for each in ([name] if name == "item_name" else [name, *keys])),
            "value": row[measure.result],
            "rest": ", ".join(f"{label(each.result, each.unit)}: {row[each.result]}" for each in panel.measures),
        }
        for row in shown
    ]
    sort: Any = order or [each["name"] for each in data]
    base = alt.Chart(frame(data), height=bars_height({each["name"] for each in data})).encode(
        y=alt.Y("name:N", sort=sort, title=None, axis=alt.Axis(labelLimit=160)),
        x=alt.X(
            "value:Q", title=label(measure.result, measure.unit), axis=_axis(measure.unit),
            scale=_room([each["value"] for each in data]),
        ),
        tooltip=[alt.Tooltip("name:N"), alt.Tooltip("rest:N", title="values")],
    )  # fmt: skip
    digits = ".1%" if measure.unit == "ratio" else ",.0f" if measure.unit in ("count", "min") else ",.1f"
    text = base.mark_text(align="left", dx=4, color="#333").encode(text=alt.Text("value:Q", format=digits))
    return alt.layer(base.mark_bar(color=COLOURS[0]), text)


def _heatmap(panel: Panel, rows: Rows) -> Drawing:
    across, down = (panel.by[1], panel.by[0])
    measure = next(each for each in panel.measures if each.result in ("retained", "due"))
    data = [
        {"x": row[across], "y": str(row[down])[:7] if down in _TIMES else row[down], "value": row[measure.result]}
        for row in rows
    ]
    value = alt.Tooltip("value:Q", title=label(measure.result), format=axis_format(measure.unit))
    height = bars_height({each["y"] for each in data}) + 20  # the axis is above, with its title
    base = alt.Chart(frame(data), height=height).encode(
        x=alt.X("x:O", title=label(across), axis=alt.Axis(orient="top", labelAngle=0)),
        y=alt.Y("y:O", title=None),
        tooltip=[alt.Tooltip("y:O", title=label(down)), alt.Tooltip("x:O", title=label(across)), value],
    )
    if measure.warn:
        cells = base.mark_rect(stroke="white", color=COLOURS[1])
        return alt.layer(cells, base.mark_text(color="black").encode(text=alt.value("due")))
    shades = alt.Scale(domain=[0, 1], range=["#deebf7", "#6baed6"])
    colour = alt.Color("value:Q", scale=shades, legend=None)
    cells = base.mark_rect(stroke="white").encode(color=colour)
    return alt.layer(
        cells, base.mark_text(color="black").encode(text=alt.Text("value:Q", format=axis_format(measure.unit)))
    )
