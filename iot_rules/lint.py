"""Lint for rule documents: what breaks in production, before it does. Each finding says what to do.

`check_document` reads one CreateTopicRule input and never raises: a document that cannot be read is itself a
finding. Sources: the AWS IoT Core quotas (10 actions a rule, 7 slashes a topic) and the reference pages.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from contract.errors import Misconfigured
from contract.telemetry import Telemetry
from contract.topics import MAX_PAYLOAD, TIME_ASK, UPLINK
from iot_rules import action_schemas
from iot_rules.actions import Action
from iot_rules.engine import TopicRule, read_rule
from iot_rules.errors import SqlError, TooMuch
from iot_rules.findings import WARNING, Finding
from iot_rules.lint_actions import action_meaning, loops
from iot_rules.lint_statement import statement_meaning
from iot_rules.quotas import growth
from iot_rules.sql import ORIGINAL, Template
from iot_rules.sql.functions import FUNCTIONS
from iot_rules.sql.functions.java_regex import compiled
from iot_rules.sql.lexer import DASHES, read
from iot_rules.sql.tree import Call, Literal, Star
from iot_rules.sql.validation import called_functions
from iot_rules.sql.visitor import all_nodes
from iot_rules.topics import overlap

MAX_ACTIONS = 10
MAX_SLASHES = 7
MAX_TOPIC_BYTES = 256
MAX_RULE_NAME = 128

_LARGEST = {
    "republish": MAX_PAYLOAD, "sqs": 256 * 1024, "lambda": 256 * 1024, "sns": 256 * 1024, "dynamoDBv2": 400 * 1024,
    "firehose": 1000 * 1024, "kinesis": 1024 * 1024,
}  # fmt: skip
"""Bytes that an action can deliver, by the quotas of its service."""

_BATCHES = "fleet/+/telemetry/batch"
_COLUMN = 64
"""Bytes allowed for a column's key and its small value."""


def check_documents(documents: Sequence[tuple[str, object]]) -> list[Finding]:
    """Every finding on a set of (name, document), also what only the set shows."""
    found = [finding for name, document in documents for finding in check_document(document, name)]
    names = Counter(str(document.get("ruleName")) for _, document in documents if isinstance(document, dict))
    for name in sorted(name for name, count in names.items() if count > 1):
        found.append(Finding(name, "name", f"{names[name]} documents have this name", "rename all but one"))
    return [*found, *loops(_readable(document for _, document in documents))]


def _readable(documents: Iterable[object]) -> list[TopicRule]:
    """The rules of the documents that can be read; what is wrong with the others is a finding of its own."""
    rules = []
    for document in documents:
        try:
            rules.append(read_rule(document))
        except Misconfigured:
            continue
    return rules


def check_document(document: object, name: str) -> list[Finding]:
    """Every finding on one document; `name` stands for a rule that has none."""
    refused = [Finding(name, "document", what, remedy) for _, what, remedy in action_schemas.problems(document)]
    try:
        rule = read_rule(document)
    except SqlError as error:
        return [*refused, Finding(name, "sql", error.caret(), "mend the statement at the place shown", error.position)]
    except Misconfigured as error:
        return refused or [Finding(name, "document", str(error), "mend the document")]
    return [*refused, *check_rule(rule)]


def check_rule(rule: TopicRule) -> list[Finding]:
    """Every finding on one rule that could be read."""
    found = [*_filter_findings(rule), *_action_findings(rule), *_payload_findings(rule), *_statement_findings(rule)]
    found += [*statement_meaning(rule), *action_meaning(rule)]
    if len(rule.name) > MAX_RULE_NAME:
        found.append(Finding(rule.name, "name", f"a name has at most {MAX_RULE_NAME} characters", "shorten it"))
    return found


def _filter_findings(rule: TopicRule) -> list[Finding]:
    topic_filter = rule.statement.topic_filter
    if topic_filter is None:
        return []
    found = []
    if topic_filter.count("/") > MAX_SLASHES:
        found.append(Finding(
            rule.name, "slashes", f"the filter {topic_filter} has more than {MAX_SLASHES} slashes",
            "shorten it: AWS IoT refuses topics of more than 8 levels",
        ))  # fmt: skip
    if len(topic_filter.encode()) > MAX_TOPIC_BYTES:
        found.append(Finding(
            rule.name, "length", f"the filter is longer than {MAX_TOPIC_BYTES} bytes", "shorten it",
        ))  # fmt: skip
    if topic_filter in ("#", "+/#"):
        found.append(Finding(
            rule.name, "filter-all", f"FROM '{topic_filter}' takes every message of the account, and each is paid for",
            f"name the topics: {UPLINK[0]}",
        ))  # fmt: skip
    elif topic_filter.startswith("$aws/rules/"):
        found.append(Finding(
            rule.name, "basic-ingest", "a rule cannot subscribe to Basic Ingest topics",
            "leave the prefix $aws/rules/<rule>/ out of FROM: it works with the plain filter",
        ))  # fmt: skip
    elif topic_filter.startswith("$aws/"):
        pass  # AWS IoT's own: lifecycle events, shadows, jobs
    elif not any(overlap(topic_filter, uplink) for uplink in (*UPLINK, TIME_ASK)):
        found.append(Finding(
            rule.name, "filter", f"the filter {topic_filter} can match nothing that the fleet publishes",
            f"use one of {', '.join(UPLINK)}, or a part of them",
        ))  # fmt: skip
    return found


