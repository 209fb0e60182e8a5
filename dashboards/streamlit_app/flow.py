"""Pairs with a count as a Sankey diagram of two columns, drawn by Altair: none of its own charts is one."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from dashboards.streamlit_app.charts import COLOURS, Drawing, frame

_STEPS = 24
_GAP = 0.02  # of the height, between two pages


def sankey(rows: Sequence[dict[str, Any]], left: str, right: str, count: str) -> Drawing:
    """Bands from each `left` to each `right`, as thick as their count.

    Args:
        rows: with two names and a count, thickest first.
        left, right, count: their columns.
    """
    total = sum(row[count] for row in rows)
    starts, ends = (_places(rows, side, count, total) for side in (left, right))
    used_left, used_right = dict.fromkeys(starts, 0.0), dict.fromkeys(ends, 0.0)
    bands = []
    for number, row in enumerate(rows):
        thick = row[count] / total
        from_y, to_y = starts[row[left]][0] + used_left[row[left]], ends[row[right]][0] + used_right[row[right]]
        used_left[row[left]] += thick
        used_right[row[right]] += thick
        for step in range(_STEPS + 1):
            along = step / _STEPS
            low = from_y + (to_y - from_y) * along * along * (3 - 2 * along)
            said = {"from": row[left], "to": row[right], "sessions": row[count]}
            bands.append({"band": number, "x": along, "low": low, "high": low + thick, **said})
    nodes = [
        {"name": name, "x": side, "low": low, "high": high, "middle": (low + high) / 2}
        for side, places in ((0, starts), (1, ends))
        for name, (low, high) in places.items()
    ]
    y, x = alt.Y("low:Q", axis=None, scale=alt.Scale(reverse=True)), alt.X("x:Q", axis=None)
    band = (
        alt.Chart(frame(bands), height=max(200, 34 * max(len(starts), len(ends))))
        .mark_area(opacity=0.5)
        .encode(
            x=x, y=y, y2="high:Q", detail="band:N", tooltip=["from:N", "to:N", "sessions:Q"],
            color=alt.Color("from:N", scale=alt.Scale(range=COLOURS), legend=None),
        )
    )  # fmt: skip
    bars = alt.Chart(frame(nodes)).mark_rule(strokeWidth=6, color="#333").encode(x=x, y=y, y2="high:Q")
    texts = [
        alt.Chart(frame([node for node in nodes if node["x"] == side]))
        .mark_text(align="left" if side == 0 else "right", dx=8 if side == 0 else -8, limit=180)
        .encode(x=x, y=alt.Y("middle:Q", axis=None, scale=alt.Scale(reverse=True)), text="name:N")
        for side in (0, 1)
    ]
    return alt.layer(band, bars, *texts)


def _places(rows: Sequence[dict[str, Any]], side: str, count: str, total: float) -> dict[str, tuple[float, float]]:
    """Where each name stands on its side: from top to bottom in order of appearance."""
    sums: dict[str, float] = {}
    for row in rows:
        sums[row[side]] = sums.get(row[side], 0) + row[count] / total
    places, top = {}, 0.0
    for name, high in sums.items():
        places[name] = (top, top + high)
        top += high + _GAP
    return places
