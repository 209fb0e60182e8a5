"""The server of the pages: Streamlit's own ASGI application in uvicorn, on loopback unless sign-in is configured."""

import contextlib
import importlib.util
import socket
from pathlib import Path

import uvicorn
from starlette.middleware import Middleware
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route

from contract.errors import Misconfigured
from dashboards.streamlit_app.access import LocalOrSignedIn
from dashboards.streamlit_app.source import Source, open_source

_SCRIPT = Path(__file__).with_name("app.py")
BASEMAP = ("land.geojson", "borders.geojson")
"""Files of the console's map that the pages draw on: served from here, so that no map comes from elsewhere."""

_WATER = {"id": "water", "type": "background", "paint": {"background-color": "#c9dde8"}}
_STYLE = {"version": 8, "sources": {}, "layers": [_WATER]}

_OPTIONS: dict[str, object] = {
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "server.fileWatcherType": "none",
    "server.headless": True,
    "theme.base": "light",
}


def console_file(name: str) -> Path:
    """A file or folder of the console's page, found without importing the console."""
    console = importlib.util.find_spec("console")
    if console is None or not console.submodule_search_locations:
        raise Misconfigured("the map's files are missing: install milepost whole")
    return Path(next(iter(console.submodule_search_locations))) / "static" / name


def make_server(source: Source, host: str, port: int) -> tuple[uvicorn.Server, socket.socket]:
    """A server that is bound but does not run yet.

    Args:
        source: what the pages read.
        host: the address; other than loopback only with sign-in configured.
        port: 0 takes a free one.

    Raises:
        Misconfigured: the address is not loopback and no sign-in is configured, or it cannot be bound.
    """
    from streamlit import config
    from streamlit.starlette import App

    for name, value in _OPTIONS.items():
        config.set_option(name, value)
    sign_in = _sign_in()
    if not (sign_in or host in ("127.0.0.1", "::1", "localhost")):
        raise Misconfigured(
            f"--host {host}: others than this machine would see every position without sign-in; configure [auth] in"
            " .streamlit/secrets.toml (docs/dashboards.md), or leave 127.0.0.1"
        )
    open_source(source)
    folder = console_file("basemap")
    routes = [
        Route(f"/basemap/{name}", lambda _, path=folder / name: FileResponse(path, media_type="application/geo+json"))
        for name in BASEMAP
    ]
    routes.append(Route("/basemap/style.json", lambda _: JSONResponse(_STYLE)))
    app = App(_SCRIPT, routes=routes, middleware=[Middleware(LocalOrSignedIn, sign_in=sign_in)])
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise Misconfigured(f"{host}:{port} cannot be bound: {error.strerror}; give another --port") from None
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)), listener


def _sign_in() -> bool:
    """Whether an identity provider is configured in Streamlit's own secrets file."""
    from streamlit.runtime.secrets import secrets_singleton

    with contextlib.suppress(FileNotFoundError):
        return "auth" in secrets_singleton
    return False
