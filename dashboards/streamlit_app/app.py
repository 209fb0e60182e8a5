"""What Streamlit runs for each reader: sign-in where an identity provider is configured, then the page asked for."""

import contextlib
from functools import partial

import streamlit as st

from dashboards.panels.views import STREAMLIT
from dashboards.streamlit_app.pages import page
from dashboards.streamlit_app.server import console_file
from dashboards.streamlit_app.store_now import TITLE, store_now


def _signed_in() -> bool:
    with contextlib.suppress(FileNotFoundError):
        if "auth" in st.secrets:
            return bool(st.user.is_logged_in)
    return True


def main() -> None:
    """Draw the page asked for."""
    st.set_page_config(page_title="Milepost", page_icon=str(console_file("icon.svg")), layout="wide")
    if not _signed_in():
        st.title("Milepost")
        st.button("Sign in", on_click=st.login, type="primary")
        return
    shown = [
        st.Page(
            partial(page, title), title=title, url_path=title.lower().replace(" ", "-"), default=title == "Overview"
        )
        for title in STREAMLIT
    ]
    st.navigation([*shown, st.Page(store_now, title=TITLE, url_path="store-now")]).run()


main()
