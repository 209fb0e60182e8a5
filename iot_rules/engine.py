"""Many rules, one message in, the deliveries out: what AWS IoT's rules engine would do, pure and synchronous.

`load_documents()` reads the deployed documents; `Rules(rules).run(message)` gives what their actions would send.
Nothing is sent here, so an action can fail only in its templates or payload. Whoever sends takes `outcomes`, adds
its own failures to them (delivery.py does), or reports them one by one to `undeliverable`: either gives the delivery
of the rule's error action. Statements are parsed once, at load.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from contract.errors import Misconfigured
from iot_rules.actions import Action, Delivery, Failure, error_document, failure, filled, read_action
from iot_rules.errors import SqlError
from iot_rules.payloads import Unfit, payloads
from iot_rules.sql import (
    NO_MATCH,
    ORIGINAL,
    Failed,
    MessageContext,
    Program,
    PublishedMessage,
    Statement,
    Surroundings,
    Value,
    compile_statement,
)
from iot_rules.sql.evaluator import TOO_DEEP
from iot_rules.sql.functions import FUNCTIONS
from iot_rules.sql.validation import called_functions
from iot_rules.topics import TopicIndex

__all__ = [
    "Delivery",
    "Failure",
    "PublishedMessage",
    "RuleOutcome",
    "Rules",
    "Surroundings",
    "TopicRule",
    "load_documents",
    "read_rule",
]

_REMEMBERED = 65_536
"""Topics whose rules are remembered."""


@dataclass(frozen=True, slots=True, eq=False)
class TopicRule:
    """One rule, ready to run. `document` is the whole CreateTopicRule input that it was read from."""

    name: str
    sql: str
    statement: Statement
    actions: tuple[Action, ...]
    error_action: Action | None
    disabled: bool
    description: str
    document: dict[str, Any]
    program: Program = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "program", Program(self.statement))


def load_documents(folder: Path | None = None) -> tuple[TopicRule, ...]:
    """The rules of a folder of JSON files.

    Args:
        folder: None for those that come with Milepost.

    Returns:
        By file name.

    Raises:
        Misconfigured: the folder or a document is wrong; names the file.
        SqlError: a statement is wrong; names the file.
    """
    root: Traversable = resources.files("iot_rules") / "documents" if folder is None else folder
    if not root.is_dir():
        raise Misconfigured(f"no folder of rule documents at {root}: name one that exists")
    files = sorted((file for file in root.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    if not files:  # deploying nothing would delete every rule
        raise Misconfigured(f"no rule documents (*.json) in {root}: name a folder that has some")
    return tuple(_load(file) for file in files)


def _load(file: Traversable) -> TopicRule:
    try:
        document = json.loads(file.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise Misconfigured(f"{file.name}: not a JSON document that can be read: {error}") from None
    try:
        return read_rule(document)
    except SqlError as error:
        raise Misconfigured(f"{file.name}: {error.caret()}") from None
    except Misconfigured as error:
        raise Misconfigured(f"{file.name}: {error}") from None


def read_rule(document: object) -> TopicRule:
    """A rule from the input of CreateTopicRule. Raises SqlError or Misconfigured."""
    name, payload = _parts(document)
    sql, version = payload.get("sql"), payload.get("awsIotSqlVersion", ORIGINAL)
    if not isinstance(sql, str) or not isinstance(version, str):
        raise Misconfigured("topicRulePayload needs a string sql, and a string awsIotSqlVersion if any")
    statement = compile_statement(sql, version)
    variables = frozenset(name for name, _ in statement.variables)
    actions = payload.get("actions", [])
    if not isinstance(actions, list):
        raise Misconfigured("topicRulePayload.actions must be an array")
    on_error = payload.get("errorAction")
    return TopicRule(
        name=name,
        sql=sql,
        statement=statement,
        actions=tuple(read_action(action, version, variables) for action in actions),
        error_action=read_action(on_error, version, variables) if on_error is not None else None,
        disabled=payload.get("ruleDisabled") is True,
        description=str(payload.get("description", "")),
        document=document if isinstance(document, dict) else {},
    )


def _parts(document: object) -> tuple[str, dict[str, Any]]:
    name = document.get("ruleName") if isinstance(document, dict) else None
    payload = document.get("topicRulePayload") if isinstance(document, dict) else None
    if not isinstance(name, str) or not isinstance(payload, dict):
        raise Misconfigured('a rule document is {"ruleName": "…", "topicRulePayload": {…}}')
    if not name or not name.isascii() or not name.replace("_", "a").isalnum():
        raise Misconfigured(f"ruleName {name!r} must be letters, digits and _")
    return name, payload


class Rules:
    """A set of rules behind one topic index. Disabled rules are left out.

    Raises Misconfigured for two rules of one name, and for a statement that calls out to what has no resolver.
    """

    def __init__(self, rules: Iterable[TopicRule], surroundings: Surroundings | None = None) -> None:
        self._surroundings = surroundings or Surroundings()
        self._by_name: dict[str, TopicRule] = {}
        self._found: dict[str, list[TopicRule]] = {}
        self._index: TopicIndex[TopicRule] = TopicIndex()
        for rule in rules:
            if rule.name in self._by_name:
                raise Misconfigured(f"two rules are named {rule.name}: rename one")
            self._require_resolvers(rule)
            if not rule.disabled:
                self._by_name[rule.name] = rule
                if rule.statement.topic_filter is not None:
                    self._index.add(rule.statement.topic_filter, rule)

    def _require_resolvers(self, rule: TopicRule) -> None:
        for call in called_functions(rule.statement):
            if FUNCTIONS[call.function].external and call.function not in self._surroundings.resolvers:
                raise Misconfigured(
                    f"rule {rule.name}: {call.function}() at character {call.position + 1} calls out, and no "
                    "resolver for it is configured here"
                )

    def matching(self, topic: str) -> list[TopicRule]:
        """The rules whose topic filter matches.

        Args:
            topic: as published.

        Returns:
            In the rules' order; of a Basic Ingest topic, the one that it names.
        """
        arrival = MessageContext(PublishedMessage(topic, b""), self._surroundings)
        return self._matching(arrival)

    def _matching(self, arrival: MessageContext) -> list[TopicRule]:
        if arrival.rule is None:
            return self._find(arrival.topic)
        rule = self._by_name.get(arrival.rule)
        if rule is None:
            return []
        wanted = rule.statement.topic_filter
        return [rule] if wanted is None or rule in self._find(arrival.topic) else []

    def _find(self, topic: str) -> list[TopicRule]:
        """The index's answer, remembered: a fleet publishes to a few topics a truck, over and over."""
        found = self._found.get(topic)
        if found is None:
            if len(self._found) >= _REMEMBERED:
                self._found = {}
            found = self._found[topic] = self._index.find(topic)
        return found

    def outcomes(self, message: PublishedMessage) -> list["RuleOutcome"]:
        """What each matching rule makes of one message.

        Args:
            message: as published.

        Returns:
            In the rules' order; none for a WHERE that is not true.
        """
        arrival = MessageContext(message, self._surroundings)
        made = (_outcome(rule, arrival) for rule in self._matching(arrival))
        return [outcome for outcome in made if outcome is not None]

    def run(self, message: PublishedMessage) -> list[Delivery]:
        """What the rules' actions would send for one message. Never raises.

        Args:
            message: as published.

        Returns:
            In the rules' order, error actions behind what failed.
        """
        deliveries: list[Delivery] = []
        for outcome in self.outcomes(message):
            deliveries += outcome.deliveries
            if error := outcome.error_delivery():
                deliveries.append(error)
        return deliveries

    def undeliverable(self, message: PublishedMessage, delivery: Delivery, reason: str) -> Delivery | None:
        """What is sent instead where a delivery was not taken.

        Args:
            message: as published.
            delivery: what was not taken.
            reason: why, for the error action's record.

        Returns:
            The error action's delivery; None where there is none to make.
        """
        rule = self._by_name.get(delivery.rule_name)
        if rule is None or delivery.error:
            return None
        failed = failure(Action(delivery.action_type, {}), delivery.parameters, reason)
        return RuleOutcome(rule, MessageContext(message, self._surroundings), {}, [], [failed]).error_delivery()


