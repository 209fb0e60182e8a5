"""`PUT` and `GET` of customers, items and vehicles: `/v1/customers/{id}`, `/v1/items/{id}`, `/v1/vehicles/{id}`.

`POST /v1/vehicles/{id}/services` records a service.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from commerce.customers import unified_view
from commerce.http.access import KeyedAccess
from commerce.http.replies import Endpoint, Keep, answering, read_json, reply
from commerce.registers.documents import CUSTOMERS, ITEMS, SERVICES, VEHICLES, Kind
from commerce.registers.register import Register
from commerce.registers.services import read_service
from commerce.storage.database import Database
from commerce.storage.dead_letters import Arrival, keep_dead_letter
from contract import machine_clock
from contract.codec import Json
from contract.errors import Rejected
from contract.forgotten import Forgotten
from contract.http_refusals import RequestRefused

_STATUS = {"accepted": 201, "duplicate": 200}
View = Callable[[Database, str], dict[str, Any] | None]


class RegisterDoors:
    """The doors of the three registers. A put is answered when it is durable."""

    def __init__(
        self,
        database: Database,
        access: KeyedAccess,
        *,
        view: View = unified_view,
        forgotten: Forgotten | None = None,
    ) -> None:
        """
        Args:
            database: where the registers are kept.
            access: who may.
            view: everything about one customer.
            forgotten: who must not be stored again.
        """
        self._database, self._access, self._forgotten = database, access, forgotten
        self._view, self._clock = view, machine_clock.RisingClock()

    @property
    def routes(self) -> list[Route]:
        """What an application mounts."""
        found = []
        for path, kind in (("customers", CUSTOMERS), ("items", ITEMS), ("vehicles", VEHICLES)):
            one = f"/v1/{path}/{{subject_id{'' if kind is VEHICLES else ':path'}}}"  # no truck_id has a /
            found.append(Route(one, answering(self._putting(kind)), methods=["PUT"]))
            found.append(Route(one, answering(self._getting(kind)), methods=["GET"]))
            if kind is not CUSTOMERS:
                found.append(Route(f"/v1/{path}", answering(self._listing(kind)), methods=["GET"]))
        found.append(Route("/v1/vehicles/{subject_id}/services", answering(self._putting(SERVICES)), methods=["POST"]))
        return found

    def _putting(self, kind: Kind) -> Endpoint:
        async def put(request: Request) -> Response:
            self._access.demand(request)
            document, payload = await read_json(request, self._keep(f"http:{kind.name}"))
            arrival = Arrival(self._clock(), payload, f"http:{kind.name}")
            body = await run_in_threadpool(self._take, kind, request.path_params["subject_id"], document, arrival)
            return reply(body, _STATUS[body["status"]])

        return put

    def _keep(self, source: str) -> Keep:
        return lambda payload, error: keep_dead_letter(
            self._database, Arrival(self._clock(), payload, source), error, forgotten=self._forgotten
        )

    def _take(self, kind: Kind, subject: str, document: Json, arrival: Arrival) -> dict[str, Any]:
        """Judge and keep one document: the receipt."""
        try:
            if kind is SERVICES:
                read = read_service(subject, document, received_ms=arrival.received_ms)
            else:
                read = kind.read(document, subject)
        except Rejected as error:
            keep_dead_letter(self._database, arrival, error, forgotten=self._forgotten)
            raise
        register = Register(self._database, kind, forgotten=self._forgotten)
        status = register.put(read, received_ms=arrival.received_ms)
        return {kind.id_name: read.id, "status": status, "warnings": read.warnings}

    def _getting(self, kind: Kind) -> Endpoint:
        async def get(request: Request) -> Response:
            self._access.demand(request)
            name = request.path_params["subject_id"]
            read = self._view if kind is CUSTOMERS else partial(_current, kind)
            found = await run_in_threadpool(read, self._database, name)
            if found is None:
                raise RequestRefused(404, f"no {kind.name} {name!r:.80} is known", field=kind.id_name)
            return reply(found)

        return get

    def _listing(self, kind: Kind) -> Endpoint:
        async def every(request: Request) -> Response:
            self._access.demand(request)
            return reply(await run_in_threadpool(Register(self._database, kind).all_current))

        return every


def _current(kind: Kind, database: Database, subject_id: str) -> dict[str, Any] | None:
    return Register(database, kind).current(subject_id)
