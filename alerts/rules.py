"""Rules: read from TOML, judged by name (docs/alerts.md has the grammar with examples)."""

import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from alerts.day_span import Span, ZoneName
from contract.errors import Misconfigured
from contract.fleet import Zone
from contract.telemetry import LEAVES
from contract.thresholds import thresholds

SAMPLE_KINDS = ("above", "below", "below_others", "words", "fault", "drop", "harsh", "inside", "outside", "zone_speed")
"""What is seen in one truck's samples."""

ZONE_KINDS = ("inside", "outside", "zone_speed")
"""What needs zones and a position, and no field."""

_NEED_A_VALUE = ("above", "below", "below_others", "drop", "dead_letters", "harsh", "certificate", "conversion")


class Rule(BaseModel):
    """One rule.

    kind: `above` and `below` compare a number with value, `below_others` with value times the median of the other
    fields of its group (one tyre against the other three); `words` looks for any of words in a status; `fault` is one
    alert per fault code; `drop` is a fall of value within an hour, or between two samples however far apart, while the
    truck stood; `silent` is no sample while other trucks report; `dead_letters` is value refused records or more within
    an hour; `lost_samples` is one alert for each range of numbers that is lost for certain; `late_order` is an order
    that is not delivered `minutes` after it was promised; `harsh` is value harsh manoeuvres or more within an hour;
    `inside` is a stay in a zone, `outside` is to be in none, `zone_speed` is to be faster than a zone allows;
    `certificate` is a truck's certificate that ends within value days; `conversion` is a share of sessions with a
    purchase below value times that of the week before, over `minutes` with `samples` sessions or more; `quality` is a
    quality rule of the warehouse that fails.
    limit: a line of the table of thresholds (docs/metrics.md): value, words, minutes and samples are what it says, the
    last two unless the rule gives its own.
    field: a dotted field of the wire, `custom.NAME`, or a group of numbers, each of which is then watched by itself.
    minutes, samples: for how long, and in how many samples in a row, it must hold.
    gap_minutes: what was not measured for longer than this is not taken to have gone on.
    while_running: only with the engine turning.
    zones: the ids of the zones that a rule of ZONE_KINDS watches; all of them where it is left out.
    between, zone: only in this span of each day ("22:00-05:00") in a time zone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    kind: Literal[
        "above",
        "below",
        "below_others",
        "words",
        "fault",
        "drop",
        "silent",
        "dead_letters",
        "lost_samples",
        "late_order",
        "harsh",
        "inside",
        "outside",
        "zone_speed",
        "certificate",
        "conversion",
        "quality",
    ]
    severity: Literal["info", "warning", "critical"]
    field: str | None = None
    limit: str | None = None
    value: float | None = None
    words: tuple[str, ...] = ()
    minutes: float = Field(default=0, ge=0)
    samples: int = Field(default=1, ge=1)
    gap_minutes: float = Field(default=10, gt=0)
    while_running: bool = False
    zones: tuple[str, ...] = ()
    between: Span | None = None
    zone: ZoneName = "UTC"
    _areas: tuple[Zone, ...] = PrivateAttr(default=())

    @property
    def areas(self) -> tuple[Zone, ...]:
        """The zones that it watches, of those that were given to `over`."""
        return self._areas

    def over(self, zones: Sequence[Zone]) -> "Rule":
        """The same rule, watching those of an installation's zones that it is about.

        Args:
            zones: of the installation.

        Returns:
            A copy; of a rule that watches no zones one that does not look at them.
        """
        watching = self.model_copy()
        watching._areas = tuple(each for each in zones if not self.zones or each.id in self.zones)
        return watching

    @property
    def gap_ms(self) -> int:
        """`gap_minutes` in milliseconds."""
        return round(self.gap_minutes * 60_000)

    @property
    def leaves(self) -> tuple[str, ...]:
        """The fields that a rule of numbers watches: its own, or those of its group."""
        field = self.field or ""
        return (field,) if _is_measured(field) else tuple(leaf for leaf in LEAVES if leaf.startswith(f"{field}."))

    @model_validator(mode="before")
    @classmethod
    def _takes_what_its_limit_says(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not isinstance(given.get("limit"), str):
            return given
        line = thresholds().get(given["limit"])
        if line is None:
            raise ValueError(f"limit {given['limit']!r} is not one of {', '.join(thresholds())}")
        said = {"value": line.limit, "words": line.words, "minutes": line.minutes, "samples": line.samples}
        taken = {name: what for name, what in said.items() if what}
        if both := sorted(taken.keys() & given.keys() & {"value", "words"}):
            raise ValueError(f"limit and {both[0]}: give one of them")
        return {**taken, **given}

    @model_validator(mode="after")
    def _says_what_its_kind_needs(self) -> "Rule":
        if self.kind in SAMPLE_KINDS and self.kind not in (*ZONE_KINDS, "harsh") and not self.leaves:
            raise ValueError(f"field {self.field!r} is no measured field: see docs/wire.md for the names")
        if self.kind == "below_others" and len(self.leaves) < 3:
            raise ValueError(f"field {self.field!r}: kind below_others needs a group of three fields or more")
        if self.kind in ("words", "fault", "drop") and self.leaves != (self.field,):
            raise ValueError(f"field {self.field!r} is a group: kind {self.kind} needs one field")
        if self.kind in _NEED_A_VALUE and self.value is None:
            raise ValueError(f"kind {self.kind} needs a value")
        if self.kind == "words" and not self.words:
            raise ValueError("kind words needs words")
        return self


def _is_measured(field: str) -> bool:
    return field in LEAVES or (field.startswith("custom.") and len(field) > len("custom."))


def load_rules(
    path: Path | None = None, zones: Sequence[Zone] = (), speed_limit_kmh: float | None = None
) -> list[Rule]:
    """The rules of a file, or the shipped ones.

    Args:
        path: a TOML file; None for the shipped rules.
        zones: of the installation, for the rules that watch them.
        speed_limit_kmh: of the settings `[fleet]`, the value of the rules whose limit is `speed`; None for the table's.

    Returns:
        By name.

    Raises:
        Misconfigured: it cannot be read, or a rule is wrong; the message names the rule and what would be right.
    """
    try:
        text = (
            path.read_text("utf-8") if path else (resources.files("alerts") / "shipped_rules.toml").read_text("utf-8")
        )
        tables = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misconfigured(f"[alerts] rules {path}: {error}") from None
    rules = [_rule(name, table).over(zones) for name, table in sorted(tables.items())]
    if speed_limit_kmh is None:
        return rules
    return [rule.model_copy(update={"value": speed_limit_kmh}) if rule.limit == "speed" else rule for rule in rules]


def _rule(name: str, table: object) -> Rule:
    try:
        return Rule.model_validate({"name": name, **(table if isinstance(table, dict) else {})})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        raise Misconfigured(f"alert rule {name!r}: {field + ': ' if field else ''}{reason}") from None
