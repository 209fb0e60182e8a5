"""Whatever the payload or the text: no exception but a positioned SqlError, in bounded time."""

import sys
import time
from decimal import Decimal
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.errors import Misconfigured
from iot_rules.engine import Rules, read_rule
from iot_rules.errors import SqlError
from iot_rules.sql import (
    NO_MATCH,
    VERSIONS,
    Failed,
    MessageContext,
    PublishedMessage,
    Surroundings,
    compile_statement,
    dump,
    run,
    tree,
)
from iot_rules.sql.expressions import CAST_KEYWORDS
from iot_rules.sql.functions import FUNCTIONS
from iot_rules.sql.lexer import read
from iot_rules.sql.parser import parse
from iot_rules.sql.printer import print_statement, print_template
from iot_rules.sql.templates import parse_template
from iot_rules.topics import TopicIndex, matches, overlap
from tests.budget import budget

# -- trees

NAMES = st.sampled_from(["a", "b", "temperature", "value", "set", "x_1", "é"])
NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20), st.sampled_from([Decimal("1.5"), Decimal("-0.25"), Decimal("1E-7")])
)
LITERALS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8)).map(tree.Literal)
LEAVES = st.one_of(LITERALS, NAMES.map(tree.Name), st.just(tree.Star()), NAMES.map(tree.Name))
OPERATORS = st.sampled_from(["OR", "AND", "=", "<>", "<", "<=", ">", ">=", "IN", "+", "-", "*", "/", "%"])
LOCAL = sorted(name for name, function in FUNCTIONS.items() if not function.external)


def _larger(nodes: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(nodes, max_size=3).map(tuple)
    members = st.dictionaries(st.text(max_size=4), nodes, max_size=3).map(lambda found: tuple(found.items()))
    columns = st.lists(nodes.map(tree.Column), min_size=1, max_size=2).map(tuple)
    branches = st.lists(st.tuples(nodes, nodes), min_size=1, max_size=2).map(tuple)
    numbers_apart = nodes.filter(lambda node: not isinstance(node, tree.Literal) or isinstance(node.value, str))
    return st.one_of(
        st.builds(tree.Binary, OPERATORS, nodes, nodes),
        st.builds(tree.Not, nodes),
        st.builds(tree.Negate, numbers_apart),
        st.builds(tree.Member, nodes, NAMES),
        st.builds(tree.Index, nodes, nodes),
        several.map(tree.ArrayLiteral),
        members.map(tree.ObjectLiteral),
        st.builds(tree.Case, nodes, branches, st.none() | nodes),
        st.builds(tree.Cast, nodes, st.sampled_from(sorted(CAST_KEYWORDS))),
        st.builds(tree.Call, st.sampled_from(LOCAL), several),
        st.builds(tree.Query, columns, st.just(False), nodes, st.none() | nodes),
    )


EXPRESSIONS = st.recursive(LEAVES, _larger, max_leaves=12)
ALIASES = st.lists(NAMES, max_size=2).map(tuple)
COLUMNS = st.lists(st.builds(tree.Column, EXPRESSIONS, ALIASES), min_size=1, max_size=3).map(tuple)
STATEMENTS = st.one_of(
    st.builds(tree.Statement, COLUMNS, st.just(False), st.just("a/+"), st.none() | EXPRESSIONS),
    st.builds(
        tree.Statement,
        EXPRESSIONS.map(lambda node: (tree.Column(node),)),
        st.just(True),
        st.none() | st.just("it's/#"),
        st.none(),
    ),
)
ASSIGNED = st.dictionaries(st.sampled_from(["v", "w_1", "set"]), EXPRESSIONS, min_size=1, max_size=3)
SETTING = st.builds(
    tree.Statement,
    st.sampled_from(["v", "w_1"]).map(lambda name: (tree.Column(tree.Member(tree.Variable(name), "a")),)),
    st.booleans(),
    st.just("a/b"),
    st.none() | EXPRESSIONS,
    ASSIGNED.map(lambda found: tuple(found.items())),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("ab") | st.text(max_size=3), inner),
    max_leaves=10,
)
PAYLOADS = st.one_of(JSON.map(dump), st.binary(max_size=40), st.text(max_size=20).map(lambda text: text.encode()))


@budget(300, 20_000)
def test_parse_print_parse_is_the_identity(examples: int) -> None:
    @given(STATEMENTS | SETTING)
    @settings(max_examples=examples)
    def holds(statement: tree.Statement) -> None:
        text = print_statement(statement)
        again = parse(text)
        assert again == statement, text
        assert print_statement(again) == text

    holds()


