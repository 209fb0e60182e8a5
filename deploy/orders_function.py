"""The Lambda function of orders, customers and catalogue: HTTP API → this → RDS PostgreSQL (deploy/orders.yaml).

The doors are those of one machine. Whoever comes needs a key: no address counts as local here. Positions are read from
the DynamoDB tables of the main stack where TRUCK_TABLES names their prefix; without it orders are kept and positions
are null.
"""

import json
import os
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette

from collector.handlers.function_url import answer
from collector.stores.dynamodb.markers import DynamoDbForgotten
from commerce.http.access import KeyedAccess
from commerce.http.orders import OrderDoors
from commerce.http.registers import RegisterDoors
from commerce.http.truck_routes import TruckRouteDoors
from commerce.orders.service import Orders
from commerce.routes.plans import Plans
from commerce.settings import CommerceSettings
from commerce.storage.database import open_database
from contract.errors import Misconfigured
from standalone.commerce_doors import reading_positions


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """A request of payload format 2.0 in; its response out."""
    return answer(_app(), event)


@cache
def _app() -> Starlette:
    settings = CommerceSettings(keys={str(key): name for name, key in _secret("KEYS_SECRET").items()})
    if not settings.keys:
        raise Misconfigured("the secret that KEYS_SECRET names has no key: put {producer: key} into it")
    database = open_database(database_url(_secret("DATABASE_SECRET"), os.environ))
    access, plans = KeyedAccess(settings.keys), Plans(database)
    tables = os.environ.get("TRUCK_TABLES")
    locate = reading_positions(f"dynamodb://{tables}") if tables else lambda *_: None
    knows = (lambda truck_id: locate(truck_id, None) is not None) if tables else lambda _: True
    marks = DynamoDbForgotten(tables) if tables else None
    return Starlette(
        routes=[
            *OrderDoors(
                Orders(database, knows_truck=knows, forgotten=marks), access, locate=locate, plans=plans
            ).routes,
            *RegisterDoors(database, access, forgotten=marks).routes,
            *TruckRouteDoors(plans, access).routes,
        ]
    )


def database_url(secret: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """The URL of the database.

    Args:
        secret: `{username, password}`, as RDS keeps and rotates it.
        environment: DATABASE_HOST (of the proxy), DATABASE_PORT, DATABASE_NAME, and DATABASE_TLS, `require` unless set.
    """
    user, password = quote(str(secret["username"]), safe=""), quote(str(secret.get("password", "")), safe="")
    place = f"{environment['DATABASE_HOST']}:{environment.get('DATABASE_PORT', '5432')}"
    encryption = environment.get("DATABASE_TLS", "require")
    return f"postgresql://{user}:{password}@{place}/{environment['DATABASE_NAME']}?sslmode={encryption}"


def _secret(variable: str) -> dict[str, Any]:
    import boto3

    found = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ[variable])
    document: dict[str, Any] = json.loads(found["SecretString"])
    return document
