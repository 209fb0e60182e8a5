"""What a deployment would change: documents on one side, the account's rules on the other. Pure.

Only rules whose names start with PREFIX are Milepost's: others are neither read nor touched. Of those, a rule belongs
to the deployment whose name its tag TAG has; one of another deployment is never changed, and one that no document
names is deleted only with the tag. Applying the plan to an account that has it gives an empty plan, so it can be
repeated.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from contract.errors import Misconfigured
from iot_rules.settings import RulesSettings
from iot_rules.sql import ORIGINAL

PREFIX = "milepost_"
TAG = "milepost:stack"

AS_IT_IS = frozenset({"unchanged", "foreign"})
"""Actions that change nothing."""

_PLACEHOLDER = re.compile(r"<(MILEPOST_[A-Z_]+)>")
_REMEDIES = {
    "MILEPOST_RULES_ROLE_ARN": "--role-arn, or role_arn in [iot_rules]",
    "MILEPOST_RULE_ERRORS_BUCKET": "--errors-bucket, or errors_bucket in [iot_rules]",
}
_DEFAULTS: dict[str, Any] = {
    "sql": "", "description": "", "awsIotSqlVersion": ORIGINAL, "ruleDisabled": False, "actions": [],
    "errorAction": None,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """action: create, replace, enable, disable, adopt (give it the tag), delete, unchanged, or foreign (no document
    names it, and it has no tag of ours: it stays). differences: the payload's keys that differ.

    payload: what to create or replace, None for the others. values: for each difference the deployed value and the new.
    """

    action: str
    rule_name: str
    differences: tuple[str, ...] = ()
    payload: dict[str, Any] | None = None
    values: tuple[tuple[Any, Any], ...] = ()


def placeholders(settings: RulesSettings) -> dict[str, str]:
    """What stands for the documents' placeholders; "" where it is not set."""
    return {
        "MILEPOST_RULES_ROLE_ARN": settings.role_arn,
        "MILEPOST_RULE_ERRORS_BUCKET": settings.errors_bucket,
    }


def filled_payload(document: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """A document's topicRulePayload with its placeholders filled. Raises Misconfigured for one without a value."""

    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        if not values.get(name):
            remedy = _REMEDIES.get(name, "it is none of Milepost's: mend the document")
            raise Misconfigured(f"{document['ruleName']}: <{name}> has no value: give {remedy}")
        return values[name]

    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill(below) for key, below in value.items()}
        if isinstance(value, list):
            return [fill(below) for below in value]
        return _PLACEHOLDER.sub(value_of, value) if isinstance(value, str) else value

    filled: dict[str, Any] = fill(document["topicRulePayload"])
    return filled


def filled(documents: Iterable[Mapping[str, Any]], values: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The documents' payloads by rule name, placeholders filled.

    Raises Misconfigured for a document without the prefix, two of one name, or a placeholder without a value.
    """
    wanted: dict[str, dict[str, Any]] = {}
    for document in documents:
        name = str(document["ruleName"])
        if not name.startswith(PREFIX):
            raise Misconfigured(f"{name}: only rules named {PREFIX}… are deployed: rename it")
        if name in wanted:
            raise Misconfigured(f"two rules are named {name}: rename one")
        wanted[name] = filled_payload(document, values)
    return wanted


def plan(
    wanted: Mapping[str, dict[str, Any]], deployed: Mapping[str, Any], stacks: Mapping[str, str | None], stack: str
) -> list[PlannedChange]:
    """The changes that make the account's rules the wanted ones, by name, deletions last.

    A rule that replaces another is thus in force before the other goes.

    Args:
        wanted, deployed: name → payload.
        stacks: of the deployed rules, the value of the tag TAG; None without it.
        stack: the value that is ours.

    Raises:
        Misconfigured: a wanted rule is another deployment's.
    """
    for name in wanted:
        if (owner := stacks.get(name)) not in (None, stack):
            raise Misconfigured(
                f"{name} belongs to the stack {owner!r}: give --stack {owner}, or name the rule otherwise"
            )
    changes = []
    for name in sorted(wanted.keys() | {name for name in deployed if name.startswith(PREFIX)}):
        change = _change(name, wanted.get(name), deployed.get(name))
        if change.action == "delete" and stacks.get(name) != stack:
            change = PlannedChange("foreign", name)
        changes.append(change)
        if name in wanted and name in deployed and stacks.get(name) is None:
            changes.append(PlannedChange("adopt", name))
    kept = {change.rule_name for change in changes if change.action == "adopt"}
    changes = [one for one in changes if not (one.action == "unchanged" and one.rule_name in kept)]
    return sorted(changes, key=lambda change: change.action == "delete")


def _change(name: str, wanted: dict[str, Any] | None, deployed: Mapping[str, Any] | None) -> PlannedChange:
    if wanted is None:
        return PlannedChange("delete", name)
    if deployed is None:
        return PlannedChange("create", name, payload=wanted)
    differences = tuple(
        key
        for key, default in _DEFAULTS.items()
        if _settled(wanted.get(key, default)) != _settled(deployed.get(key) or default)
    )
    if not differences:
        return PlannedChange("unchanged", name)
    values = tuple((deployed.get(key), wanted.get(key)) for key in differences)
    if differences == ("ruleDisabled",):
        return PlannedChange("disable" if wanted.get("ruleDisabled") else "enable", name, differences, values=values)
    return PlannedChange("replace", name, differences, wanted, values)


_FILLED_BY_AWS: dict[str, Any] = {"qos": 0, "batchMode": False, "useBase64": False, "messageFormat": "RAW"}
"""Parameters that AWS IoT adds to an action where a document leaves them out."""


def _settled(value: Any) -> Any:
    """A value without what AWS IoT fills in by itself and without empty members, which are no difference."""
    if isinstance(value, list):
        return [_settled(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _settled(below) for key, below in value.items()}
    return {key: below for key, below in kept.items() if below is not None and _FILLED_BY_AWS.get(key, kept) != below}