@budget(100, 10_000)
def test_a_template_too_is_what_was_parsed(examples: int) -> None:
    parts = st.lists(st.text("a$ {}'/", min_size=1, max_size=5) | EXPRESSIONS, max_size=4)

    @given(parts)
    @settings(max_examples=examples)
    def holds(parts: list[Any]) -> None:
        try:
            template = parse_template(print_template(tree.Template(tuple(parts))))
        except SqlError:
            return  # literal text that opens a ${
        assert parse_template(print_template(template)) == template

    holds()


@budget(400, 40_000)
def test_the_evaluator_never_raises(examples: int) -> None:
    @given(STATEMENTS, PAYLOADS, st.sampled_from(VERSIONS))
    @settings(max_examples=examples)
    def holds(statement: tree.Statement, payload: bytes, version: str) -> None:
        try:
            compiled = compile_statement(print_statement(statement), version)
        except SqlError:
            return
        output = run(compiled, MessageContext(PublishedMessage("a/b", payload, client_id="c"), Surroundings()))
        assert not isinstance(output, Failed), output.reason
        if output is not NO_MATCH:
            dump(output)

    holds()


@given(st.sampled_from(LOCAL), st.lists(JSON, max_size=4))
@settings(max_examples=600)
def test_no_function_raises_on_any_arguments(name: str, arguments: list[Any]) -> None:
    keys = [f"get(*, {at})" for at in range(len(arguments))]
    statement = compile_statement(f"SELECT VALUE {name}({', '.join(keys)}) FROM 'a'")
    run(statement, MessageContext(PublishedMessage("a", dump(arguments)), Surroundings()))


WORDS = """SELECT VALUE FROM WHERE SET AS AND OR NOT IN CASE WHEN THEN ELSE END NULL true a b value * + - / % = <> <
<= > >= ( ) [ ] { } , . : 'a/b' '#' "s" 1 2.5 1e9 @v abs( get( cast( topic( $ ! ' é ${ -- ;"""
TOKENS = st.sampled_from(WORDS.split())


def outcome(text: str, payload: bytes = b"{}") -> SqlError | None:
    """Compile and run; the error, if any. It must come within a few seconds."""
    started, refused = time.process_time(), None
    try:
        run(compile_statement(text), MessageContext(PublishedMessage("a/b", payload), Surroundings()))
    except SqlError as error:
        refused = error
    assert time.process_time() - started < 10
    return refused


@budget(600, 100_000)
def test_a_fuzzed_statement_ends_in_a_result_or_a_positioned_error(examples: int) -> None:
    @given(st.lists(TOKENS, max_size=25).map(" ".join) | st.text(max_size=60))
    @settings(max_examples=examples)
    def holds(text: str) -> None:
        error = outcome(text, b'{"a":[1],"b":"x"}')
        if error is not None:
            assert 0 <= error.position <= len(text)
            assert error.caret().endswith("^")

    holds()


@pytest.mark.parametrize(
    "text",
    [
        "SELECT VALUE " + "(" * 50_000,
        "SELECT " + "- " * 30_000 + "1 FROM 'a'",
        "SELECT " + " + ".join(["1"] * 20_000) + " FROM 'a'",
        "SELECT " + "value - (select " * 3000,
        "SELECT " + "NOT " * 15_000 + "a FROM 'a'",
        "SELECT a" + ".b" * 20_000 + " FROM 'a'",
        "SELECT " + "[" * 50_000,
        "SELECT " + ", ".join(["a"] * 20_000) + " FROM 'a'",
        "SELECT VALUE regexp_matches('" + "a" * 60 + "', '(a|aa|a?)+$(?<!a)b?c') FROM 'a'",
        "SELECT VALUE regexp_replace('" + "a" * 5000 + "', '(.*)(.*)(.*)(.*)(.*)[^a]', 'b') FROM 'a'",
        "SELECT VALUE regexp_matches('a', '((((a{1000}){1000}){1000}){1000})') FROM 'a'",
    ],
    ids=range(11),
)
def test_hostile_statements_end_in_bounded_time(text: str) -> None:
    error = outcome(text)
    assert error is None or error.position <= len(text)


HEAPS = dump({"e": [1] * 60_000})
DOUBLING = ", ".join(f"@v{at} = [{', '.join([f'@v{at - 1}' if at else '*'] * 1000)}]" for at in range(10))


