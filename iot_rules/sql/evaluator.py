"""Tree and message to output: pure, and never raises on any payload.

`Program` compiles a statement once, each node of its tree into a closure, and runs it on each message. A run gives a
JSON value, the payload's bytes (SELECT * of a payload that is not JSON), UNDEFINED, NO_MATCH (WHERE did not let the
message through, or the statement needs JSON and the payload is none) or Failed (a function that calls out had no
answer, or a bound was reached). Reference pages: iot-sql-select, -where, -case, -json, -nested-queries, -set,
binary-payloads.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from contract.errors import MilepostError
from iot_rules.errors import TooMuch
from iot_rules.sql import numbers, tree
from iot_rules.sql.functions import FUNCTIONS
from iot_rules.sql.functions.types import cast
from iot_rules.sql.operators import OPERATORS, equals, negation
from iot_rules.sql.scope import MessageContext, Scope
from iot_rules.sql.values import UNDEFINED, Value, narrow, plain, to_boolean, to_int
from iot_rules.sql.visitor import all_nodes

Evaluate = Callable[[Scope], Value]
"""One compiled expression. Raises FunctionFailed, TooMuch, or what a resolver raised, and nothing else."""


class NoMatch(enum.Enum):
    """The statement gives no output for this message."""

    NO_MATCH = "no match"


NO_MATCH: Final = NoMatch.NO_MATCH
TOO_DEEP = "a value nests too deep to be worked on: flatten the payload, or select less deep"


@dataclass(frozen=True, slots=True)
class Failed:
    """The statement broke off: AWS would invoke none of its actions."""

    reason: str


class Program:
    """A statement made ready to run on many messages. Safe to share between threads."""

    __slots__ = ("_needs_json", "_original", "_select", "_variables", "_where", "version")

    def __init__(self, statement: tree.Statement) -> None:
        self.version = statement.version
        self._original = statement.version == tree.ORIGINAL
        self._needs_json = statement.needs_json
        self._variables = [(name, compile_node(node, self.version)) for name, node in statement.variables]
        self._where = compile_node(statement.where, self.version) if statement.where is not None else None
        weighed = bool(statement.variables) or not all(map(_cannot_grow, statement.columns))
        self._select = _select(statement.columns, statement.value, self.version, weighed=weighed)

    def run(self, arrival: MessageContext, variables: dict[str, Value] | None = None) -> Value:
        """The output for a message whose topic has already matched; `variables` is filled by SET. Never raises."""
        scope = Scope(arrival, self.version, variables if variables is not None else {})
        try:
            for name, value in self._variables:
                scope.variables[name] = value(scope)
            if self._where is not None and to_boolean(self._where(scope)) is not True:
                return NO_MATCH
            if self._needs_json and isinstance(scope.whole(), bytes):
                return NO_MATCH
            output = self._select(scope)
        except MilepostError as error:
            return Failed(str(error))
        except RecursionError:
            return Failed(TOO_DEEP)
        return UNDEFINED if self._original and isinstance(output, list) else output


def run(statement: tree.Statement, arrival: MessageContext, variables: dict[str, Value] | None = None) -> Value:
    """`Program.run` of a statement that is needed once."""
    return Program(statement).run(arrival, variables)


def compile_node(node: tree.Node, version: str) -> Evaluate:
    """One expression as a function of the scope."""
    return _COMPILERS[type(node)](node, version)


# -- SELECT

_SCALARS = frozenset((
    "topic", "timestamp", "clientid", "accountid", "principal", "traceid", "sourceip", "newuuid", "encode", "lower",
    "upper", "trim", "length", "parse_time", "time_to_epoch", "isnull", "isundefined", "startswith", "endswith",
))  # fmt: skip
_PICKS = (tree.Literal, tree.Name, tree.Member, tree.Index)


def _cannot_grow(column: tree.Column) -> bool:
    """Whether a column is no larger than the payload, so that its output need not be weighed."""
    nodes = all_nodes(column.expression)
    if isinstance(column.expression, tree.Call):
        return column.expression.function in _SCALARS
    return all(isinstance(node, _PICKS) for node in nodes)


def _spreads(column: tree.Column) -> bool:
    return isinstance(column.expression, tree.Star | tree.MemberSpread) and not column.alias


def _select(columns: tuple[tree.Column, ...], value: bool, version: str, *, weighed: bool = True) -> Evaluate:
    only = compile_node(columns[0].expression, version)
    if value or (len(columns) == 1 and isinstance(columns[0].expression, tree.Star) and not columns[0].alias):
        return only
    parts = [(compile_node(each.expression, version), _spreads(each), each.path) for each in columns]
    if not weighed and not any(spread or len(path) > 1 for _, spread, path in parts):
        return _flat([(evaluate, path[0]) for evaluate, _, path in parts])

    def select(scope: Scope) -> Value:
        output: dict[str, Value] = {}
        for evaluate, spread, path in parts:
            selected = plain(evaluate(scope))
            if spread:
                output.update(selected if isinstance(selected, dict) else {})
            elif selected is not UNDEFINED:
                _place(output, path, selected)
        return scope.budget.built(output) if len(parts) > 1 else output

    return select


def _flat(parts: list[tuple[Evaluate, str]]) -> Evaluate:
    """SELECT of columns with plain names whose values come from the payload or are small."""

    def select(scope: Scope) -> Value:
        output: dict[str, Value] = {}
        for evaluate, key in parts:
            selected = evaluate(scope)
            if type(selected) is bytes:
                selected = plain(selected)
            if selected is not UNDEFINED:
                output[key] = selected
        return output

    return select


def _place(output: dict[str, Value], path: tuple[str, ...], value: Value) -> None:
    for key in path[:-1]:
        below = output.get(key)
        # A copy: the object may belong to the payload, which * spread here.
        output[key] = output = dict(below) if isinstance(below, dict) else {}
    output[path[-1]] = value


def _query(node: tree.Query, version: str) -> Evaluate:
    source = compile_node(node.source, version)
    where = compile_node(node.where, version) if node.where is not None else None
    select = _select(node.columns, node.value, version)
    # FROM * gives an Array also where * is an Object; FROM a.b gives an Object where a.b is one.
    listed = isinstance(node.source, tree.Star)

    def row(scope: Scope) -> Value:
        return UNDEFINED if where is not None and to_boolean(where(scope)) is not True else select(scope)

    def query(scope: Scope) -> Value:
        items = source(scope)
        if isinstance(items, dict):
            if not listed:
                return row(scope.within(items))
            items = [items]
        if not isinstance(items, list):
            return UNDEFINED
        scope.budget.visit(len(items))
        rows = (row(scope.within(item)) for item in items)
        return scope.budget.built([each for each in rows if each is not UNDEFINED])

    return query


# -- expressions


def member(owner: Value, name: str) -> Value:
    """owner.name: Undefined unless owner is an Object that has it."""
    return owner.get(name, UNDEFINED) if isinstance(owner, dict) else UNDEFINED


def _literal(node: tree.Literal, version: str) -> Evaluate:
    value = node.value
    return lambda scope: value


def _name(node: tree.Name, version: str) -> Evaluate:
    name = node.name
    return lambda scope: member(scope.whole(), name)


def _variable(node: tree.Variable, version: str) -> Evaluate:
    name = node.name
    return lambda scope: scope.variables.get(name, UNDEFINED)


def _star(node: tree.Star, version: str) -> Evaluate:
    return Scope.whole


def _member(node: tree.Member, version: str) -> Evaluate:
    owner, name = compile_node(node.owner, version), node.name
    return lambda scope: member(owner(scope), name)


def _spread(node: tree.MemberSpread, version: str) -> Evaluate:
    owner = compile_node(node.owner, version)

    def spread(scope: Scope) -> Value:
        value = owner(scope)
        return value if isinstance(value, dict) else UNDEFINED

    return spread


def _index(node: tree.Index, version: str) -> Evaluate:
    collection, position = compile_node(node.owner, version), compile_node(node.index, version)

    def item(scope: Scope) -> Value:
        owner, index = collection(scope), position(scope)
        if isinstance(owner, dict):
            return owner.get(index, UNDEFINED) if isinstance(index, str) else UNDEFINED
        at = to_int(index)
        if not isinstance(owner, list) or at is UNDEFINED:
            return UNDEFINED
        return owner[at] if 0 <= at < len(owner) else UNDEFINED

    return item


def _array(node: tree.ArrayLiteral, version: str) -> Evaluate:
    items = [compile_node(item, version) for item in node.items]

    def array(scope: Scope) -> Value:
        values = (plain(item(scope)) for item in items)
        return scope.budget.built([value for value in values if value is not UNDEFINED])

    return array


def _object(node: tree.ObjectLiteral, version: str) -> Evaluate:
    members = [(key, compile_node(value, version)) for key, value in node.members]

    def made(scope: Scope) -> Value:
        values = ((key, plain(value(scope))) for key, value in members)
        return scope.budget.built({key: value for key, value in values if value is not UNDEFINED})

    return made


def _numeric(evaluate: Evaluate, version: str) -> Evaluate:
    """A result as the version has numbers: a whole Decimal is an Int since 2016-03-23."""
    if version == tree.ORIGINAL:
        return evaluate

    def narrowed(scope: Scope) -> Value:
        value = evaluate(scope)
        return narrow(value) if type(value) is Decimal else value

    return narrowed


def _binary(node: tree.Binary, version: str) -> Evaluate:
    left, right = compile_node(node.left, version), compile_node(node.right, version)
    operator = OPERATORS[node.operator]
    compute: Evaluate = lambda scope: operator(left(scope), right(scope))  # noqa: E731
    return _numeric(compute, version) if node.operator in "+-*/%" else compute


def _not(node: tree.Not, version: str) -> Evaluate:
    operand = compile_node(node.operand, version)
    return lambda scope: negation(operand(scope))


def _negate(node: tree.Negate, version: str) -> Evaluate:
    operand = compile_node(node.operand, version)
    return _numeric(lambda scope: numbers.subtract(0, operand(scope)), version)


def _case(node: tree.Case, version: str) -> Evaluate:
    subject = compile_node(node.subject, version)
    branches = [(compile_node(test, version), compile_node(result, version)) for test, result in node.branches]
    otherwise = compile_node(node.otherwise, version) if node.otherwise is not None else None

    def case(scope: Scope) -> Value:
        value = subject(scope)
        if value is UNDEFINED:
            return UNDEFINED
        for test, result in branches:
            if equals(value, test(scope)) is True:
                return result(scope)
        return otherwise(scope) if otherwise is not None else UNDEFINED

    return case


def _cast(node: tree.Cast, version: str) -> Evaluate:
    operand, keyword = compile_node(node.operand, version), node.keyword
    return _numeric(lambda scope: cast(operand(scope), keyword), version)


def _undefined(scope: Scope) -> Value:
    return UNDEFINED


def _call(node: tree.Call, version: str) -> Evaluate:
    function = FUNCTIONS[node.function]
    if not function.fewest <= len(node.arguments) <= function.most:
        return _undefined
    apply, arguments = function.apply, [compile_node(argument, version) for argument in node.arguments]
    if node.function == "get_or_default":
        return _get_or_default(arguments)
    if node.function == "encode" and isinstance(node.arguments[0], tree.Star):
        arguments[0] = _raw
    if not function.external and all(isinstance(argument, tree.Literal) for argument in node.arguments):
        constants = [argument.value for argument in node.arguments if isinstance(argument, tree.Literal)]
        return _numeric(lambda scope: apply(constants, scope), version)
    return _numeric(lambda scope: apply([argument(scope) for argument in arguments], scope), version)


def _raw(scope: Scope) -> Value:
    """encode(*, …): the payload's bytes as they came; in a nested query the row."""
    return scope.row if scope.nested else scope.arrival.message.payload


def _get_or_default(arguments: list[Evaluate]) -> Evaluate:
    """get_or_default(expression, default): also when the expression fails (page: iot-sql-functions).

    A bound that was reached is no answer of the expression: it goes to the error action.
    """

    def value_or_default(scope: Scope) -> Value:
        try:
            value = arguments[0](scope)
        except TooMuch:
            raise
        except MilepostError:
            value = UNDEFINED
        if value is not UNDEFINED and value is not None:
            return value
        return arguments[1](scope) if len(arguments) > 1 else UNDEFINED

    return value_or_default


_COMPILERS: dict[type, Callable[[Any, str], Evaluate]] = {
    tree.Literal: _literal,
    tree.Name: _name,
    tree.Variable: _variable,
    tree.Star: _star,
    tree.Member: _member,
    tree.MemberSpread: _spread,
    tree.Index: _index,
    tree.ArrayLiteral: _array,
    tree.ObjectLiteral: _object,
    tree.Negate: _negate,
    tree.Not: _not,
    tree.Binary: _binary,
    tree.Case: _case,
    tree.Cast: _cast,
    tree.Call: _call,
    tree.Query: _query,
}
