"""What rules mean for a fleet of a given size: its rates against AWS IoT Core's limits, and its cost a month. Pure.

Limits: "AWS IoT Core endpoints and quotas", per connection fixed, per account the defaults of us-east-1, which AWS
raises on request. Prices: prices.json, with their date.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from contract.topics import MAX_PAYLOAD, UPLINK
from iot_rules import prices
from iot_rules.engine import TopicRule
from iot_rules.findings import INFO, Finding
from iot_rules.prices import MINUTES
from iot_rules.sql.tree import Call, Column, Star
from iot_rules.topics import overlap

CONNECTION_PUBLISHES = 100
CONNECTION_BYTES = 512 * 1024
ACCOUNT_PUBLISHES = 20_000
ACCOUNT_EVALUATIONS = 20_000
ACCOUNT_CONNECTIONS = 500_000

_TELEMETRY = UPLINK[0]
_FLEET = "fleet"


@dataclass(frozen=True, slots=True)
class PublishingFleet:
    """trucks, each publishing one message of message_bytes every interval seconds."""

    trucks: int
    interval: float = 60
    message_bytes: int = 1024


def fleet_findings(rules: Sequence[TopicRule], fleet: PublishingFleet) -> list[Finding]:
    """Rates over a limit, messages that are too large, and what each rule costs a truck and month."""
    return [*_size_findings(fleet), *_rate_findings(rules, fleet), *_cost_findings(rules, fleet)]


def _size_findings(fleet: PublishingFleet) -> list[Finding]:
    if fleet.message_bytes <= MAX_PAYLOAD:
        return []
    return [Finding(
        _FLEET, "payload", f"messages of {fleet.message_bytes:,} bytes: AWS IoT takes {MAX_PAYLOAD:,} (128 KB)",
        "send fewer samples in one message",
    )]  # fmt: skip


def _rate_findings(rules: Sequence[TopicRule], fleet: PublishingFleet) -> list[Finding]:
    publishes = 1 / fleet.interval
    total, matching = publishes * fleet.trucks, len(_taking(rules))
    measured = (
        (publishes, CONNECTION_PUBLISHES, "publishes/s on one connection", "sample less often, or batch"),
        (publishes * fleet.message_bytes, CONNECTION_BYTES, "bytes/s on one connection", "send less, or less often"),
        (total, ACCOUNT_PUBLISHES, "publishes/s into the account",
         "sample less often, batch, or ask AWS to raise the account's limit"),
        (total * matching, ACCOUNT_EVALUATIONS, "rule evaluations/s in the account",
         "let fewer rules match a sample, batch, or ask AWS to raise the limit"),
        (fleet.trucks, ACCOUNT_CONNECTIONS, "connections to the account", "ask AWS to raise the limit"),
    )  # fmt: skip
    return [
        Finding(_FLEET, "rate", f"{round(rate):,} {what}: the limit is {limit:,}", remedy)
        for rate, limit, what, remedy in measured
        if rate > limit
    ]


def _taking(rules: Sequence[TopicRule]) -> list[TopicRule]:
    """The rules that a sample goes through."""
    filters = ((rule, rule.statement.topic_filter) for rule in rules if not rule.disabled)
    return [rule for rule, wanted in filters if wanted is not None and overlap(wanted, _TELEMETRY)]


# -- cost


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars a truck and month. transport: connection and messages, which Basic Ingest reduces to the connection."""

    connection: float
    messages: float
    rules: dict[str, float]

    @property
    def total(self) -> float:
        """With messages through the broker."""
        return self.connection + self.messages + sum(self.rules.values())


def cost(rules: Sequence[TopicRule], fleet: PublishingFleet) -> Cost:
    """What one truck costs a month at list prices, its samples alone."""
    messages = MINUTES * 60 / fleet.interval
    return Cost(
        connection=prices.connection(),
        messages=messages * prices.message(fleet.message_bytes),
        rules={rule.name: messages * _per_message(rule, fleet) for rule in _taking(rules)},
    )


def _per_message(rule: TopicRule, fleet: PublishingFleet) -> float:
    """Dollars for one message through one rule."""
    sent = int(fleet.message_bytes * growth(rule.statement.columns))
    return sum(prices.rule(fleet.message_bytes, sent, [action.kind for action in rule.actions]))


def growth(columns: Sequence[Column]) -> float:
    """How many times its payload a statement's output can hold: 1 for each *, 4/3 for encode(*)."""
    return sum(_growth(column.expression) for column in columns)


def _growth(node: object) -> float:
    if isinstance(node, Star):
        return 1
    if isinstance(node, Call) and node.function == "encode":
        return 4 / 3 * sum(map(_growth, node.arguments))
    return 0


def _cost_findings(rules: Sequence[TopicRule], fleet: PublishingFleet) -> list[Finding]:
    spent, table = cost(rules, fleet), prices.prices()
    kinds = {action.kind for rule in _taking(rules) for action in rule.actions}
    unknown = ", ".join(sorted(kinds - prices.deliveries().keys()))
    beside = f", and what {unknown} cost is not known here" if unknown else ""
    each = "; ".join(f"{name} ${dollars:.4f}" for name, dollars in spent.rules.items())
    ingested = spent.total - spent.messages
    return [Finding(
        _FLEET, "cost",
        f"${spent.total:.4f} a truck and month, ${spent.total * fleet.trucks:,.2f} for {fleet.trucks:,} trucks, at one "
        f"message of {fleet.message_bytes:,} bytes every {fleet.interval:g} s (connection ${spent.connection:.4f}; "
        f"messages ${spent.messages:.4f}; rules and their deliveries: {each or 'none takes samples'}{beside}); list "
        f"prices of {table['as_of']}, {table['region']}",
        f"publish by Basic Ingest ($aws/rules/<rule>/…): ${ingested:.4f}, since its messages are free",
        level=INFO,
    )]  # fmt: skip
