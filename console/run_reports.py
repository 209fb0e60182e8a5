"""The simulator's runs under the data directory: their pages, listed and shown to whoever may see the console.

`milepost simulate scenario` writes each run to `DIR/runs/NAME`; this room only serves the page that it drew.
"""

import re
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from console.access import ConsoleAccess

RUNS, PAGE = "runs", "report.html"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


def routes(folder: Path, access: ConsoleAccess) -> list[Route]:
    """What an application mounts.

    Args:
        folder: the data directory.
        access: who may see it.

    Returns:
        The page of runs, and one page for each.
    """

    async def listed(_: Request) -> Response:
        found = sorted((folder / RUNS).glob(f"*/{PAGE}"), key=lambda path: path.stat().st_mtime, reverse=True)
        names = [path.parent.name for path in found if _NAME.fullmatch(path.parent.name)]
        rows = "".join(f'<li><a href="/runs/{name}">{escape(name)}</a></li>' for name in names)
        body = f"<ul>{rows}</ul>" if rows else "<p>None yet: run <code>milepost simulate scenario --list</code>.</p>"
        return HTMLResponse(_LIST.format(body=body), headers=_HEADERS)

    async def shown(request: Request) -> Response:
        name = request.path_params["name"]
        path = folder / RUNS / name / PAGE
        if not _NAME.fullmatch(name) or not path.is_file():
            return Response(status_code=404)
        return HTMLResponse(path.read_bytes(), headers=_HEADERS)

    return [
        Route("/runs", access.viewer(listed), methods=["GET"]),
        Route("/runs/{name}", access.viewer(shown), methods=["GET"]),
    ]


_LIST = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Simulator runs</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root{{color-scheme:light dark}}body{{font:16px/1.6 system-ui,sans-serif;margin:1rem}}</style></head>
<body><h1>Simulator runs</h1>{body}<p><a href="/pipeline">Pipeline</a></p></body></html>
"""
