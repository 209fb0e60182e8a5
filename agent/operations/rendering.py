"""What `milepost agent status`, `once` and `doctor` show to people: documents in, lines out."""

import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from contract.telemetry import Telemetry

_WIDTH = 31
_LABEL = 18
_NARROWEST = 30


def sample_lines(sample: Mapping[str, Any]) -> list[str]:
    """One sample: each value with its unit; where there is none, why."""
    return list(_fields(sample, Telemetry, sample.get("quality") or {}, path=""))


def _fields(
    group: Mapping[str, Any], model: type[BaseModel] | None, quality: Mapping[str, str], path: str
) -> Iterator[str]:
    indent = "  " * path.count(".")
    for key, value in group.items():
        field = model.model_fields.get(key) if model else None
        if not path and key == "quality":
            continue
        if isinstance(value, dict) and value:
            yield f"{indent}{key}"
            yield from _fields(value, _model_of(field), quality, f"{path}{key}.")
        else:
            yield f"{indent}{key:{_WIDTH - len(indent)}} {_said(value, field, _reason(path + key, quality))}"


def _said(value: Any, field: FieldInfo | None, reason: str) -> str:
    if value is None or value == {}:
        return f"– {reason}".rstrip()
    if isinstance(value, list):
        return "; ".join(_flat(each) for each in value) or "none"
    extra = field.json_schema_extra if field else None
    unit = extra.get("unit", "") if isinstance(extra, dict) else ""
    return f"{value} {unit}".rstrip()


def _flat(value: Any) -> str:
    return ", ".join(f"{key} {each}" for key, each in value.items()) if isinstance(value, dict) else str(value)


def _reason(path: str, quality: Mapping[str, str]) -> str:
    """Of the field itself, or of the group that it stands in."""
    while path:
        if path in quality:
            return quality[path].replace("_", " ")
        path = path.rpartition(".")[0]
    return ""


def _model_of(field: FieldInfo | None) -> type[BaseModel] | None:
    kinds = getattr(field.annotation, "__args__", (field.annotation,)) if field else ()
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def status_lines(status: Mapping[str, Any]) -> list[str]:
    """The document that `status --json` prints, for people; what there is nothing to say of is left out."""
    rows = [
        ("truck", f"{status['truck_id']}, stream {status['stream_id']}"),
        ("agent", _agent(status)),
        ("broker", _since(status["connection"], status["connection_at"]) if status["pid"] else None),
        ("disk", held_in_memory(status["held_in_memory"]) if status["held_in_memory"] else None),
        ("last sample", _last(status["last_sample"])),
        ("to be sent", _pending(status)),
        ("sent and kept", _sent(status)),
        ("numbers", f"{status['oldest_retained'] or '–'} … {status['highest_seq']} are in the buffer"),
        ("refused", _refused(status)),
        ("remote settings", f"version {status['config_version']}" if status["config_version"] else None),
        ("remote settings", status["config_problem"]),
        *(("sources disagree", _dispute(each)) for each in status["disagreements"]),
    ]
    return [wrapped(f"{label:{_LABEL}}", said) for label, said in rows if said]


def wrapped(label: str, said: str) -> str:
    """A line, on a terminal as several where it is too long for one: what follows stands under its beginning.

    Args:
        label: what stands before it.
        said: the rest.

    Returns:
        The line as it is where nobody reads it on a terminal.
    """
    if not sys.stdout.isatty():
        return label + said
    width = max(len(label) + _NARROWEST, shutil.get_terminal_size().columns)
    return textwrap.fill(said, width, initial_indent=label, subsequent_indent=" " * len(label), break_long_words=False)


def held_in_memory(held: Mapping[str, Any]) -> str:
    """What a running agent could not store so far, in a line.

    Args:
        held: agent.buffer.never_stored.Holding as a mapping.

    Returns:
        The line, without its label.
    """
    said = f"takes no samples since {held['since']}: at least {_samples(held['count'])} in memory"
    return f"{said} of pid {held['pid']}; {held['reason']}"


def _agent(status: Mapping[str, Any]) -> str:
    if status["pid"]:
        return f"runs, pid {status['pid']}, since {status['started_at'] or 'just now'}"
    stopped = f"it stopped at {status['stopped_at']}" if status["stopped_at"] else "it did not stop in order"
    return f"does not run; {stopped}" if status["started_at"] else "does not run, and never did on this buffer"


def _since(what: str | None, at: str | None) -> str | None:
    return f"{what}, since {at}" if what and at else what


def _refused(status: Mapping[str, Any]) -> str | None:
    """Kept until another refusal takes its place, so its time matters."""
    return f"{status['last_refusal']}, last at {status['last_refusal_at']}" if status["last_refusal"] else None


def _last(sample: Mapping[str, Any] | None) -> str:
    if not sample:
        return "none yet"
    return f"number {sample['seq']}, {sample['sampled_at']} (time: {sample['time_quality']})"


def _pending(status: Mapping[str, Any]) -> str:
    waiting = f", of which {status['waiting']:,} wait for a time to be trusted" if status["waiting"] else ""
    return f"{_samples(status['pending'])}{waiting}"


def _sent(status: Mapping[str, Any]) -> str:
    last = f"; the last was acknowledged at {status['last_sent_at']}" if status["last_sent_at"] else ""
    return f"{_samples(status['sent'])}{last}"


def _samples(count: int) -> str:
    return f"{count:,} sample{'' if count == 1 else 's'}"


def _dispute(each: Mapping[str, Any]) -> str:
    sources = f"{each['field']}: source {each['taken']} is taken, {each['differs']} says something else"
    return f"{sources}; in {_samples(each['samples'])}, last at {each['last_at']}"
