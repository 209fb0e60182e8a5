"""`GET /v1/trucks/{truck_id}/route`: a driver's stops, as JSON or GPX."""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from commerce.fields import truck_id as judged
from commerce.http.access import KeyedAccess
from commerce.http.replies import answering, reply
from commerce.routes.formats import as_gpx, navigation_link
from commerce.routes.plans import Plans
from contract import machine_clock, timestamps
from contract.http_refusals import RequestRefused


class TruckRouteDoors:
    """The doors of truck routes. They tell where customers live, so they need a key."""

    def __init__(self, plans: Plans, access: KeyedAccess, *, clock: Callable[[], int] = machine_clock.now_ms) -> None:
        """
        Args:
            plans: that were saved.
            access: who may.
            clock: Unix ms.
        """
        self._plans, self._access, self._clock = plans, access, clock

    @property
    def routes(self) -> list[Route]:
        """What an application mounts."""
        return [Route("/v1/trucks/{truck_id}/route", answering(self._get), methods=["GET"])]

    async def _get(self, request: Request) -> Response:
        self._access.demand(request)
        truck_id = judged(request.path_params["truck_id"])
        asked = request.query_params.get("at")
        at = timestamps.from_ms(self._clock()) if asked is None else timestamps.parse(asked, "at")
        wanted = request.query_params.get("format", "json")
        if wanted not in ("json", "gpx"):
            raise RequestRefused(422, f"must be json or gpx, not {wanted!r:.20}", field="format")
        route = await run_in_threadpool(self._plans.route_of, truck_id, at)
        if route is None:
            raise RequestRefused(
                404, f"no plan of {at[:10]} names {truck_id}: save one with `milepost routes plan --save`"
            )
        if wanted == "gpx":
            return Response(as_gpx(route), 200, {"cache-control": "no-store"}, "application/gpx+xml")
        return reply({**route, "next": navigation_link(route)})
