"""`/api/v1/…`: what the console shows, as JSON, by the same queries as the commands (console/openapi.json)."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector import queries
from console import downloads, truck_tables
from console.access import ConsoleAccess, Endpoint, refused
from console.downloads import File
from console.fleet_events import FleetEvents
from console.fleet_view import FleetView, OpenReader
from console.place_names import nearest_place
from console.shop_view import DIMENSIONS, STANDARD, ShopView, steps_of
from contract import machine_clock, timestamps
from contract.codec import Json, dump
from contract.errors import Misconfigured, Rejected, Retryable, Unreachable
from contract.fault_texts import fault_text
from contract.fleet import Ring, Zone
from contract.thresholds import thresholds

_MOST_SIGNALS = 2_000
_MOST_ROWS = 500
_MOST_TRACK = 100_000
_MOST_CODES = 100
_TRAIL_MS = 6 * 3_600_000
_DAY_MS = 86_400_000
_TABLE_MS = 30 * 86_400_000

Answer = Callable[[Any, Request], Json]


class NotFound(Exception):
    """There is no such thing."""


class ConsoleSources(NamedTuple):
    """Where the answers come from.

    open_reader: gives the store for reading, None within where there is none yet; it may be bounded in time.
    orders: the newest so many orders' states.
    alerts: the kept alerts, so many of them from a place on, as `alerts.queries.kept_alerts` gives them.
    acknowledge: id, by whom and a note; False for an alert that is not kept.
    health: figures of the running service.
    grace_ms: how long a hole may be late.
    truck_table: a table of console.truck_tables, a truck and a period → its rows.
    zones: of the installation. zones_editable: whether console.zone_editing is mounted too. vehicles: of the register,
    as they are now.
    plans: all that were saved, newest day and version first; plan: a plan_id or a day → that plan with what became of
    its stops, as commerce.routes.plans gives both.
    """

    open_reader: OpenReader
    orders: Callable[[int], list[dict[str, Any]]]
    alerts: Callable[[Any, int], list[dict[str, Any]]]
    acknowledge: Callable[[str, str, str], bool]
    health: Callable[[], Mapping[str, Json]]
    grace_ms: int
    truck_table: Callable[[str, str, str, str], list[dict[str, Any]]]
    zones: Callable[[], Sequence[Zone]] = tuple
    zones_editable: bool = False
    vehicles: Callable[[], list[dict[str, Any]]] = list
    plans: Callable[[], list[dict[str, Any]]] = list
    plan: Callable[[str], dict[str, Any] | None] = lambda _: None


class Api:
    """The read API. Every answer has an ETag; a client that has it already gets 304."""

    def __init__(self, sources: ConsoleSources, access: ConsoleAccess) -> None:
        self._sources, self._access = sources, access
        self._view = FleetView(sources.open_reader, now_ms=machine_clock.now_ms)
        self._shop_view = ShopView(sources.open_reader, now_ms=machine_clock.now_ms)
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
            "/trucks/{truck_id}/track": self._track,
            "/plans": self._plans,
            "/plans/{plan_id}": self._plan,
            "/sessions/{session_id}": self._session,
            **{f"/trucks/{{truck_id}}/{table}": partial(self._truck_table, table) for table in truck_tables.TABLES},
        }
        present: dict[str, Answer] = {
            "/changes": self._changes,
            "/map": self._map,
            "/vehicles": self._vehicles,
            "/fault-texts": self._fault_texts,
            "/shop": self._shop,
            "/shop/period": self._shop_period,
            "/shop/newest": self._shop_newest,
            "/funnel": self._funnel,
            "/orders": self._order_list,
            "/alerts": self._alerts,
            "/pipeline": self._pipeline,
            "/dead-letters": self._dead_letters,
        }
        told = [Route("/api/v1/events", access.viewer(self.events), methods=["GET"])]
        return [
            Route("/api/v1/fleet", access.viewer_of_now(self._fleet_now), methods=["GET"]),
            *([] if access.settings.poll_seconds else told),
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
                if isinstance(document, File):
                    return _download(document)
                if format := request.query_params.get("format", ""):
                    name = request.url.path.rpartition("/")[2]
                    return _download(await run_in_threadpool(downloads.table, name, format, _rows_in(document)))
            except Rejected as error:
                return _reply(request, {"error": error.reason, "field": error.field or None}, 422)
            except NotFound as error:
                return _reply(request, {"error": str(error), "field": None}, 404)
            except (Retryable, Unreachable) as error:
                return _reply(request, {"error": str(error), "field": None}, 503)
            except Misconfigured as error:  # such as a warehouse that was not built yet
                return _reply(request, {"error": str(error), "field": None}, 404)
            return _reply(request, document)

        return respond

    def _fleet(self, reader: Any, request: Request) -> Json:
        """The fleet at a past instant; `_fleet_now` answers without one."""
        at = _instant(request, "at") or timestamps.from_ms(machine_clock.now_ms())
        known_at = _instant(request, "known_at")
        rows = queries.fleet(reader, now_ms=machine_clock.now_ms(), instant=at, known_at=known_at)
        return {"at": at, "live": False, "trucks": rows}

    async def _fleet_now(self, request: Request) -> Response:
        """The fleet now: 304 as long as no row changed, and one document for all who ask."""
        if request.query_params.get("at") or request.query_params.get("known_at"):
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
        found = queries.audit(reader, now_ms=machine_clock.now_ms(), grace_ms=self._sources.grace_ms, truck_id=truck_id)
        words = {item: list(line.words) for item, line in thresholds().items() if line.words}
        return {**rows[0], "completeness": found["trucks"], "service_words": words}

    def _signals(self, reader: Any, request: Request) -> Json:
        return queries.signals(
            reader, request.path_params["truck_id"], *_period(request, _TRAIL_MS), most=_MOST_SIGNALS
        )

    def _history(self, reader: Any, request: Request) -> Json:
        truck_id, at = request.path_params["truck_id"], _instant(request, "at")
        if known_at := _instant(request, "known_at"):
            rows, retained_from = queries.history_known_at(reader, truck_id, known_at, at)
            return {"versions": rows[-_MOST_ROWS:], "retained_from": retained_from}
        return {"versions": queries.history(reader, truck_id, at)[-_MOST_ROWS:], "retained_from": None}

    def _truck_table(self, table: str, _reader: Any, request: Request) -> Any:
        """Trips, stops or fuel events of the last 30 days, or of a period; `format` makes a file of them."""
        truck_id = request.path_params["truck_id"]
        rows = self._sources.truck_table(table, truck_id, *_period(request, _TABLE_MS))
        format = request.query_params.get("format")
        return truck_tables.as_file(table, truck_id, format, rows) if format else rows

    def _track(self, reader: Any, request: Request) -> Any:
        """Where a truck was, as a file: GPX unless `format` says another."""
        truck_id = request.path_params["truck_id"]
        samples = queries.signals(reader, truck_id, *_period(request, _TRAIL_MS), most=_MOST_TRACK)
        return truck_tables.track(truck_id, request.query_params.get("format", "gpx"), samples)

    def _shop(self, reader: Any, _: Request) -> Json:
        return {view: queries.clicks(reader, view, top=_MOST_ROWS) for view in ("item", "funnel", "minute", "session")}

    def _shop_period(self, _reader: Any, request: Request) -> Json:
        first_ms, last_ms = map(timestamps.to_ms, _period(request, _DAY_MS))
        by = request.query_params.get("by", "page")
        return self._shop_view.summary(first_ms, last_ms, _filters(request), by)

    def _funnel(self, _reader: Any, request: Request) -> Json:
        """Of the standard steps, or of any two to six: `steps`, separated by commas."""
        first_ms, last_ms = map(timestamps.to_ms, _period(request, _DAY_MS))
        steps = [each.strip() for each in request.query_params.get("steps", ",".join(STANDARD)).split(",")]
        return [*self._shop_view.funnel(steps, first_ms, last_ms, _filters(request))]

    def _shop_newest(self, reader: Any, request: Request) -> Json:
        """What came last, and what was refused of the shop's events; the debug view of who builds the shop's pages."""
        _, most = _page(request)
        letters = [each for each in queries.dead_letters(reader) if "click" in each["source"]]
        return {"events": [*self._shop_view.newest(most)], "refused": letters[: -most - 1 : -1]}

    def _session(self, reader: Any, request: Request) -> Json:
        found = steps_of(reader.clicks_of_session(request.path_params["session_id"]) if reader else ())
        if not found:
            raise NotFound("no event of that session is kept")
        return [*found]

    def _order_list(self, _reader: Any, _request: Request) -> Json:
        return self._sources.orders(_MOST_ROWS)

    def _plans(self, _reader: Any, _request: Request) -> Json:
        """The newest of each day first: where customers live and drivers went, so for operators."""
        rows = self._sources.plans()[:_MOST_ROWS]
        return [{name: row[name] for name in ("plan_id", "day", "version", "made_at", "in_force")} for row in rows]

    def _plan(self, _reader: Any, request: Request) -> Json:
        found = self._sources.plan(request.path_params["plan_id"])
        if found is None:
            raise NotFound("no such plan is kept")
        return found

    def _map(self, _reader: Any, _request: Request) -> Json:
        """What maps show beside trucks: zones, and streets where a setting names a source of them."""
        settings = self._access.settings
        zones = [
            {"id": zone.id, "name": zone.name, "speed_limit_kmh": zone.speed_limit_kmh, "rings": _lists(zone.rings)}
            for zone in self._sources.zones()
        ]
        streets: dict[str, Json] = {"streets": settings.streets, "attribution": settings.streets_attribution}
        return {**streets, "zones": [*zones], "zones_editable": self._sources.zones_editable}

    def _vehicles(self, _reader: Any, _request: Request) -> Json:
        """What trucks are called and where they belong; who drives them is not told."""
        names = ("truck_id", "plate", "name", "group")
        return [{**{name: row.get(name) for name in names}, "depot": _depot(row)} for row in self._sources.vehicles()]

    def _fault_texts(self, _reader: Any, request: Request) -> Json:
        """What fault codes say in words."""
        codes = [each for each in request.query_params.get("codes", "").split(",") if each][:_MOST_CODES]
        found: dict[str, Json] = {}
        for code in codes:
            spn, _, fmi = code.partition("/")
            if not (spn.isdecimal() and fmi.isdecimal() and len(code) < 12):
                raise Rejected("codes", f"must be SPN/FMI, several separated by commas, not {code!r:.20}")
            found[code] = fault_text(int(spn), int(fmi))
        return found

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
        found = queries.audit(reader, now_ms=machine_clock.now_ms(), grace_ms=self._sources.grace_ms)
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
        except Misconfigured as error:  # such as a service that may only read
            return refused(404, str(error))
        return Response(status_code=204) if found else refused(404, "no such alert is kept")


def _lists(rings: Sequence[Ring]) -> list[Json]:
    return [[[longitude, latitude] for longitude, latitude in ring] for ring in rings]


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


def _filters(request: Request) -> dict[str, str]:
    return {name: value for name in DIMENSIONS if (value := request.query_params.get(name))}


def _period(request: Request, span_ms: int) -> tuple[str, str]:
    """`from` and `to` of the query; so long before now without them."""
    last = _instant(request, "to") or timestamps.from_ms(machine_clock.now_ms())
    return _instant(request, "from") or timestamps.from_ms(timestamps.to_ms(last) - span_ms), last


def _rows_in(document: Any) -> list[dict[str, Any]]:
    """The rows of an answer: itself, or its list of objects."""
    if isinstance(document, list):
        return document
    lists = [each for each in document.values() if isinstance(each, list)]
    if len(lists) != 1:
        raise Rejected("format", "this answer is no table: leave it out")
    found: list[dict[str, Any]] = lists[0]
    return found


def _download(file: File) -> Response:
    name = re.sub(r"[^A-Za-z0-9._-]", "_", file.name)  # a part of it stood in the address: it says nothing to a browser
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(file.body, headers={**headers, "x-content-type-options": "nosniff"}, media_type=file.media_type)


def _reply(request: Request, document: Json, status: int = 200) -> Response:
    body = dump(document).encode()
    headers = _headers(hashlib.sha256(body).hexdigest()[:20])
    if status == 200 and request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers, "application/json")


def _headers(etag: str) -> dict[str, str]:
    return {"etag": f'"{etag}"', "cache-control": "no-cache", "x-content-type-options": "nosniff"}


def _depot(vehicle: Mapping[str, Json]) -> str | None:
    """The depot of a vehicle of the register by its nearest town and its place to a kilometre; None: not known."""
    latitude, longitude = vehicle.get("depot_latitude"), vehicle.get("depot_longitude")
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return None
    near = nearest_place(latitude, longitude)
    return f"{near.name if near else 'Depot'} ({latitude:.2f}, {longitude:.2f})"
