"""Takes a person, or a truck's positions, out of the archive that Firehose keeps in S3: objects are replaced whole.

A line keeps its place, its arrival and its content hash (`content`), so that an archive that is ingested again makes
what it made before. What else an archived line holds, a refused record or a stream's record as it came, goes whole.
"""

import base64
import gzip
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import timedelta
from typing import Any

from collector.ingest.archive_lines import items_of_line
from collector.ingest.validation import judge
from collector.stores.forgetting import NamedIds
from collector.streams.s3_objects import S3Objects
from contract import timestamps
from contract.click_records import ClickEvent
from contract.codec import Json, dump, parse
from contract.errors import Rejected
from contract.forgotten import GONE, Forgotten, Span, without_position
from contract.ingest_items import Item, Kind
from contract.records import Sample

ARCHIVE = "archive/"
_LEFT_DAYS = 90
Rewrite = Callable[[dict[str, Json], ClickEvent | Sample | None], dict[str, Json] | None]


class ArchiveForgetting:
    """The `StoreForgetting` of a bucket's archive.

    Args:
        bucket: of the stack.
        client: boto3's, of S3; None for one of the environment's region and credentials.
    """

    def __init__(self, bucket: str, client: Any = None) -> None:
        self._objects = S3Objects(f"s3://{bucket}/{ARCHIVE}", client)

    def named_ids(self) -> Iterator[NamedIds]:
        for event in self._clicks():
            ids = [_text(event.record.get(name)) for name in ("user_id", "browser_id", "session_id", "customer_id")]
            yield NamedIds(event.timestamp, event.event_id, *ids)

    def adopt_markers(self, marks: Forgotten) -> None:
        """Nothing to do: the store beside it keeps them."""

    def publish_markers(self, marks: Forgotten) -> None:
        """Nothing to do: the archive's function asks the store beside it."""

    def forget_person(self, event_ids: Sequence[str], identifiers: Collection[str], marks: Forgotten) -> dict[str, int]:
        wanted = set(event_ids)

        def rewrite(line: dict[str, Json], judged: ClickEvent | Sample | None) -> dict[str, Json] | None:
            if isinstance(judged, ClickEvent) and judged.event_id in wanted:
                kept = marks.scrubbed_click(judged.record)
                return {**_envelope(line), "content": judged.content, "record": kept}
            if not any(each in _unpacked(line) for each in identifiers):
                return None
            return _nothing_of(line)

        return {"archived_lines": self._rewrite(rewrite)}

    def forget_positions(self, span: Span, marks: Forgotten) -> dict[str, int]:
        del marks

        def rewrite(line: dict[str, Json], judged: ClickEvent | Sample | None) -> dict[str, Json] | None:
            if not (_is_within(judged, span) and isinstance(judged, Sample)):
                return None
            return {**_envelope(line), "content": judged.content, "record": parse(without_position(judged.text))}

        return {"archived_lines": self._rewrite(rewrite)}

    def positions_left(self, span: Span) -> int:
        found = (judged for key in self._objects.names() for _, judged in _judged(key, self._objects.read(key)))
        return sum(
            (judged.record.get("quality") or {}).get("gps_location") != "forgotten"
            for judged in found
            if isinstance(judged, Sample) and _is_within(judged, span)
        )

    def events(self, event_ids: Collection[str]) -> list[dict[str, Json]]:
        wanted = set(event_ids)
        return [event.record for event in self._clicks() if event.event_id in wanted]

    def occurrences(self, identifiers: Collection[str]) -> list[dict[str, Any]]:
        found = []
        for key in self._objects.names():
            hits: Counter[str] = Counter()
            for line, _ in _judged(key, self._objects.read(key)):
                said = _unpacked(line)
                hits.update(each for each in identifiers if each in said)
            place = f"s3://{self._objects.bucket}/{key}"
            found += [{"place": place, "identifier": each, "hits": hits[each]} for each in identifiers if hits[each]]
        return found

    def out_of_reach(self, now_ms: int) -> list[dict[str, Any]]:
        ends = timestamps.to_datetime(timestamps.from_ms(now_ms)) + timedelta(days=_LEFT_DAYS)
        places = ("batches that functions failed on", "messages that rules could not deliver")
        return [{"place": f"the bucket's {each}", "until": timestamps.from_datetime(ends)} for each in places]

    def _clicks(self) -> Iterator[ClickEvent]:
        for key in self._objects.names():
            for _, judged in _judged(key, self._objects.read(key)):
                if isinstance(judged, ClickEvent):
                    yield judged

    def _rewrite(self, rewrite: Rewrite) -> int:
        """Replace the objects in which a line changes, then remove what each replaced; how many lines changed."""
        count = 0
        for key in list(self._objects.names()):
            data = self._objects.read(key)
            lines, changed = [], 0
            for line, judged in _judged(key, data):
                new = rewrite(line, judged)
                changed += new is not None
                lines.append(dump(line if new is None else new))
            if changed:
                said = "".join(f"{line}\n" for line in lines).encode()
                self._objects.replace(key, gzip.compress(said) if data.startswith(b"\x1f\x8b") else said)
            count += changed
        self._objects.drop_versions()
        return count


def _judged(key: str, data: bytes) -> Iterator[tuple[dict[str, Json], ClickEvent | Sample | None]]:
    """Each line, with what it is where it is one record that is taken; a line that is no object stands under `text`."""
    kind: Kind = "click" if key.startswith(f"{ARCHIVE}clicks/") else "telemetry"
    for raw in (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).splitlines():
        try:
            line = parse(raw)
        except Rejected:
            line = None
        if not isinstance(line, dict):
            yield {"text": raw.decode("utf-8", "replace")}, None
            continue
        whole = Item(kind, f"file:{kind}", line, 0, date_by_arrival=False)
        items = items_of_line(whole)
        verdict = judge(items[0]) if "record" in line and items[0] is not whole else None
        yield line, verdict if isinstance(verdict, ClickEvent | Sample) else None


def _envelope(line: dict[str, Json]) -> dict[str, Json]:
    """Without what was seen of the sender."""
    return {name: line[name] for name in ("received_at", "source", "truck_id") if name in line}


def _nothing_of(line: dict[str, Json]) -> dict[str, Json]:
    """What stands in place of a line that is not one record: Firehose's own notes on failures too."""
    if {"received_at", "source"} <= line.keys():
        return {**_envelope(line), "text": GONE.decode()}
    return {"text": GONE.decode()}


def _unpacked(line: dict[str, Json]) -> str:
    """The line as text, with what stands there in base64."""
    packed = [line[name] for name in ("base64", "rawData") if isinstance(line.get(name), str)]
    clear = (base64.b64decode(each, validate=False).decode("utf-8", "replace") for each in packed)
    return "\n".join([dump(line), *clear])


def _is_within(judged: ClickEvent | Sample | None, span: Span) -> bool:
    return (
        isinstance(judged, Sample) and judged.truck_id == span.truck_id and span.begin <= judged.sampled_at < span.end
    )


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None
