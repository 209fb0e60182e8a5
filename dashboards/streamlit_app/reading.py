"""Cached reading: one query is asked once per build of the marts, by whichever reader comes first."""

from typing import Any

import streamlit as st

from dashboards.streamlit_app.source import opened


def rows(sql: str) -> list[dict[str, Any]]:
    """The rows of a SELECT over the marts, of the newest build that `newest_build` knows."""
    return _rows(sql, newest_build(), str(opened().data_dir), opened().warehouse.engine)


@st.cache_data(max_entries=500, show_spinner=False)
def _rows(sql: str, build: int, data_dir: str, engine: str) -> list[dict[str, Any]]:
    return opened().rows(sql)


def newest_build() -> int:
    """The number of the lake build that the marts were made of; looked up again every `refresh` seconds."""
    return _build(str(opened().data_dir), opened().warehouse.engine)


@st.cache_data(ttl=2, show_spinner=False)
def _build(data_dir: str, engine: str) -> int:
    return opened().build()
