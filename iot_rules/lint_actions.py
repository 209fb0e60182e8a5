"""Lint of a rule's actions: loops, keys that put everything in one place, targets that cannot be what they say.

AWS IoT accepts each of these documents; the messages are then lost, overwritten or multiplied.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from iot_rules.actions import Action
from iot_rules.engine import TopicRule
from iot_rules.findings import WARNING, Finding
from iot_rules.lint_statement import expressions_meaning
from iot_rules.sql import Template, tree
from iot_rules.sql.visitor import all_nodes
from iot_rules.topics import overlap

_ARN = re.compile(r"arn:aws[a-z-]*:([a-z0-9-]+):.+")
_PLACEHOLDER = re.compile(r"<[A-Z_]+>")
_TARGETS = {
    ("lambda", "functionArn"): "lambda", ("sns", "targetArn"): "sns", ("kafka", "destinationArn"): "iot",
}  # fmt: skip


def action_meaning(rule: TopicRule) -> Iterator[Finding]:
    """Every finding on what the actions and the error action do."""
    for action in rule.actions:
        yield from _action(rule, action)
    if rule.error_action is not None:
        yield from _action(rule, rule.error_action)
    for at, action in enumerate(rule.actions):
        if action in rule.actions[:at]:
            yield Finding(rule.name, "duplicate", f"the action {action.kind} stands twice, alike", "remove one")


def _action(rule: TopicRule, action: Action) -> Iterator[Finding]:
    parameters = action.parameters
    yield from _targets(rule, action)
    if action.kind == "republish":
        yield from _loop(rule, action)
    elif action.kind == "kinesis":
        yield from _partition_key(rule, parameters)
    elif action.kind == "s3" and not _varies(parameters.get("key")) and "key" in parameters:
        yield Finding(
            rule.name, "fixed-key", f"each message overwrites the last: the S3 key is always {parameters['key']}",
            "make it vary: ${topic(2)}/${timestamp()}-${newuuid()}.json",
        )  # fmt: skip
    elif action.kind == "dynamoDB" and not any(
        _varies(parameters.get(key)) for key in ("hashKeyValue", "rangeKeyValue")
    ):
        yield Finding(
            rule.name, "fixed-key", "each message overwrites the last: the item's key never varies",
            "make hashKeyValue ${topic(2)} and rangeKeyValue ${timestamp()}",
        )  # fmt: skip
    elif action.kind == "firehose" and "separator" not in parameters and parameters.get("batchMode") is not True:
        yield Finding(
            rule.name, "separator", "records run together in Firehose's files: the action has no separator",
            'set "separator": "\\n"', level=WARNING,
        )  # fmt: skip
    yield from _templates(rule, action)


def _varies(value: object) -> bool:
    """Whether a parameter differs between two messages."""
    return isinstance(value, Template) and any(not isinstance(part, str | tree.Literal) for part in value.parts)


def _partition_key(rule: TopicRule, parameters: dict[str, Any]) -> Iterator[Finding]:
    if "partitionKey" not in parameters:
        yield Finding(
            rule.name, "partition-key", "without a partition key a truck's records lose their order",
            "set partitionKey to ${topic(2)}", level=WARNING,
        )  # fmt: skip
    elif not _varies(parameters["partitionKey"]):
        yield Finding(
            rule.name, "partition-key", "all records go to one shard: the partition key never varies",
            "set partitionKey to ${topic(2)}",
        )  # fmt: skip


def _targets(rule: TopicRule, action: Action) -> Iterator[Finding]:
    role = action.parameters.get("roleArn")
    if isinstance(role, str) and not _PLACEHOLDER.fullmatch(role):
        found = _ARN.fullmatch(role)
        if found is None or found[1] != "iam":
            yield Finding(rule.name, "arn", f"roleArn {role!r} is no role", "write arn:aws:iam::ACCOUNT:role/NAME")
    for (kind, key), service in _TARGETS.items():
        value = action.parameters.get(key)
        if kind != action.kind or not isinstance(value, str) or _PLACEHOLDER.fullmatch(value):
            continue
        found = _ARN.fullmatch(value)
        if found is None or found[1] != service:
            yield Finding(rule.name, "arn", f"{key} {value!r} names nothing of {service}", f"write arn:aws:{service}:…")
    url = action.parameters.get("queueUrl")
    if action.kind == "sqs" and isinstance(url, str) and not url.startswith(("http://", "https://", "<")):
        yield Finding(
            rule.name, "arn", f"queueUrl {url!r} is no URL", "write https://sqs.REGION.amazonaws.com/ACCOUNT/QUEUE"
        )


def _templates(rule: TopicRule, action: Action) -> Iterator[Finding]:
    """Templates see the message, not the columns: an alias there is Undefined, and the action then fails."""
    named = {column.alias[0] for column in rule.statement.columns if column.alias}
    read = {
        node.name
        for column in rule.statement.columns
        for node in all_nodes(column.expression)
        if isinstance(node, tree.Name)
    }
    stack: list[Any] = [action.parameters]
    while stack:
        value = stack.pop()
        if isinstance(value, dict | list):
            stack.extend(value.values() if isinstance(value, dict) else value)
        elif isinstance(value, Template):
            parts = [part for part in value.parts if not isinstance(part, str)]
            nodes = [node for part in parts for node in all_nodes(part)]
            if not any(isinstance(node, tree.Name) and node.name in named for node in nodes):
                found = expressions_meaning(rule, parts)  # positions are the template's, not the statement's
                yield from (replace(each, message=f"in a template: {each.message}", position=None) for each in found)
            for node in nodes:
                if isinstance(node, tree.Name) and node.name in named - read:
                    yield Finding(
                        rule.name, "alias-in-template",
                        f"a template does not see the alias {node.name}: the action fails for every message",
                        "repeat the expression in the template, or use @name from SET",
                    )  # fmt: skip


# -- loops


def _loop(rule: TopicRule, action: Action) -> Iterator[Finding]:
    topic, own = _published(action), rule.statement.topic_filter
    if topic is None or own is None or not overlap(topic, own):
        return
    guarded = rule.statement.where is not None and action is not rule.error_action
    yield Finding(
        rule.name, "loop", f"the rule republishes to {topic}, which its own filter {own} lets through",
        "publish to a topic outside the filter", level=WARNING if guarded else "error",
    )  # fmt: skip


def _published(action: Action) -> str | None:
    """The topic of a republish action as a filter: a template stands for one level, or for all with topic()."""
    topic = action.parameters.get("topic")
    if isinstance(topic, str):
        return topic.replace("$$", "$")
    if not isinstance(topic, Template):
        return None
    levels = [""]
    for part in topic.parts:
        if isinstance(part, str):
            first, *more = part.split("/")
            levels[-1] += first
            levels += more
        elif isinstance(part, tree.Call) and part.function == "topic" and not part.arguments:
            return "/".join([*("+" if "\0" in level else level for level in levels[:-1]), "#"])
        else:
            levels[-1] += "\0"
    return "/".join("+" if "\0" in level else level for level in levels)


def loops(rules: Sequence[TopicRule]) -> Iterator[Finding]:
    """Circles of two or more rules, each republishing into the next one's filter."""
    feeds: dict[str, set[str]] = {rule.name: set() for rule in rules}
    for rule in rules:
        for action in (*rule.actions, *([rule.error_action] if rule.error_action else [])):
            topic = _published(action) if action.kind == "republish" else None
            for other in rules if topic is not None else ():
                if (
                    other.name != rule.name
                    and other.statement.topic_filter
                    and overlap(topic or "", other.statement.topic_filter)
                ):
                    feeds[rule.name].add(other.name)
    for name in sorted(feeds):
        circle = _circle(feeds, name)
        if circle and name == min(circle):
            yield Finding(
                name, "loop", f"messages go round for ever: {' → '.join([*circle, name])}",
                "publish to a topic that none of them takes",
            )  # fmt: skip


def _circle(feeds: dict[str, set[str]], start: str) -> list[str]:
    """The rules on a way from start back to start, or none."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop()
        for following in sorted(feeds[way[-1]]):
            if following == start:
                return way
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return []
