"""`GET /api/v1/…`: what the console shows, as JSON. The same queries as the commands'."""

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector import queries
from console.access import Endpoint, local_only
from console.fleet_view import FleetView, OpenReader
from contract import timestamps
from contract.codec import Json, dump
from contract.errors import Rejected

_MOST_SIGNALS = 2_000
_MOST_ROWS = 500
_TRAIL_MS = 6 * 3_600_000

Answer = Callable[[Any, Request], Json]
OrderRows = Callable[[int], list[dict[str, Any]]]


class NotFound(Exception):
    """There is no such thing."""


class Api:
    """The read API. Every answer has an ETag; a client that has it already gets 304."""

    def __init__(
        self,
        open_reader: OpenReader,
        *,
        orders: OrderRows,
        health: Callable[[], Mapping[str, Json]],
        grace_ms: int,
    ) -> None:
        """
        Args:
            open_reader: gives the store for reading, None within where there is none yet.
            orders: the newest so many orders' states.
            health: figures of the running service.
            grace_ms: how long a hole may be late.
        """
        self._open_reader, self._orders, self._health, self._grace_ms = open_reader, orders, health, grace_ms
        self._view = FleetView(open_reader, now_ms=_now_ms)
        self._then = self._answering(self._fleet)

    @property
    def routes(self) -> list[Route]:
        """What an application mounts."""
        answers: dict[str, Answer] = {
            "/changes": self._changes,
            "/trucks/{truck_id}": self._truck,
            "/trucks/{truck_id}/signals": self._signals,
            "/trucks/{truck_id}/history": self._history,
            "/shop": self._shop,
            "/orders": self._order_list,
            "/pipeline": self._pipeline,
        }
        return [
            Route("/api/v1/fleet", local_only(self._fleet_now), methods=["GET"]),
            *(
                Route(f"/api/v1{path}", local_only(self._answering(answer)), methods=["GET"])
                for path, answer in answers.items()
            ),
        ]

    def _answering(self, answer: Answer) -> Endpoint:
        def read(request: Request) -> Json:
            with self._open_reader() as reader:
                return answer(reader, request)

        async def respond(request: Request) -> Response:
            try:
                document = await run_in_threadpool(read, request)
            except Rejected as error:
                return _reply(request, {"error": error.reason, "field": error.field or None}, 422)
            except NotFound as error:
                return _reply(request, {"error": str(error), "field": None}, 404)
            return _reply(request, document)

        return respond

    def _fleet(self, reader: Any, request: Request) -> Json:
        """The fleet at a past instant; `_fleet_now` answers without one."""
        at = _instant(request, "at") or timestamps.from_ms(_now_ms())
        return {"at": at, "live": False, "trucks": queries.fleet(reader, now_ms=_now_ms(), instant=at)}

    async def _fleet_now(self, request: Request) -> Response:
        """The fleet now: 304 as long as no row changed, and one document for all who ask."""
        if request.query_params.get("at"):
            return await self._then(request)
        known = request.headers.get("if-none-match", "").strip('"')
        if known and known == await run_in_threadpool(lambda: self._view.cursor):
            return Response(status_code=304, headers=_headers(known))
        cursor, body = await run_in_threadpool(self._view.whole)
        return Response(body, headers=_headers(cursor), media_type="application/json")

    def _changes(self, _reader: Any, request: Request) -> Json:
        """The rows that changed after a cursor of `/fleet` or of an earlier answer; all of them without one."""
        changes = self._view.since(request.query_params.get("since", ""))
        return {"cursor": changes.cursor, "whole": changes.whole, "trucks": changes.rows}

    def _truck(self, reader: Any, request: Request) -> Json:
        truck_id = request.path_params["truck_id"]
        rows = queries.trucks(reader, truck_id)
        if not rows:
            raise NotFound(f"no sample of {truck_id!r:.80} has come yet")
        found = queries.audit(reader, now_ms=_now_ms(), grace_ms=self._grace_ms, truck_id=truck_id)
        return {**rows[0], "completeness": found["trucks"]}

    def _signals(self, reader: Any, request: Request) -> Json:
        last = _instant(request, "to") or timestamps.from_ms(_now_ms())
        first = _instant(request, "from") or timestamps.from_ms(timestamps.to_ms(last) - _TRAIL_MS)
        return queries.signals(reader, request.path_params["truck_id"], first, last, most=_MOST_SIGNALS)

    def _history(self, reader: Any, request: Request) -> Json:
        truck_id, at = request.path_params["truck_id"], _instant(request, "at")
        if known_at := _instant(request, "known_at"):
            rows, retained_from = queries.history_known_at(reader, truck_id, known_at, at)
            return {"versions": rows[-_MOST_ROWS:], "retained_from": retained_from}
        return {"versions": queries.history(reader, truck_id, at)[-_MOST_ROWS:], "retained_from": None}

    def _shop(self, reader: Any, _: Request) -> Json:
        return {view: queries.clicks(reader, view, top=_MOST_ROWS) for view in ("item", "funnel", "minute", "session")}

    def _order_list(self, _reader: Any, _request: Request) -> Json:
        return self._orders(_MOST_ROWS)

    def _pipeline(self, reader: Any, _: Request) -> Json:
        found = queries.audit(reader, now_ms=_now_ms(), grace_ms=self._grace_ms)
        letters = queries.dead_letters(reader)
        return {**found, "dead_letters": letters[-_MOST_ROWS:], "refused": len(letters), "health": dict(self._health())}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _instant(request: Request, name: str) -> str | None:
    text = request.query_params.get(name)
    return timestamps.parse(text, name) if text else None


def _reply(request: Request, document: Json, status: int = 200) -> Response:
    body = dump(document).encode()
    headers = _headers(hashlib.sha256(body).hexdigest()[:20])
    if status == 200 and request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers, "application/json")


def _headers(etag: str) -> dict[str, str]:
    return {"etag": f'"{etag}"', "cache-control": "no-cache", "x-content-type-options": "nosniff"}
