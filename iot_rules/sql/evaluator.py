"""Tree and message to output: pure, and never raises on any payload.

`run` gives a JSON value, the payload's bytes (SELECT * of what is not JSON), UNDEFINED, NO_MATCH (the filter or
WHERE did not let it through, or the statement needs JSON and the payload is none) or Failed (a function that calls
out had no answer). Reference pages: iot-sql-select, -where, -case, -json, -nested-queries, -set, binary-payloads.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from contract.errors import MilepostError
from iot_rules.errors import FunctionFailed
from iot_rules.sql import numbers, tree
from iot_rules.sql.functions import FUNCTIONS
from iot_rules.sql.functions.types import cast
from iot_rules.sql.operators import OPERATORS, equals, negation
from iot_rules.sql.scope import Arrival, Scope
from iot_rules.sql.values import UNDEFINED, Value, narrow, plain, to_boolean, to_int


class NoMatch(enum.Enum):
    """The statement gives no output for this message."""

    NO_MATCH = "no match"


NO_MATCH: Final = NoMatch.NO_MATCH


@dataclass(frozen=True, slots=True)
class Failed:
    """The statement broke off: AWS would invoke none of its actions."""

    reason: str


def run(statement: tree.Statement, arrival: Arrival, variables: dict[str, Value] | None = None) -> Value:
    """The output of a statement whose topic filter has already matched; `variables` is filled by SET."""
    scope = Scope(arrival, statement.version, variables if variables is not None else {})
    try:
        for name, node in statement.variables:
            scope.variables[name] = evaluate(node, scope)
        if statement.where is not None and to_boolean(evaluate(statement.where, scope)) is not True:
            return NO_MATCH
        if statement.needs_json and isinstance(scope.whole(), bytes):
            return NO_MATCH
        output = _select(statement.columns, statement.value, scope)
    except MilepostError as error:
        return Failed(str(error))
    if isinstance(output, list) and statement.version == tree.ORIGINAL:
        return UNDEFINED
    return output


def evaluate(node: tree.Node, scope: Scope) -> Value:
    """The value of one expression. Raises FunctionFailed, or what a resolver raised, and nothing else."""
    return _EVALUATORS[type(node)](node, scope)


# -- SELECT


def _select(columns: tuple[tree.Column, ...], value: bool, scope: Scope) -> Value:
    only = columns[0]
    if value or (len(columns) == 1 and isinstance(only.expression, tree.Star) and not only.alias):
        return evaluate(only.expression, scope)
    output: dict[str, Value] = {}
    for column in columns:
        selected = plain(evaluate(column.expression, scope))
        if isinstance(column.expression, tree.Star) and not column.alias:
            output.update(selected if isinstance(selected, dict) else {})
        elif selected is not UNDEFINED:
            _place(output, column.path, selected)
    return scope.budget.built(output) if len(columns) > 1 else output


def _place(output: dict[str, Value], path: tuple[str, ...], value: Value) -> None:
    for key in path[:-1]:
        below = output.get(key)
        # A copy: the object may belong to the payload, which * spread here.
        output[key] = output = dict(below) if isinstance(below, dict) else {}
    output[path[-1]] = value


def _query(node: tree.Query, scope: Scope) -> Value:
    source = evaluate(node.source, scope)
    if isinstance(source, dict):
        return _row(node, scope.within(source))
    if not isinstance(source, list):
        return UNDEFINED
    scope.budget.visit(len(source))
    rows = (_row(node, scope.within(item)) for item in source)
    return scope.budget.built([row for row in rows if row is not UNDEFINED])


def _row(node: tree.Query, scope: Scope) -> Value:
    if node.where is not None and to_boolean(evaluate(node.where, scope)) is not True:
        return UNDEFINED
    return _select(node.columns, node.value, scope)


# -- expressions


def member(owner: Value, name: str) -> Value:
    """owner.name: Undefined unless owner is an Object that has it."""
    return owner.get(name, UNDEFINED) if isinstance(owner, dict) else UNDEFINED


def _index(node: tree.Index, scope: Scope) -> Value:
    owner, index = evaluate(node.owner, scope), evaluate(node.index, scope)
    if isinstance(owner, dict):
        return owner.get(index, UNDEFINED) if isinstance(index, str) else UNDEFINED
    at = to_int(index)
    if not isinstance(owner, list) or at is UNDEFINED:
        return UNDEFINED
    return owner[at] if 0 <= at < len(owner) else UNDEFINED


def _array(node: tree.ArrayLiteral, scope: Scope) -> Value:
    values = (plain(evaluate(item, scope)) for item in node.items)
    return scope.budget.built([value for value in values if value is not UNDEFINED])


def _object(node: tree.ObjectLiteral, scope: Scope) -> Value:
    values = ((key, plain(evaluate(value, scope))) for key, value in node.members)
    return scope.budget.built({key: value for key, value in values if value is not UNDEFINED})


def _binary(node: tree.Binary, scope: Scope) -> Value:
    return _number_of(scope, OPERATORS[node.operator](evaluate(node.left, scope), evaluate(node.right, scope)))


def _number_of(scope: Scope, value: Value) -> Value:
    return narrow(value) if type(value) is Decimal and scope.version != tree.ORIGINAL else value


def _case(node: tree.Case, scope: Scope) -> Value:
    subject = evaluate(node.subject, scope)
    if subject is UNDEFINED:
        return UNDEFINED
    for test, result in node.branches:
        if equals(subject, evaluate(test, scope)) is True:
            return evaluate(result, scope)
    return evaluate(node.otherwise, scope) if node.otherwise is not None else UNDEFINED


def _cast(node: tree.Cast, scope: Scope) -> Value:
    return _number_of(scope, cast(evaluate(node.operand, scope), node.keyword))


def _call(node: tree.Call, scope: Scope) -> Value:
    function = FUNCTIONS[node.function]
    arguments = node.arguments
    if not function.fewest <= len(arguments) <= function.most:
        return UNDEFINED
    if node.function == "get_or_default":
        return _get_or_default(node, scope)
    if node.function == "encode" and isinstance(arguments[0], tree.Star) and not scope.nested:
        values = [scope.arrival.message.payload, evaluate(arguments[1], scope)]
    else:
        values = [evaluate(argument, scope) for argument in arguments]
    return _number_of(scope, function.apply(values, scope))


def _get_or_default(node: tree.Call, scope: Scope) -> Value:
    """get_or_default(expression, default): also when the expression fails (page: iot-sql-functions)."""
    try:
        value = evaluate(node.arguments[0], scope)
    except (FunctionFailed, MilepostError):
        value = UNDEFINED
    if value is not UNDEFINED and value is not None:
        return value
    return evaluate(node.arguments[1], scope) if len(node.arguments) > 1 else UNDEFINED


def _name(node: tree.Name, scope: Scope) -> Value:
    return member(scope.whole(), node.name)


def _negate(node: tree.Negate, scope: Scope) -> Value:
    return _number_of(scope, numbers.subtract(0, evaluate(node.operand, scope)))


_EVALUATORS: dict[type, Callable[[Any, Scope], Value]] = {
    tree.Literal: lambda node, scope: node.value,
    tree.Name: _name,
    tree.Variable: lambda node, scope: scope.variables.get(node.name, UNDEFINED),
    tree.Star: lambda node, scope: scope.whole(),
    tree.Member: lambda node, scope: member(evaluate(node.owner, scope), node.name),
    tree.Index: _index,
    tree.ArrayLiteral: _array,
    tree.ObjectLiteral: _object,
    tree.Negate: _negate,
    tree.Not: lambda node, scope: negation(evaluate(node.operand, scope)),
    tree.Binary: _binary,
    tree.Case: _case,
    tree.Cast: _cast,
    tree.Call: _call,
    tree.Query: _query,
}
