"""A bound that is reached is never data: the message goes to the error action, whatever else the machine does."""

import dis
import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from typing import Any

import pytest

from iot_rules.engine import PublishedMessage, Rules, read_rule
from iot_rules.sql import Failed, MessageContext, Surroundings, compile_statement, dump, run
from iot_rules.sql.values import in_range

SLOW = {"n": "a" * 4000, "p": "(.*)(.*)(.*)(.*)(.*)[^a]"}
DEEP = ("[" * 80 + "]" * 80).encode()


def of(sql: str, payload: bytes) -> Any:
    return run(compile_statement(sql), MessageContext(PublishedMessage("a/b", payload), Surroundings()))


@pytest.mark.parametrize(
    ("sql", "payload"),
    [
        ("SELECT regexp_matches(n, p) AS m FROM 'a/b'", dump(SLOW)),
        ("SELECT regexp_substr(n, p) AS m FROM 'a/b'", dump(SLOW)),
        ("SELECT regexp_replace(n, p, 'x') AS m FROM 'a/b'", dump(SLOW)),
        ("SELECT * FROM 'a/b' WHERE NOT regexp_matches(n, p)", dump(SLOW)),
        ("SELECT get_or_default(regexp_matches(n, p), false) AS m FROM 'a/b'", dump(SLOW)),
        ("SELECT regexp_matches(n, p) AS m FROM 'a/b'", dump({"n": "a", "p": "a" * 5000})),
        ("SELECT n + n AS m FROM 'a/b'", dump({"n": "a" * 600_000})),
        ("SELECT concat(n, n) AS m FROM 'a/b'", dump({"n": "a" * 600_000})),
        ("SELECT replace(n, 'a', 'bcd') AS m FROM 'a/b'", dump({"n": "a" * 600_000})),
        ("SELECT concat(n, n) AS m FROM 'a/b'", dump({"n": [1] * 60_000})),
        ("SELECT md2(n) AS m FROM 'a/b'", dump({"n": "a" * 200_000})),
        ("SELECT (SELECT VALUE md2(x) FROM n) AS m FROM 'a/b'", dump({"n": [{"x": "a" * 1000}] * 200})),
        ("SELECT time_to_epoch('2020', n) AS m FROM 'a/b'", dump({"n": "[" * 1000 + "yyyy" + "]" * 1000})),
        ("SELECT time_to_epoch('2020', n) AS m FROM 'a/b'", dump({"n": "[" * 100 + "yyyy" + "]" * 100})),
        ("SELECT parse_time(n, 0) AS m FROM 'a/b'", dump({"n": "y " * 5000})),
        ("SELECT * FROM 'a/b'", DEEP),
        ("SELECT a FROM 'a/b'", b'{"a":' + DEEP + b"}"),
        ("SELECT topic(1) AS t FROM 'a/b' WHERE a = 1", b'{"a":' * 20_000 + b"1" + b"}" * 20_000),
    ],
)
def test_a_bound_ends_in_the_error_action_and_not_in_a_value(sql: str, payload: bytes) -> None:
    started = time.process_time()
    output = of(sql, payload)
    assert isinstance(output, Failed)
    assert output.reason
    assert time.process_time() - started < 20

    document = {
        "sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": [{"sqs": {"queueUrl": "q"}}],
        "errorAction": {"sqs": {"queueUrl": "errors"}},
    }  # fmt: skip
    [told] = Rules([read_rule({"ruleName": "r", "topicRulePayload": document})]).run(PublishedMessage("a/b", payload))
    assert told.error
    assert json.loads(told.payload)["failures"][0]["errorMessage"] == output.reason


def test_what_nests_deep_in_variables_does_not_raise_either() -> None:
    """Each variable nests as deep as the grammar lets it, ten of them on top of each other."""
    brackets = 45
    chain = ", ".join(f"@v{at} = {'[' * brackets}{f'@v{at - 1}' if at else '1'}{']' * brackets}" for at in range(10))
    output = of(f"SET {chain} SELECT @v9 AS a, @v9 = @v8 AS b, @v9 = @v9 AS c FROM 'a/b'", b"{}")
    assert isinstance(output, Failed | dict)
    document = {"sql": f"SET {chain} SELECT @v9 AS a FROM 'a/b'", "awsIotSqlVersion": "2016-03-23"}
    document |= {"actions": [{"sqs": {"queueUrl": "${@v9}"}}], "errorAction": {"sqs": {"queueUrl": "e"}}}  # type: ignore[dict-item]
    rules = Rules([read_rule({"ruleName": "r", "topicRulePayload": document})])
    assert len(rules.run(PublishedMessage("a/b", b"{}"))) == 1


STOPPED = """
import sys, time
from iot_rules.sql import MessageContext, PublishedMessage, Surroundings, compile_statement, run
from iot_rules.sql.functions import java_regex
search = java_regex.find
def slowly(*given):
    print("searching", flush=True)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        time.sleep(0.01)
    return search(*given)
from iot_rules.sql.functions import regexps
regexps.find = slowly
statement = compile_statement("SELECT a FROM 'a/b' WHERE regexp_matches(a, 'x+') AND regexp_matches(a, 'x')")
print(run(statement, MessageContext(PublishedMessage("a/b", b'{"a":"xx"}'), Surroundings())), flush=True)
"""


def test_a_process_that_is_stopped_in_a_search_drops_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "searching\n"
        os.kill(child.pid, signal.SIGSTOP)
        time.sleep(0.3)
        os.kill(child.pid, signal.SIGCONT)
        assert child.stdout.read().splitlines()[-1] == "{'a': 'xx'}"


@pytest.mark.parametrize(
    "number", [10**1000 - 1, 0, 1 - 10**1000, Decimal("9.99E999"), Decimal("1E-999"), Decimal("-0")]
)
def test_a_number_of_the_reference_is_in_range(number: int | Decimal) -> None:
    assert in_range(number)


@pytest.mark.parametrize("number", [10**1000, -(10**1000), Decimal("1E1000"), Decimal("1E-1000"), Decimal("NaN")])
def test_a_number_beyond_it_is_not(number: int | Decimal) -> None:
    assert not in_range(number)


def test_whether_a_number_is_in_range_takes_a_comparison_and_no_power() -> None:
    """It is asked of every integer of every message."""
    assert not [one for one in dis.get_instructions(in_range) if one.opname.startswith("BINARY")]
