"""`POST /v1/orders`, `POST /v1/orders/{id}/events`, `GET /v1/orders/{id}`."""

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from commerce.deliveries import Locate, Missing, tracked
from commerce.deliveries.arrival import estimate
from commerce.http.access import KeyedAccess, bearer
from commerce.http.replies import Keep, answering, read_json, reply
from commerce.orders.service import OrderReceipt, Orders
from commerce.routes.plans import Plans
from commerce.storage.dead_letters import Arrival
from contract import machine_clock, timestamps
from contract.http_refusals import RequestRefused

_STATUS = {"accepted": 201, "duplicate": 200, "conflict": 200, "waiting": 202}


class OrderDoors:
    """The doors of orders. Answers only when what was posted is durable."""

    def __init__(  # noqa: PLR0913 - what an answer is made of
        self,
        orders: Orders,
        access: KeyedAccess,
        *,
        locate: Locate,
        plans: Plans,
        missing: Missing = lambda _: None,
        clock: Callable[[], int] = machine_clock.now_ms,
    ) -> None:
        """
        Args:
            orders: where they are kept.
            access: who may.
            locate: a truck's position at a moment.
            plans: of the routes.
            missing: how much of a truck has not arrived.
            clock: Unix ms.
        """
        self._orders, self._access, self._locate, self._clock = orders, access, locate, clock
        self._plans, self._missing = plans, missing

    @property
    def routes(self) -> list[Route]:
        """What an application mounts."""
        return [
            Route("/v1/orders", answering(self._post_order), methods=["POST"]),
            Route("/v1/orders/{order_id:path}/events", answering(self._post_event), methods=["POST"]),
            Route("/v1/orders/{order_id:path}", answering(self._get), methods=["GET"]),
        ]

    async def _post_order(self, request: Request) -> Response:
        self._access.demand(request)
        document, payload = await read_json(request, self._keep("http:orders"))
        receipt = await run_in_threadpool(self._orders.take_order, document, received_ms=self._clock(), payload=payload)
        return _answer("order_id", receipt)

    async def _post_event(self, request: Request) -> Response:
        self._access.demand(request)
        document, payload = await read_json(request, self._keep("http:order-events"))
        order_id = request.path_params["order_id"]
        receipt = await run_in_threadpool(
            self._orders.take_event, order_id, document, received_ms=self._clock(), payload=payload
        )
        return _answer("event_id", receipt)

    def _keep(self, source: str) -> Keep:
        return lambda payload, error: self._orders.keep_refused(Arrival(self._clock(), payload, source), error)

    async def _get(self, request: Request) -> Response:
        order_id = request.path_params["order_id"]
        keyed = self._access.producer(request) is not None
        if not keyed and not await run_in_threadpool(self._orders.has_token, order_id, bearer(request)):
            self._access.spend(request)
            raise _unknown()
        state = await run_in_threadpool(self._orders.state, order_id)
        if state is None:
            self._access.spend(request)
            raise _unknown()
        if not keyed:
            return reply(await run_in_threadpool(self._buyers, state))
        return reply(await run_in_threadpool(self._whole, state, request.query_params.get("at")))

    def _buyers(self, state: dict[str, Any]) -> dict[str, Any]:
        position = self._position(state["truck_id"], None)
        return tracked(state, position, self._arrival(state, position))

    def _whole(self, state: dict[str, Any], asked: str | None) -> dict[str, Any]:
        if asked is None:
            position = self._position(state["truck_id"], None)
            return {**state, "position": position, "arrival": self._arrival(state, position)}
        at = timestamps.parse(asked, "at")
        then = self._orders.standing(state["order_id"], at)
        position = self._position(then.truck_id, at)
        return {**state, "position": position, "arrival": None, "then": {"at": at, **then._asdict()}}

    def _position(self, truck_id: str | None, at: str | None) -> dict[str, Any] | None:
        return self._locate(truck_id, at) if truck_id else None

    def _arrival(self, state: dict[str, Any], position: dict[str, Any] | None) -> dict[str, Any] | None:
        planned = self._plans.stop_of(state["order_id"])
        truck_id = state["truck_id"] or (planned[0] if planned else None)
        route = planned[1] if planned and planned[0] == truck_id else None  # brought by another truck than planned
        missing = self._missing(truck_id) if truck_id else None
        return estimate(state, route, position, missing=missing, now_ms=self._clock())


def _unknown() -> RequestRefused:
    """The same for an order that is not there and for a wrong token: neither tells which orders exist."""
    return RequestRefused(
        404, "no such order, or no right to see it: send a key, or the order's tracking token as Bearer"
    )


def _answer(name: str, receipt: OrderReceipt) -> Response:
    body: dict[str, Any] = {name: receipt.id, "status": receipt.status, "warnings": receipt.warnings}
    if receipt.token:
        body["tracking_token"] = receipt.token
    return reply(body, _STATUS[receipt.status])
