"""The pages: which panels stand where, under which filters."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from contract.errors import MilepostError
from contract.password_file import Role
from dashboards.panels import Panel
from dashboards.panels.sql import Choice, select
from dashboards.panels.views import PANELS, SHOP_PARTS, STREAMLIT, tells_where
from dashboards.streamlit_app.filters import chosen
from dashboards.streamlit_app.maps import fleet_map
from dashboards.streamlit_app.panel_view import in_columns, show
from dashboards.streamlit_app.reading import newest_build, rows
from dashboards.streamlit_app.source import opened

_STOPS = 1000
"""The newest stops that the map draws; the table has the others."""
_HALF = ("bar", "line", "funnel", "heatmap")


def panels_for(role: Role, names: Sequence[str]) -> list[Panel]:
    """Those of the named panels that somebody may see.

    Args:
        role: a viewer is not told where trucks were.
        names: of panels.
    """
    return [panel for panel in map(PANELS.__getitem__, names) if role == "operator" or not tells_where(panel)]


def page(title: str, role: Role = "operator") -> None:
    """One page of STREAMLIT by its title, as somebody of that role sees it."""
    st.title(title)
    try:
        with opened().held():
            build = newest_build()
            panels = panels_for(role, _part() if title == "Shop" else STREAMLIT[title])
            choice = chosen(panels)
            _watch(build)
            if title == "Fleet map":
                _map(panels, choice)
            _lay_out(panels, choice)
    except MilepostError as error:  # of what all panels need; each says for itself why it has nothing to show
        st.error(f"The warehouse cannot be read: {error}")


def _part() -> tuple[str, ...]:
    part = st.segmented_control(
        "Part", list(SHOP_PARTS), default=next(iter(SHOP_PARTS)), required=True, key="part", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    return SHOP_PARTS[str(part)]


def _lay_out(panels: list[Panel], choice: Choice) -> None:
    """Charts two in a row where the window is wide; figures and tables over the whole width."""
    waiting: list[Panel] = []
    for panel in [*panels, None]:
        half = panel is not None and panel.chart in _HALF and not in_columns(panel)
        if panel and half:
            waiting.append(panel)
        if waiting and (len(waiting) == 2 or not half):
            for column, each in zip(st.columns(len(waiting), gap="large"), waiting, strict=True):
                with column:
                    show(each, choice)
            waiting = []
        if panel and not half:
            show(panel, choice)


def _map(panels: list[Panel], choice: Choice) -> None:
    try:
        ends, stood = panels
        positions = rows(select(ends, choice))
        stops = rows(select(replace(stood, most=_STOPS), choice))
    except MilepostError as error:
        st.error(str(error))
        return
    if positions or stops:
        st.pydeck_chart(fleet_map(positions, stops), height=520)
        st.caption("Orange: the end of each truck's newest trip. Blue: stops; the larger, the longer the engine ran.")


def _watch(build: int) -> None:
    """Look for a newer build of the marts now and then; show the page anew when there is one."""

    @st.fragment(run_every=opened().refresh)
    def look() -> None:
        try:
            newest = newest_build()
        except MilepostError as error:
            st.warning(f"The warehouse has gone away: {error}")
            return
        if newest != build:
            st.rerun()
        st.caption(f"Marts of lake build {newest}. Days and hours are UTC.")

    with st.sidebar:
        look()
