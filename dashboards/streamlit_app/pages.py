"""The pages: which panels stand where, under which filters."""

import streamlit as st

from contract.errors import MilepostError
from dashboards.panels import Panel
from dashboards.panels.sql import Choice, select
from dashboards.panels.views import PANELS, SHOP_PARTS, STREAMLIT
from dashboards.streamlit_app.filters import chosen
from dashboards.streamlit_app.maps import fleet_map
from dashboards.streamlit_app.panel_view import show
from dashboards.streamlit_app.reading import newest_build, rows
from dashboards.streamlit_app.source import opened

_HALF = ("bar", "line", "funnel", "heatmap")


def page(title: str) -> None:
    """One page of STREAMLIT by its title."""
    st.title(title)
    try:
        build = newest_build()
        names = _part() if title == "Shop" else STREAMLIT[title]
        panels = [PANELS[name] for name in names]
        choice = chosen(panels)
    except MilepostError as error:
        st.error(f"The warehouse cannot be read: {error}")
        return
    _watch(build)
    if title == "Fleet map":
        _map(panels, choice)
    _lay_out(panels, choice)


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
        if panel and panel.chart in _HALF:
            waiting.append(panel)
        if waiting and (len(waiting) == 2 or panel is None or panel.chart not in _HALF):
            for column, each in zip(st.columns(len(waiting), gap="large"), waiting, strict=True):
                with column:
                    show(each, choice)
            waiting = []
        if panel and panel.chart not in _HALF:
            show(panel, choice)


def _map(panels: list[Panel], choice: Choice) -> None:
    try:
        positions, stops = (rows(select(panel, choice)) for panel in panels)
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
