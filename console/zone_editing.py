"""`PUT` and `DELETE /api/v1/zones/{zone_id}`: an operator edits the zones' file; what else stands in it stays."""

import json
import threading
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.access import ConsoleAccess, body_within, refused
from contract import atomic_file
from contract.codec import Json, dump, parse
from contract.errors import Misconfigured, Rejected
from contract.fleet import read_zones, zone_of

MOST_ZONES = 1_000
MOST_CORNERS = 1_000
_MOST_BYTES = 131_072
_LONGEST = 100
_FIELDS = ("name", "speed_limit_kmh", "corners")


class ZonesFile:
    """The file of the zones, written whole by one request at a time.

    Args:
        path: of the file, which need not be there yet; its folder must be.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()

    def put(self, zone_id: str, said: Json) -> None:
        """Make a zone, or change what is said of one that is there.

        Args:
            zone_id: its id.
            said: `{name, speed_limit_kmh, corners}`; what is left out stays as it is. speed_limit_kmh may be null, for
                none. corners are [longitude, latitude] in degrees and take the place of all the zone's rings; a new
                zone needs them.

        Raises:
            Rejected: names the field and what would be right.
            Misconfigured: the file cannot be read, or cannot be written.
        """
        changed = _checked(zone_id, said)
        with self._lock:
            document = self._document()
            feature = _find(document, zone_id)
            if feature is None:
                if "corners" not in changed:
                    raise Rejected("corners", f"there is no zone {zone_id!r} yet: a new one needs its corners")
                if len(document["features"]) >= MOST_ZONES:
                    raise Rejected("", f"there are {MOST_ZONES} zones already: delete one that is not needed any more")
                feature = {"type": "Feature", "id": zone_id, "properties": {"name": zone_id}}
                document["features"].append(feature)
            if corners := changed.pop("corners", None):
                feature["geometry"] = {"type": "Polygon", "coordinates": [corners]}
            feature.setdefault("id", zone_id)  # it may have been its name, which may change
            feature["properties"] = {**(feature.get("properties") or {}), **changed}
            self._write(document)

    def delete(self, zone_id: str) -> bool:
        """Take a zone out of the file.

        Args:
            zone_id: its id.

        Returns:
            False where there is no such zone.

        Raises:
            Misconfigured: the file cannot be read, or cannot be written.
        """
        with self._lock:
            document = self._document()
            feature = _find(document, zone_id)
            if feature is None:
                return False
            document["features"].remove(feature)
            self._write(document)
        return True

    def _document(self) -> dict[str, Any]:
        read_zones(self._path)  # says what is wrong with a file of somebody else's making
        if not self._path.exists():
            return {"type": "FeatureCollection", "features": []}
        found: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        return found

    def _write(self, document: dict[str, Any]) -> None:
        path = self._path.resolve()  # a link stays one
        try:
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
            atomic_file.write(path, json.dumps(document, ensure_ascii=False, indent=1) + "\n", mode=mode)
        except OSError as error:
            raise Misconfigured(
                f"{self._path} cannot be written: {error.strerror}: let this service write it"
            ) from None


def routes(path: Path, access: ConsoleAccess) -> list[Route]:
    """What an application mounts, where zones may be edited.

    Args:
        path: of the zones' file.
        access: who may: operators.

    Returns:
        The routes of putting and deleting a zone.
    """
    file = ZonesFile(path)

    async def put(request: Request) -> Response:
        body = await body_within(request, _MOST_BYTES)
        if body is None:
            return refused(413, f"a zone has at most {_MOST_BYTES:,} bytes: leave corners out")
        try:
            await run_in_threadpool(file.put, request.path_params["zone_id"], parse(body))
        except Rejected as error:
            said: Json = {"error": error.reason, "field": error.field or None}
            return Response(dump(said), 422, media_type="application/json")
        except Misconfigured as error:
            return refused(409, str(error))
        return Response(status_code=204)

    async def delete(request: Request) -> Response:
        try:
            found = await run_in_threadpool(file.delete, request.path_params["zone_id"])
        except Misconfigured as error:
            return refused(409, str(error))
        return Response(status_code=204) if found else refused(404, "there is no such zone")

    place = "/api/v1/zones/{zone_id:path}"
    return [
        Route(place, access.operator(put), methods=["PUT"]),
        Route(place, access.operator(delete), methods=["DELETE"]),
    ]


def _find(document: dict[str, Any], zone_id: str) -> dict[str, Any] | None:
    return next((each for each in document["features"] if zone_of(each).id == zone_id), None)


def _checked(zone_id: str, said: Json) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise Rejected("", "send {name, speed_limit_kmh, corners} as JSON")
    for field in said:
        if field not in _FIELDS:
            raise Rejected(field[:_LONGEST], f"is none of a zone's fields: {', '.join(_FIELDS)}")
    for field, text in (("zone_id", zone_id), ("name", said.get("name", zone_id))):
        if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST or not text.isprintable():
            raise Rejected(field, f"must be a text of 1 to {_LONGEST} printable characters")
    limit = said.get("speed_limit_kmh")
    if limit is not None and not (_is_number(limit) and 0 < limit <= 1_000):
        raise Rejected("speed_limit_kmh", "must be over 0 and at most 1000 km/h, or null for no limit")
    return {**said, "corners": _ring(said["corners"])} if "corners" in said else {**said}


def _ring(corners: Any) -> list[list[float]]:
    if not isinstance(corners, list) or not 3 <= len(corners) <= MOST_CORNERS:
        raise Rejected("corners", f"must be a list of 3 to {MOST_CORNERS} places [longitude, latitude]")
    for number, place in enumerate(corners):
        if not isinstance(place, list) or len(place) != 2 or not all(map(_is_number, place)):
            raise Rejected(f"corners.{number}", "must be [longitude, latitude], two numbers in degrees")
        if not (abs(place[0]) <= 180 and abs(place[1]) <= 90):
            raise Rejected(f"corners.{number}", "longitude is -180 to 180 and latitude -90 to 90, in this order")
    if len({tuple(place) for place in corners}) < 3:
        raise Rejected("corners", "three places or more must be different ones")
    return corners if corners[0] == corners[-1] else [*corners, corners[0]]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e9 < value < 1e9