def _action_findings(rule: TopicRule) -> list[Finding]:
    found = []
    if not rule.actions:
        found.append(Finding(rule.name, "no-action", "the rule has no action", "add one: it does nothing"))
    if len(rule.actions) > MAX_ACTIONS:
        found.append(Finding(
            rule.name, "actions", f"the rule has {len(rule.actions)} actions; AWS IoT takes {MAX_ACTIONS}",
            "split it into several rules",
        ))  # fmt: skip
    if rule.error_action is None:
        found.append(Finding(
            rule.name, "no-error-action", "the rule has no error action: a failed delivery is lost unseen",
            "add an errorAction, such as s3",
        ))  # fmt: skip
    for call in _template_calls(rule.error_action):
        if FUNCTIONS[call.function].external:
            found.append(Finding(
                rule.name, "external-in-error-action", f"{call.function}() calls out in the error action",
                "AWS IoT does not run it there: leave it out",
            ))  # fmt: skip
    for action in rule.actions:
        topic = action.parameters.get("topic")
        if action.kind == "republish" and isinstance(topic, str) and topic.count("/") > MAX_SLASHES:
            found.append(Finding(
                rule.name, "slashes", f"republish to {topic} has more than {MAX_SLASHES} slashes", "shorten it",
            ))  # fmt: skip
    return found


def _payload_findings(rule: TopicRule) -> list[Finding]:
    """Outputs that outgrow what an action takes, when the truck sends a full batch."""
    if rule.statement.topic_filter is None or not overlap(rule.statement.topic_filter, _BATCHES):
        return []
    columns = rule.statement.columns
    size = int(MAX_PAYLOAD * growth(columns)) + _COLUMN * (len(columns) - 1)
    found = []
    for kind in (action.kind for action in rule.actions):
        if size > _LARGEST.get(kind, size):
            found.append(Finding(
                rule.name, "payload", f"a full batch makes {size:,} bytes for {kind}, which takes {_LARGEST[kind]:,}",
                f"leave {_BATCHES} out of the filter, select less, or deliver to kinesis",
            ))  # fmt: skip
    return found


def _template_calls(action: Action | None) -> list[Call]:
    calls: list[Call] = []
    stack: list[Any] = [action.parameters] if action is not None else []
    while stack:
        value = stack.pop()
        if isinstance(value, dict | list):
            stack.extend(value.values() if isinstance(value, dict) else value)
        elif isinstance(value, Template):
            nodes = [node for part in value.parts if not isinstance(part, str) for node in all_nodes(part)]
            calls += [node for node in nodes if isinstance(node, Call)]
    return calls


def _statement_findings(rule: TopicRule) -> list[Finding]:
    statement = rule.statement
    found = []
    if statement.version == ORIGINAL:
        found.append(Finding(
            rule.name, "version", f"SQL version {ORIGINAL} is the first, and the default when none is named",
            'set "awsIotSqlVersion": "2016-03-23"', level=WARNING,
        ))  # fmt: skip
    if _has_dash(rule.sql):
        found.append(Finding(
            rule.name, "dash", "a typographic dash stands for minus: AWS IoT may refuse it", "write -", level=WARNING,
        ))  # fmt: skip
    paths = Counter(
        column.path for column in statement.columns if column.alias or not isinstance(column.expression, Star)
    )
    for path in sorted(path for path, count in paths.items() if count > 1 and not statement.value):
        found.append(Finding(
            rule.name, "alias", f"two columns are named {'.'.join(path)}: the last shadows the others",
            "give each its own alias",
        ))  # fmt: skip
    if any(isinstance(column.expression, Star) and not column.alias for column in statement.columns):
        for hidden in sorted({path[0] for path in paths if path[0] in Telemetry.model_fields}):
            found.append(Finding(
                rule.name, "shadow", f"the column {hidden} hides the sample's own {hidden}, which * selects",
                "give it another alias",
            ))  # fmt: skip
    for call in called_functions(statement):
        found += _call_findings(rule, call)
    external = Counter(call.function for call in called_functions(statement) if FUNCTIONS[call.function].external)
    if external["get_dynamodb"] > 1:
        found.append(Finding(
            rule.name, "get_dynamodb", "get_dynamodb() is called more than once: AWS IoT then invokes no action",
            "call it once, in a SET variable",
        ))  # fmt: skip
    return found


def _has_dash(sql: str) -> bool:
    try:
        token = read(sql, 0)
        while token.kind != "end" and sql[token.position] not in DASHES:
            token = read(sql, token.end)
    except SqlError:
        return False  # a bare topic filter
    return token.kind != "end"


def _call_findings(rule: TopicRule, call: Call) -> list[Finding]:
    """Calls that can only ever be Undefined."""
    function, count = FUNCTIONS[call.function], len(call.arguments)
    if not function.fewest <= count <= function.most:
        takes = function.fewest if function.fewest == function.most else f"{function.fewest} to {function.most}"
        return [Finding(
            rule.name, "arguments", f"{call.function}() with {count} arguments is always Undefined: it takes {takes}",
            "mend the call", call.position,
        )]  # fmt: skip
    last = call.arguments[1] if count > 1 else None
    if not isinstance(last, Literal) or not isinstance(last.value, str):
        return []
    if call.function.startswith("regexp_") and not _usable(last.value):
        return [Finding(
            rule.name, "regexp", f"{last.value!r} is no valid Java regular expression: the result is always Undefined",
            "mend the pattern", last.position,
        )]  # fmt: skip
    if call.function in ("encode", "decode") and last.value != "base64":
        return [Finding(
            rule.name, "encoding", f"{call.function}() knows only 'base64', not {last.value!r}", "write 'base64'",
            last.position,
        )]  # fmt: skip
    return []


def _usable(pattern: str) -> bool:
    try:
        return compiled(pattern) is not None
    except TooMuch:
        return False
