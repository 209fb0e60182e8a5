"""What other rooms serve on the port of one machine, over stores that are opened here, once."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack

from starlette.routing import BaseRoute

from collector.settings import CollectorSettings
from commerce.customers.money import Money
from commerce.settings import CommerceSettings
from commerce.storage.database import open_database
from console.settings import ConsoleSettings
from contract.codec import Json
from contract.http_access import HttpSettings
from standalone.commerce_doors import commerce_doors
from standalone.console_doors import console_doors


def open_room_doors(  # noqa: PLR0913 - the settings of each room
    stack: ExitStack,
    collector: CollectorSettings,
    commerce: CommerceSettings,
    http: HttpSettings,
    money: Money,
    console: ConsoleSettings,
    *,
    health: Callable[[], Mapping[str, Json]] = dict,
) -> list[BaseRoute]:
    """The routes of commerce and of the console, with what stands behind them open until the stack closes.

    Raises:
        Misconfigured: a database URL of another kind, or a newer schema.
        Unreachable: the database does not answer.
    """
    database = open_database(commerce.database_url(collector.data_dir))
    stack.callback(database.close)
    return [
        *commerce_doors(database, collector, commerce, http, money),
        *console_doors(database, collector, console, http, health=health),
    ]
