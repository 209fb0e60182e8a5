"""`POST /v1/orders`, `POST /v1/orders/{id}/events`, `GET /v1/orders/{id}`."""

import time
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from commerce.deliveries import Locate, tracked
from commerce.http.access import Access, bearer
from commerce.http.replies import Refused, answering, read_json, reply
from commerce.orders.service import OrderReceipt, Orders
from contract import timestamps

_STATUS = {"accepted": 201, "duplicate": 200, "conflict": 200, "waiting": 202}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class OrderDoors:
    """The doors of orders. Answers only when what was posted is durable."""

    def __init__(self, orders: Orders, access: Access, *, locate: Locate, clock: Callable[[], int] = _now_ms) -> None:
        """
        Args:
            orders: where they are kept.
            access: who may.
            locate: a truck's position at a moment.
            clock: Unix ms.
        """
        self._orders, self._access, self._locate, self._clock = orders, access, locate, clock

    @property
    def routes(self) -> list[Route]:
        """What an application mounts."""
        return [
            Route("/v1/orders", answering(self._post_order), methods=["POST"]),
            Route("/v1/orders/{order_id}/events", answering(self._post_event), methods=["POST"]),
            Route("/v1/orders/{order_id}", answering(self._get), methods=["GET"]),
        ]

    async def _post_order(self, request: Request) -> Response:
        self._access.demand(request)
        document, payload = await read_json(request)
        receipt = await run_in_threadpool(self._orders.take_order, document, received_ms=self._clock(), payload=payload)
        return _answer("order_id", receipt)

    async def _post_event(self, request: Request) -> Response:
        self._access.demand(request)
        document, payload = await read_json(request)
        order_id = request.path_params["order_id"]
        receipt = await run_in_threadpool(
            self._orders.take_event, order_id, document, received_ms=self._clock(), payload=payload
        )
        return _answer("event_id", receipt)

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
            return reply(await run_in_threadpool(tracked, state, self._locate))
        return reply(await run_in_threadpool(self._whole, state, request.query_params.get("at")))

    def _whole(self, state: dict[str, Any], at: str | None) -> dict[str, Any]:
        instant = None if at is None else timestamps.parse(at, "at")
        truck_id = state["truck_id"]
        return {**state, "position": self._locate(truck_id, instant) if truck_id else None}


def _unknown() -> Refused:
    """The same for an order that is not there and for a wrong token: neither tells which orders exist."""
    return Refused(404, "no such order, or no right to see it: send a key, or the order's tracking token as Bearer")


def _answer(name: str, receipt: OrderReceipt) -> Response:
    body: dict[str, Any] = {name: receipt.id, "status": receipt.status, "warnings": receipt.warnings}
    if receipt.token:
        body["tracking_token"] = receipt.token
    return reply(body, _STATUS[receipt.status])
