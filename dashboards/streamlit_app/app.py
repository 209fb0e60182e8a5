"""What Streamlit runs for each reader: sign-in by a provider where one is configured, then the page asked for."""

from functools import partial

import streamlit as st

from contract.password_file import Role
from dashboards.panels.views import STREAMLIT
from dashboards.streamlit_app.access import COOKIE, HOW
from dashboards.streamlit_app.pages import page, panels_for
from dashboards.streamlit_app.server import console_file
from dashboards.streamlit_app.source import sessions
from dashboards.streamlit_app.store_now import TITLE, store_now


def _reader() -> Role | None:
    """Who is shown the pages; None, and the way to sign in, for somebody who must do that first."""
    how = st.context.headers.get(HOW)
    if how == "local":
        return "operator"
    if how == "provider" and st.user.is_logged_in:
        return "operator"
    found = sessions().find(st.context.cookies.get(COOKIE, "")) if how == "session" else None
    if found:
        st.sidebar.html(f"Signed in as {found[0]}. <a href='/sign-out' target='_self'>Sign out</a>")
        return found[1]
    st.title("Milepost")
    if how == "provider":
        st.button("Sign in", on_click=st.login, type="primary")
    else:
        st.html("Your sign-in has ended. <a href='/sign-in' target='_self'>Sign in</a>")
    return None


def main() -> None:
    """Draw the page asked for."""
    st.set_page_config(page_title="Milepost", page_icon=str(console_file("icon.svg")), layout="wide")
    role = _reader()
    if role is None:
        return
    shown = [
        st.Page(
            partial(page, title, role), title=title, url_path=title.lower().replace(" ", "-"),
            default=title == "Overview",
        )
        for title in STREAMLIT
        if panels_for(role, STREAMLIT[title])
    ]  # fmt: skip
    st.navigation([*shown, st.Page(store_now, title=TITLE, url_path="store-now")]).run()


main()
