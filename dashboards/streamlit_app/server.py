"""The server of the pages: Streamlit's own ASGI application in uvicorn, on loopback unless sign-in is configured."""

import contextlib
import importlib.util
import socket
import ssl
from pathlib import Path

import uvicorn
from starlette.middleware import Middleware
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route

from contract.errors import Misconfigured
from contract.http_access import HttpSettings
from contract.password_file import read_users
from dashboards.settings import SignIn
from dashboards.streamlit_app.access import LocalOrSignedIn
from dashboards.streamlit_app.source import DashboardSource, open_sessions, open_source

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


def make_server(
    source: DashboardSource, host: str, port: int, users: SignIn | None = None, http: HttpSettings | None = None
) -> tuple[uvicorn.Server, socket.socket]:
    """A server that is bound but does not run yet.

    Args:
        source: what the pages read.
        host: the address; other than loopback only with sign-in, and with TLS here or at a trusted proxy.
        port: 0 takes a free one.
        users: who may sign in by password; nobody where None.
        http: certificate and trusted proxies; none where None.

    Raises:
        Misconfigured: the address is not loopback and sign-in or TLS is missing, the password file or certificate
            cannot be used, or the address cannot be bound.
    """
    users, http = users or SignIn(), http or HttpSettings()
    from altair.utils import schemapi
    from streamlit import config
    from streamlit.starlette import App

    schemapi.disable_debug_mode()  # each part of a chart is judged, and then the chart: the second is enough
    for name, value in _OPTIONS.items():
        config.set_option(name, value)
    provider = _provider()
    if host not in ("127.0.0.1", "::1", "localhost"):
        _refuse_open(host, users, http, provider=provider)
    if users.users:
        read_users(users.users)
    open_source(source)
    folder = console_file("basemap")
    routes = [
        Route(f"/basemap/{name}", lambda _, path=folder / name: FileResponse(path, media_type="application/geo+json"))
        for name in BASEMAP
    ]
    routes.append(Route("/basemap/style.json", lambda _: JSONResponse(_STYLE)))
    let_in = Middleware(
        LocalOrSignedIn,
        provider=provider,
        users=users.users,
        sessions=open_sessions(users.session_hours),
        trusted=http.networks,
    )
    app = App(_SCRIPT, routes=routes, middleware=[let_in])
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise Misconfigured(f"{host}:{port} cannot be bound: {error.strerror}; give another --port") from None
    config_of = uvicorn.Config(
        app,
        log_level="warning",
        timeout_graceful_shutdown=2,
        proxy_headers=False,  # contract.http_access reads them, of proxies that are trusted
        ssl_certfile=http.tls_certificate,
        ssl_keyfile=http.tls_key,
    )
    try:
        config_of.load()
    except (OSError, ssl.SSLError) as error:
        listener.close()
        raise Misconfigured(f"[http] tls_certificate and tls_key cannot be used: {error}") from None
    return uvicorn.Server(config_of), listener


def _refuse_open(host: str, users: SignIn, http: HttpSettings, *, provider: bool) -> None:
    if not (provider or users.users):
        raise Misconfigured(
            f"--host {host}: others than this machine would see every position without sign-in; set [console] users, or"
            " [auth] in .streamlit/secrets.toml (docs/dashboards.md), or leave 127.0.0.1"
        )
    if not (http.tls_certificate or http.trusted_proxies):
        raise Misconfigured(
            f"--host {host} would send passwords and positions without encryption: set [http] tls_certificate and"
            " tls_key, or trusted_proxies where a proxy has them"
        )


def _provider() -> bool:
    """Whether an identity provider is configured in Streamlit's own secrets file."""
    from streamlit.runtime.secrets import secrets_singleton

    with contextlib.suppress(FileNotFoundError):
        return "auth" in secrets_singleton
    return False
