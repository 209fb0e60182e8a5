"""Runs rules on messages and delivers, as AWS IoT does (pages: iot-rules, iot-rule-actions, rule-error-handling).

Every rule that matches runs, and every action of it, whatever became of the others. The failures of one rule on one
message make one message to its error action. What that action fails to deliver is lost, on AWS as here: it is
reported and logged, never raised. Nothing is ordered or retried here; the clients retry what passes by itself.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from iot_rules.actions import Action, Delivery, Failure, failure
from iot_rules.engine import PublishedMessage, RuleOutcome, Rules

log = logging.getLogger(__name__)

Send = Callable[[Sequence[Delivery]], None]
"""Sends all records of one action of one message, or raises: the message is the reason. `Targets.send` is one."""


@dataclass(slots=True)
class DeliveryReport:
    """What became of one message.

    delivered: records that actions sent. failures: per rule, what failed. errors: error messages that were
    delivered. lost: rules whose failures nobody was told of, for want of an error action or because it failed too.
    """

    delivered: list[Delivery] = field(default_factory=list)
    failures: dict[str, list[Failure]] = field(default_factory=dict)
    errors: list[Delivery] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


class Runner:
    """Rules on one side, a way to send on the other. Safe to call from several threads if `send` is."""

    def __init__(self, rules: Rules, send: Send) -> None:
        self._rules = rules
        self._send = send

    def handle(self, message: PublishedMessage) -> DeliveryReport:
        """Run all rules on one message and deliver. Never raises.

        Args:
            message: as published.

        Returns:
            What was delivered, and what failed with its reason.
        """
        report = DeliveryReport()
        for outcome in self._rules.outcomes(message):
            self._deliver(outcome, report)
        return report

    def _deliver(self, outcome: RuleOutcome, report: DeliveryReport) -> None:
        topic = outcome.arrival.message.topic
        for _, group in groupby(outcome.deliveries, key=lambda delivery: delivery.index):
            records = list(group)
            problem = self._attempt(records)
            if problem is None:
                report.delivered += records
                continue
            kind, parameters = records[0].action_type, records[0].parameters
            reason = f"{problem}. Message arrived on: {topic}, Action: {kind}"
            outcome.failures.append(failure(Action(kind, {}), parameters, reason))
        if outcome.failures:
            report.failures[outcome.rule.name] = outcome.failures
            self._tell(outcome, report)

    def _tell(self, outcome: RuleOutcome, report: DeliveryReport) -> None:
        name, delivery = outcome.rule.name, outcome.error_delivery()
        problem = "the rule has no error action" if delivery is None else self._attempt([delivery])
        if delivery is not None and problem is None:
            report.errors.append(delivery)
            return
        report.lost.append(name)
        first = outcome.failures[0]
        log.error("rule_failure_lost rule=%s action=%s reason=%r why=%r", name, first.action, first.message, problem)

    def _attempt(self, records: Sequence[Delivery]) -> str | None:
        """None, or why they could not be sent."""
        try:
            self._send(records)
        except Exception as error:  # noqa: BLE001  (an action's door: no action may keep the others from running)
            return str(error) or type(error).__name__
        return None
