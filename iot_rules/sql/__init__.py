"""AWS IoT SQL: statement text to tree, tree and message to output.

`compile_statement(sql)` parses and validates once; `Program(statement).run(Arrival(message, Surroundings()))`
evaluates and never raises. The reference is the section "AWS IoT SQL reference" of the AWS IoT Core developer guide;
docstrings name its pages by their file names (iot-sql-select, …) and its functions by their anchors.
"""

from iot_rules.sql.evaluator import NO_MATCH, Failed, Program, run
from iot_rules.sql.parser import parse
from iot_rules.sql.scope import MessageContext, PublishedMessage, Resolver, Scope, Surroundings, split_basic_ingest
from iot_rules.sql.templates import Rendered, Renderer, compile_template, parse_template, render
from iot_rules.sql.tree import LATEST, ORIGINAL, VERSIONS, Statement, Template
from iot_rules.sql.validation import validate_statement
from iot_rules.sql.values import UNDEFINED, Value, dump, equal, parse_json

__all__ = [
    "LATEST",
    "NO_MATCH",
    "ORIGINAL",
    "UNDEFINED",
    "VERSIONS",
    "Failed",
    "MessageContext",
    "Program",
    "PublishedMessage",
    "Rendered",
    "Renderer",
    "Resolver",
    "Scope",
    "Statement",
    "Surroundings",
    "Template",
    "Value",
    "compile_statement",
    "compile_template",
    "dump",
    "equal",
    "parse_json",
    "parse_template",
    "render",
    "run",
    "split_basic_ingest",
]  # fmt: skip


def compile_statement(sql: str, version: str = LATEST) -> Statement:
    """Parse and validate. Raises SqlError."""
    statement = parse(sql, version)
    validate_statement(statement, sql)
    return statement
