"""`/api/v1/…`: what the console shows, as JSON, by the same queries as the commands (console/openapi.json)."""

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector import queries
from console.access import Access, Endpoint, refused
from console.fleet_events import FleetEvents
from console.fleet_view import FleetView, OpenReader
from contract import timestamps
from contract.codec import Json, dump
from contract.errors import Rejected, Retryable

_MOST_SIGNALS = 2_000
_MOST_ROWS = 500
_TRAIL_MS = 6 * 3_600_000

Answer = Callable[[Any, Request], Json]


class NotFound(Exception):
    """There is no such thing."""


class Sources(NamedTuple):
    """Where the answers come from.

    open_reader: gives the store for reading, None within where there is none yet; it may be bounded in time.
    orders: the newest so many orders' states.
    alerts: the kept alerts, so many of them from a place on, as `alerts.queries.kept_alerts` gives them.
    acknowledge: id, by whom and a note; False for an alert that is not kept.
    health: figures of the running service.
    grace_ms: how long a hole may be late.
    """

    open_reader: OpenReader
    orders: Callable[[int], list[dict[str, Any]]]
    alerts: Callable[[Any, int], list[dict[str, Any]]]
    acknowledge: Callable[[str, str, str], bool]
    health: Callable[[], Mapping[str, Json]]
    grace_ms: int


class Api:
    """The read API. Every answer has an ETag; a client that has it already gets 304."""

    def __init__(self, sources: Sources, access: Access) -> None:
        self._sources, self._access = sources, access
        self._view = FleetView(sources.open_reader, now_ms=_now_ms)
        self.events = FleetEvents(self._view)

    @property
    def view(self) -> FleetView:
        """The fleet now, for whoever counts it."""
        return self._view

    @property
    def routes(self) -> list[Route]:
        """What an application mounts."""
        access = self._access
        now_or_then: dict[str, Answer] = {"/trucks/{truck_id}": self._truck}
        past: dict[str, Answer] = {
            "/trucks/{truck_id}/signals": self._signals,
            "/trucks/{truck_id}/history": self._history,
        }
        present: dict[str, Answer] = {
            "/changes": self._changes,
            "/shop": self._shop,
            "/orders": self._order_list,
            "/alerts": self._alerts,
            "/pipeline": self._pipeline,
            "/dead-letters": self._dead_letters,
        }
        return [
            Route("/api/v1/fleet", access.viewer_of_now(self._fleet_now), methods=["GET"]),
            Route("/api/v1/events", access.viewer(self.events), methods=["GET"]),
            Route("/api/v1/alerts/{alert_id}/acknowledge", access.operator(self._acknowledge), methods=["POST"]),
            *self._gets(now_or_then, access.viewer_of_now),
            *self._gets(past, access.operator),
            *self._gets(present, access.viewer),
        ]

    def _gets(self, answers: Mapping[str, Answer], guarded: Callable[[Endpoint], Endpoint]) -> list[Route]:
        return [
            Route(f"/api/v1{path}", guarded(self._answering(answer)), methods=["GET"])
            for path, answer in answers.items()
        ]

    def _answering(self, answer: Answer) -> Endpoint:
        def read(request: Request) -> Json:
            with self._sources.open_reader() as reader:
                return answer(reader, request)

        async def respond(request: Request) -> Response:
            try:
                document = await run_in_threadpool(read, request)
            except Rejected as error:
                return _reply(request, {"error": error.reason, "field": error.field or None}, 422)
            except NotFound as error:
                return _reply(request, {"error": str(error), "field": None}, 404)
            except Retryable as error:
                return _reply(request, {"error": str(error), "field": None}, 503)
            return _reply(request, document)

        return respond

    def _fleet(self, reader: Any, request: Request) -> Json:
        """The fleet at a past instant; `_fleet_now` answers without one."""
        at = _instant(request, "at") or timestamps.from_ms(_now_ms())
        return {"at": at, "live": False, "trucks": queries.fleet(reader, now_ms=_now_ms(), instant=at)}

    async def _fleet_now(self, request: Request) -> Response:
        """The fleet now: 304 as long as no row changed, and one document for all who ask."""
        if request.query_params.get("at"):
            return await self._answering(self._fleet)(request)
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
        found = queries.audit(reader, now_ms=_now_ms(), grace_ms=self._sources.grace_ms, truck_id=truck_id)
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
        return self._sources.orders(_MOST_ROWS)

    def _alerts(self, reader: Any, request: Request) -> Json:
        """Those that go on, then the others, newest first; `next` is what `from` of the next page is."""
        first, most = _page(request)
        rows = self._sources.alerts(reader, first + most + 1)
        return {"alerts": rows[first : first + most], "next": first + most if len(rows) > first + most else None}

    def _dead_letters(self, reader: Any, request: Request) -> Json:
        """Newest first, with their payloads."""
        first, most = _page(request)
        rows = queries.dead_letters(reader)[::-1]
        following = first + most if len(rows) > first + most else None
        return {"dead_letters": rows[first : first + most], "next": following}

    def _pipeline(self, reader: Any, _: Request) -> Json:
        found = queries.audit(reader, now_ms=_now_ms(), grace_ms=self._sources.grace_ms)
        letters = queries.dead_letters(reader)
        health = dict(self._sources.health())
        return {**found, "dead_letters": letters[-_MOST_ROWS:], "refused": len(letters), "health": health}

    async def _acknowledge(self, request: Request) -> Response:
        note = request.query_params.get("note", "")[:500]
        by = request.state.identity.name
        try:
            found = await run_in_threadpool(self._sources.acknowledge, request.path_params["alert_id"], by, note)
        except Retryable as error:
            return refused(503, str(error))
        return Response(status_code=204) if found else refused(404, "no such alert is kept")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _page(request: Request) -> tuple[int, int]:
    """`from` and `limit` of the query."""
    numbers = []
    for name, most, default in (("from", 1_000_000, 0), ("limit", _MOST_ROWS, 100)):
        text = request.query_params.get(name, str(default))
        if not text.isdecimal() or len(text) > 7 or int(text) > most:
            raise Rejected(name, f"must be a number from 0 to {most}, not {text!r:.20}")
        numbers.append(int(text))
    return numbers[0], numbers[1]


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
