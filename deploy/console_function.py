"""The Lambda function of the console: HTTP API → this, which may only read the tables (deploy/console.yaml).

Page and read API are those of one machine. Nobody is local here: whoever comes signs in, or sends a read key in a
header. An API of AWS lets no event stream through, so pages ask every five seconds what is new. Users and keys lie in
the secret that CONSOLE_SECRET names, and are read anew every five minutes.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any, NoReturn

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from alerts.queries import kept_alerts
from collector.handlers.function_url import answer
from collector.settings import CollectorSettings
from collector.stores import Reader
from collector.stores.factory import open_reader
from console import pages, sign_in
from console.access import ConsoleAccess
from console.api import Api, ConsoleSources
from console.settings import ConsoleSettings
from console.signed_sessions import SignedSessions
from contract import atomic_file
from contract.errors import Misconfigured
from contract.fleet import FleetSettings, read_zones
from contract.settings import load

POLL_SECONDS = 5.0
_SECRET_SECONDS = 300
_WORTH_PACKING = 2_000


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """A request of payload format 2.0 in; its response out."""
    return answer(_app(int(time.time() / _SECRET_SECONDS)), event)


@lru_cache(maxsize=1)
def _app(_period: int) -> Starlette:
    secret = _secret()
    users = Path(gettempdir()) / "milepost-console-users"
    atomic_file.write(users, "".join(f"{line}\n" for line in secret["users"]), mode=0o600, durable=False)
    settings = ConsoleSettings(users=users, read_keys=secret["read_keys"], poll_seconds=POLL_SECONDS)
    sessions = SignedSessions(settings.session_hours, secret["session_key"], users)
    access = ConsoleAccess(settings, sessions=sessions, knows_local=False)
    collector, fleet = _collector(), load("fleet", FleetSettings)
    sources = ConsoleSources(
        _reading,
        orders=lambda _: _not_here("orders stand in a database of their own: ask deploy/orders.yaml's doors"),
        alerts=lambda reader, most: kept_alerts(reader, most=most),
        acknowledge=lambda alert_id, *_: _not_here(
            f"this console may only read: MILEPOST_STORE={collector.store_url} milepost alerts ack {alert_id:.64}"
        ),
        health=dict,
        grace_ms=int(collector.resend_after * 1000),
        zones=lambda: read_zones(fleet.zones) if fleet.zones else (),
        truck_table=lambda *_: _not_here("trips, stops and fuel stand in the warehouse (docs/athena.md)"),
    )
    packing = Middleware(GZipMiddleware, minimum_size=_WORTH_PACKING)
    return Starlette(
        routes=[*Api(sources, access).routes, *sign_in.routes(access), *pages.routes(access)], middleware=[packing]
    )


def _not_here(why: str) -> NoReturn:
    raise Misconfigured(why)


@contextmanager
def _reading() -> Iterator[Reader | None]:
    yield _reader()


@cache
def _reader() -> Reader | None:
    return open_reader(_collector().store_url)


@cache
def _collector() -> CollectorSettings:
    return load("collector", CollectorSettings)


def _secret() -> dict[str, Any]:
    import boto3

    found = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["CONSOLE_SECRET"])
    document: dict[str, Any] = {"users": [], "read_keys": {}, **json.loads(found["SecretString"])}
    return document