@dataclass(slots=True)
class RuleOutcome:
    """What one rule makes of one message: deliveries to send, and what failed so far.

    Whoever sends adds its own failures, and asks for the error action's one delivery when all actions were tried.
    """

    rule: TopicRule
    arrival: MessageContext
    variables: dict[str, Value]
    deliveries: list[Delivery]
    failures: list[Failure]

    def error_delivery(self) -> Delivery | None:
        """One for the rule and message, however many actions failed; None without a failure or an error action."""
        action = self.rule.error_action
        if action is None or not self.failures:
            return None
        parameters, _ = filled(action, self.arrival, self.variables)
        payload = error_document(self.rule.name, self.arrival.message, self.failures)
        return Delivery(self.rule.name, action.kind, parameters, payload, error=True)


def _outcome(rule: TopicRule, arrival: MessageContext) -> RuleOutcome | None:
    outcome = RuleOutcome(rule, arrival, {}, [], [])
    output = rule.program.run(arrival, outcome.variables)
    if output is NO_MATCH:
        return None
    if isinstance(output, Failed):
        outcome.failures.append(Failure("SQL", "", output.reason))
        return outcome
    for index, action in enumerate(rule.actions):
        _perform(outcome, index, action, output)
    return outcome


def _perform(outcome: RuleOutcome, index: int, action: Action, output: Value) -> None:
    arrival = outcome.arrival
    parameters, problems = filled(action, arrival, outcome.variables)
    if not problems:
        try:
            sent = payloads(action.kind, parameters, output, arrival.surroundings)
        except Unfit as error:
            problems = [str(error)]
        except RecursionError:
            problems = [TOO_DEEP]
        else:
            outcome.deliveries += [
                Delivery(outcome.rule.name, action.kind, parameters, payload, index=index) for payload in sent
            ]
            return
    outcome.failures.append(failure(action, parameters, "; ".join(problems)))
