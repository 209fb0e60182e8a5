"""What a statement sees while it runs: the message, its payload parsed at most once, and the world around.

A `Message` is what was published; `Surroundings` is what AWS would know besides (account, resolvers of functions
that call out, the sources of chance). A `Scope` is where names are looked up: the payload, or the row of a nested
query.
"""

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from iot_rules.errors import TooMuch
from iot_rules.sql.tree import ORIGINAL
from iot_rules.sql.values import UNDEFINED, Value, parse_payload, weight

Resolver = Callable[[list[Value]], Value]
"""Answers one call to a function that calls out; arguments are values, UNDEFINED among them.

Returns a value, or UNDEFINED if there is none. Raises any MilepostError: the message then fails in this statement.
"""


@dataclass(frozen=True, slots=True)
class PublishedMessage:
    """One message as published.

    topic: as published, Basic Ingest prefix included. timestamp_ms: when the rules engine saw it, ms since 1970.
    client_id: None when it did not come over MQTT. principal: certificate thumbprint or user. properties: MQTT 5
    (content_type, format_indicator, response_topic, correlation_data in base64). user_properties: in order.
    """

    topic: str
    payload: bytes
    client_id: str | None = None
    timestamp_ms: int = 0
    principal: str | None = None
    trace_id: str | None = None
    source_ip: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    user_properties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The account's side: its id, the resolvers by function name, and the sources of chance."""

    account_id: str = "123456789012"
    resolvers: Mapping[str, Resolver] = field(default_factory=dict)
    new_uuid: Callable[[], str] = lambda: str(uuid.uuid4())
    random: Callable[[], float] = random.random


class MessageContext:
    """A message on its way through the rules: topic without its Basic Ingest prefix, payload parsed when asked.

    rule: the rule that a Basic Ingest topic names, else None.
    """

    __slots__ = ("_parsed", "_parsed_original", "message", "rule", "surroundings", "topic")

    def __init__(self, message: PublishedMessage, surroundings: Surroundings) -> None:
        self.message = message
        self.surroundings = surroundings
        self.rule, self.topic = split_basic_ingest(message.topic)
        self._parsed: Value = UNDEFINED
        self._parsed_original: Value = UNDEFINED

    def payload(self, version: str) -> Value:
        """The payload as an Object or Array, or the bytes as they came if it is neither.

        Raises TooMuch for JSON that nests too deep to be worked on.
        """
        if version == ORIGINAL:
            if self._parsed_original is UNDEFINED:
                self._parsed_original = _parse(self.message.payload, whole_as_int=False)
            return self._parsed_original
        if self._parsed is UNDEFINED:
            self._parsed = _parse(self.message.payload, whole_as_int=True)
        return self._parsed


def _parse(payload: bytes, *, whole_as_int: bool) -> Value:
    try:
        value = parse_payload(payload.decode("utf-8"), whole_as_int=whole_as_int)
    except UnicodeDecodeError:
        return payload
    return value if isinstance(value, dict | list) else payload


def split_basic_ingest(topic: str) -> tuple[str | None, str]:
    """($aws/rules/NAME/rest) → (NAME, rest); any other topic → (None, topic). Page: iot-basic-ingest."""
    if not topic.startswith("$aws/rules/"):
        return None, topic
    name, _, rest = topic[len("$aws/rules/") :].partition("/")
    return name, rest


class EvaluationBudget:
    """What one statement may spend on one message, so that no payload makes it run away.

    regexp_seconds: CPU seconds of searches altogether. rows: of nested queries. md2_bytes: hashed by md2(). All are
    far above what an honest statement needs; one that is used up raises TooMuch, never gives a value.
    """

    MAX_WEIGHT = 300_000

    __slots__ = ("md2_bytes", "regexp_seconds", "rows")

    def __init__(self) -> None:
        self.regexp_seconds = 1.0
        self.rows = 200_000
        self.md2_bytes = 128 * 1024

    def visit(self, rows: int) -> None:
        """Raises TooMuch."""
        self.rows -= rows
        if self.rows < 0:
            raise TooMuch("the nested queries visit more than 200,000 rows: narrow them, or query less deep")

    def built(self, value: Value) -> Value:
        """The same value. Raises TooMuch where it would be too large to write."""
        if weight(value, self.MAX_WEIGHT) > self.MAX_WEIGHT:
            raise TooMuch("the statement builds a value that is too large: select less")
        return value


class Scope:
    """Where an expression is evaluated. row: UNDEFINED stands for "the payload, not yet parsed"."""

    __slots__ = ("_budget", "arrival", "nested", "row", "variables", "version")

    def __init__(
        self, arrival: MessageContext, version: str, variables: dict[str, Value], budget: EvaluationBudget | None = None
    ) -> None:
        self.arrival = arrival
        self._budget = budget
        self.version = version
        self.variables = variables
        self.nested = False
        self.row: Value = UNDEFINED

    @property
    def budget(self) -> EvaluationBudget:
        """What the statement may still spend on this message; made when first asked for."""
        if self._budget is None:
            self._budget = EvaluationBudget()
        return self._budget

    def within(self, row: Value) -> "Scope":
        """The scope of one row of a nested query."""
        inner = Scope(self.arrival, self.version, self.variables, self.budget)
        inner.nested = True
        inner.row = row
        return inner

    def whole(self) -> Value:
        """What * stands for."""
        return self.row if self.nested else self.arrival.payload(self.version)