@pytest.mark.parametrize(
    ("sql", "payload"),
    [
        ("SELECT (SELECT VALUE (SELECT VALUE 1 FROM @e) FROM e) AS a FROM 'a/b'", HEAPS),
        (f"SET {DOUBLING} SELECT VALUE @v9 FROM 'a/b'", b"{}"),
        ("SELECT " + ", ".join(f"* AS a{at}" for at in range(3000)) + " FROM 'a/b'", HEAPS),
        ("SELECT transform('enrichArray', a, e) AS a FROM 'a/b'",
         dump({"a": dict.fromkeys(map(str, range(5000)), 1), "e": [{"b": 1}] * 6000})),
        ("SELECT (SELECT VALUE regexp_matches(n, '(.*)(.*)(.*)(.*)(.*)[^a]') FROM e) AS a FROM 'a/b'",
         dump({"e": [{"n": "a" * 400}] * 300})),
    ],
    ids=["nested queries", "doubling", "many stars", "transform", "a slow pattern for every row"],
)  # fmt: skip
def test_no_payload_makes_a_statement_run_away(sql: str, payload: bytes) -> None:
    """What would cost too much breaks off (the error action hears of it), or is Undefined: within seconds."""
    started = time.process_time()
    statement = compile_statement(sql if "@e" not in sql else f"SET @e = e {sql}")
    output = run(statement, MessageContext(PublishedMessage("a/b", payload), Surroundings()))
    assert isinstance(output, Failed | dict)
    assert time.process_time() - started < 20


@given(STATEMENTS, st.text("ab/$+#", max_size=8), PAYLOADS, st.text("a${}()'topic*.", max_size=12))
@settings(max_examples=200)
def test_rules_never_raise_once_read(statement: tree.Statement, topic: str, payload: bytes, template: str) -> None:
    key = {"kinesis": {"streamName": "s", "partitionKey": template}}
    body = {"sql": print_statement(statement), "awsIotSqlVersion": "2016-03-23", "actions": [key], "errorAction": key}
    try:
        rules = Rules([read_rule({"ruleName": "r", "topicRulePayload": body})])
    except Misconfigured:
        return
    for name in (topic, "a/b", "$aws/rules/r/a/b"):
        for delivery in rules.run(PublishedMessage(name, payload)):
            assert isinstance(delivery.payload, bytes)


# -- topics

LEVELS = st.sampled_from(["a", "b", "", "$x"])
FILTERS = st.tuples(st.lists(LEVELS | st.just("+"), max_size=3), st.sampled_from(["#", "+", "a", "b", ""])).map(
    lambda parts: "/".join([*parts[0], parts[1]])
)
TOPICS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join)


def naive(filters: list[str], names: list[str]) -> bool:
    """The definition, level by level."""
    if not filters or not names:
        return not filters and not names
    if filters[0] == "#":
        return True
    return filters[0] in ("+", names[0]) and naive(filters[1:], names[1:])


@given(st.lists(FILTERS, max_size=8), TOPICS)
@settings(max_examples=500)
def test_topic_matching_agrees_with_a_naive_matcher(filters: list[str], topic: str) -> None:
    def expected(topic_filter: str) -> bool:
        if topic.startswith("$") and topic_filter[:1] in ("+", "#"):
            return False
        return naive(topic_filter.split("/"), topic.split("/"))

    index: TopicIndex[int] = TopicIndex()
    for number, topic_filter in enumerate(filters):
        index.add(topic_filter, number)
        assert matches(topic_filter, topic) == expected(topic_filter)
    assert index.find(topic) == [number for number, each in enumerate(filters) if expected(each)]


@given(FILTERS, FILTERS, TOPICS)
@settings(max_examples=500)
def test_filters_that_share_a_topic_overlap(first: str, second: str, topic: str) -> None:
    if matches(first, topic) and matches(second, topic):
        assert overlap(first, second)
        assert overlap(second, first)


def lines_run(action: Any) -> int:
    """How many lines of our code an action executes: a count that no load of the machine changes."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if "iot_rules" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


def rules_of(count: int, topic_filter: str) -> Rules:
    action = {"sqs": {"roleArn": "r", "queueUrl": "q"}}
    documents = (
        {"ruleName": f"r{at}", "topicRulePayload": {"sql": f"SELECT * FROM '{topic_filter.format(at)}'",
                                                    "actions": [action]}}
        for at in range(count)
    )  # fmt: skip
    return Rules(map(read_rule, documents))


@pytest.mark.parametrize("topic_filter", ["fleet/{}/telemetry", "fleet/+/{}/telemetry", "fleet/{}/#", "+/{}/+"])
def test_a_thousand_rules_cost_what_ten_cost(topic_filter: str) -> None:
    """Counted in lines of code: a message of one rule among a thousand runs as many as among ten."""
    topic = topic_filter.format(5).replace("+", "x").replace("#", "x")
    message = PublishedMessage(topic, b"{}")
    few, many = rules_of(10, topic_filter), rules_of(1000, topic_filter)
    # The first message of a topic: later ones find the answer remembered.
    assert lines_run(lambda: many.run(message)) == lines_run(lambda: few.run(message))
    assert [delivery.rule_name for delivery in many.run(message)] == ["r5"]


def test_the_lexer_always_moves_on() -> None:
    token = read("a", 1)
    assert (token.kind, token.end) == ("end", 1)
