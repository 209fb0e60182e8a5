"""Answers as files: CSV and XLSX of rows, GPX and KML of places."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree

from contract import timestamps
from contract.codec import dump
from contract.errors import Rejected
from contract.spreadsheet import safe_cell

Row = Mapping[str, Any]

TABLES = ("csv", "xlsx")
TRACKS = ("gpx", "kml")
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "gpx": "application/gpx+xml",
    "kml": "application/vnd.google-earth.kml+xml",
}
_GPX, _KML = "http://www.topografix.com/GPX/1/1", "http://www.opengis.net/kml/2.2"
_MOST_TEXT = 32_767
"""Characters of a cell of XLSX."""


class File(NamedTuple):
    """A file to hand out. name: with its ending."""

    name: str
    media_type: str
    body: bytes


class Place(NamedTuple):
    """A point of a file. latitude, longitude: degrees. at: RFC 3339. altitude: m. name, said: texts."""

    latitude: float
    longitude: float
    at: str
    altitude: float | None = None
    name: str = ""
    said: str = ""


def table(name: str, format: str, rows: Sequence[Row]) -> File:
    """Rows as a file; the columns are the keys in the order in which they first come, groups as `group.name`.

    Args:
        name: of the file, without its ending; also the sheet's.
        format: one of TABLES.
        rows: their values are JSON's; lists are written as JSON.

    Returns:
        The file, with a line for the columns' names.

    Raises:
        Rejected: another format.
    """
    if format not in TABLES:
        raise Rejected("format", f"{format!r:.20} is no format of a table: give {' or '.join(TABLES)}")
    flat = [_flat(row) for row in rows]
    columns = list(dict.fromkeys(column for row in flat for column in row))
    body = _csv(columns, flat) if format == "csv" else _xlsx(name, columns, flat)
    return File(f"{name}.{format}", _TYPES[format], body)


def track(name: str, format: str, places: Sequence[Place]) -> File:
    """A way in time order as one line.

    Args:
        name: of the file, without its ending, and of the track.
        format: one of TRACKS.
        places: in time order.

    Raises:
        Rejected: another format.
    """
    _check_track(format)
    if format == "gpx":
        root = _gpx()
        trk = ElementTree.SubElement(root, "trk")
        ElementTree.SubElement(trk, "name").text = name
        segment = ElementTree.SubElement(trk, "trkseg")
        for place in places:
            _gpx_point(segment, "trkpt", place)
    else:
        root, document = _kml(name)
        mark = ElementTree.SubElement(document, "Placemark")
        ElementTree.SubElement(mark, "name").text = name
        line = ElementTree.SubElement(mark, "LineString")
        ElementTree.SubElement(line, "coordinates").text = " ".join(map(_coordinates, places))
    return _xml(name, format, root)


def points(name: str, format: str, places: Sequence[Place]) -> File:
    """Single places, such as stops; see `track`."""
    _check_track(format)
    if format == "gpx":
        root = _gpx()
        for place in places:
            _gpx_point(root, "wpt", place)
    else:
        root, document = _kml(name)
        for place in places:
            mark = ElementTree.SubElement(document, "Placemark")
            ElementTree.SubElement(mark, "name").text = place.name
            ElementTree.SubElement(mark, "description").text = place.said
            stamp = ElementTree.SubElement(mark, "TimeStamp")
            ElementTree.SubElement(stamp, "when").text = place.at
            point = ElementTree.SubElement(mark, "Point")
            ElementTree.SubElement(point, "coordinates").text = _coordinates(place)
    return _xml(name, format, root)


def _check_track(format: str) -> None:
    if format not in TRACKS:
        raise Rejected("format", f"{format!r:.20} is no format of places: give {' or '.join((*TABLES, *TRACKS))}")


def _flat(row: Row, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = dump(value) if isinstance(value, list | tuple) else value
    return found


def _csv(columns: Sequence[str], rows: Sequence[Row]) -> bytes:
    """RFC 4180. A text that a spreadsheet would run as a formula gets an apostrophe, as OWASP advises."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([safe_cell(row.get(column)) for column in columns])
    return text.getvalue().encode()


def _xlsx(name: str, columns: Sequence[str], rows: Sequence[Row]) -> bytes:
    """Texts stay texts, whatever they begin with; instants are dates in UTC."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    book = Workbook(write_only=True)
    sheet = book.create_sheet(name[:31])
    sheet.freeze_panes = "A2"

    def cell(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if len(value) == len("2026-01-01T00:00:00.000Z") and value.endswith("Z"):
            try:
                return timestamps.to_datetime(timestamps.parse(value, "")).replace(tzinfo=None)
            except Rejected:
                pass
        made = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("?", value)[:_MOST_TEXT])
        made.data_type = "s"
        return made

    sheet.append([cell(column) for column in columns])
    for row in rows:
        sheet.append([cell(row.get(column)) for column in columns])
    body = io.BytesIO()
    book.save(body)
    return body.getvalue()


def _gpx() -> ElementTree.Element:
    return ElementTree.Element("gpx", {"xmlns": _GPX, "version": "1.1", "creator": "Milepost"})


def _gpx_point(parent: ElementTree.Element, tag: str, place: Place) -> None:
    """Its children in the order of the schema."""
    degrees = {"lat": f"{place.latitude:.7f}", "lon": f"{place.longitude:.7f}"}
    point = ElementTree.SubElement(parent, tag, degrees)
    for name, value in (("ele", place.altitude), ("time", place.at), ("name", place.name), ("desc", place.said)):
        if value not in (None, ""):
            ElementTree.SubElement(point, name).text = str(value)


def _kml(name: str) -> tuple[ElementTree.Element, ElementTree.Element]:
    root = ElementTree.Element("kml", {"xmlns": _KML})
    document = ElementTree.SubElement(root, "Document")
    ElementTree.SubElement(document, "name").text = name
    return root, document


def _coordinates(place: Place) -> str:
    height = "" if place.altitude is None else f",{place.altitude:g}"
    return f"{place.longitude:.7f},{place.latitude:.7f}{height}"


def _xml(name: str, format: str, root: ElementTree.Element) -> File:
    body = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return File(f"{name}.{format}", _TYPES[format], body)
