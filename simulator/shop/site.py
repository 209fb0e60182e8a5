"""Serves the shop: one shell of HTML for every address, a script that fills it, a style sheet and the catalogue.

Nothing is kept here: the cart lies in the browser. The pages allow nothing but their own scripts and the beacon's.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from simulator.catalogue import ITEMS

_STATIC = Path(__file__).with_name("static")
_FILES = {"shop.js": "text/javascript", "shop.css": "text/css"}
_SHELL = Template((_STATIC / "shell.html").read_text("utf-8"))
_EARLY = (_STATIC / "early.js").read_text("utf-8")
"""What docs/clicks.md puts before the tag: keeps the clicks that come before the beacon does."""


class ShopSite:
    """One shop under one path.

    Args:
        base: the path it lies under, such as "/shop".
        beacon: URL of beacon.js; a path where the beacon is on the same host.
        tag: further attributes of the beacon's tag, such as `{"data-consent": "required"}`.
        single_page: links change the page's content by the history API, and nothing is loaded anew.
        orders: whether checkout also posts the order to `/v1/orders` of this host.
    """

    def __init__(
        self,
        base: str = "/shop",
        beacon: str = "/beacon.js",
        *,
        tag: Mapping[str, str] | None = None,
        single_page: bool = False,
        orders: bool = False,
    ) -> None:
        self._base = base
        beacon_site = "{0.scheme}://{0.netloc}".format(urlsplit(beacon)) if "://" in beacon else ""
        attributes = {**({"data-spa": ""} if single_page else {}), **(tag or {})}
        self._page = _SHELL.substitute(
            base=escape(base),
            early=_EARLY,
            beacon=escape(beacon),
            tag=" ".join(f'{name}="{escape(value)}"' for name, value in attributes.items()),
            mode="single" if single_page else "pages",
            orders="yes" if orders else "no",
        )
        early = base64.b64encode(hashlib.sha256(_EARLY.encode()).digest()).decode("ascii")
        self._policy = (
            f"default-src 'none'; script-src 'self' 'sha256-{early}' {beacon_site}; style-src 'self'; "
            f"img-src 'self' data:; connect-src 'self' {beacon_site}; base-uri 'none'; form-action 'self'; "
            "frame-ancestors 'self'"
        )

    @property
    def routes(self) -> list[Route]:
        """What an application mounts."""
        return [
            Route(f"{self._base}/static/{{name}}", self._static, methods=["GET"]),
            Route(f"{self._base}/items.json", self._items, methods=["GET"]),
            Route(self._base, self._shell, methods=["GET"]),
            Route(f"{self._base}/{{page:path}}", self._shell, methods=["GET"]),
        ]

    async def _shell(self, _: Request) -> Response:
        return HTMLResponse(self._page, headers={"Content-Security-Policy": self._policy, "Cache-Control": "no-cache"})

    async def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FILES:
            return Response(status_code=404)
        headers = {"Cache-Control": "no-cache"}
        return Response((_STATIC / name).read_text("utf-8"), media_type=_FILES[name], headers=headers)

    async def _items(self, _: Request) -> Response:
        items = [{**each._asdict(), "currency": "EUR"} for each in ITEMS]
        return Response(json.dumps(items), media_type="application/json")
