"""What the grammar cannot say: which functions and variables exist. Refuses with a position, never guesses."""

import difflib

from iot_rules.errors import SqlError
from iot_rules.sql import tree
from iot_rules.sql.functions import FUNCTIONS
from iot_rules.sql.visitor import all_nodes

_CONSTANT = {
    "transform": (0,), "get_registry_data": (0, 2), "get_dynamodb": (-1,), "get_thing_shadow": (-1,),
    "get_secret": (-1,), "machinelearning_predict": (1,),
}  # fmt: skip
"""Arguments that select a mode or a role, where a variable cannot stand (page: iot-sql-set)."""


def validate_statement(statement: tree.Statement, text: str) -> None:
    """Raises SqlError for an unknown function or variable, or one that the version has not."""
    known: set[str] = set()
    for name, node in statement.variables:
        validate_expression(node, text, statement.version, known)
        known.add(name)
    for column in statement.columns:
        validate_expression(column.expression, text, statement.version, known)
    if statement.where is not None:
        validate_expression(statement.where, text, statement.version, known)


def validate_expression(root: tree.Node, text: str, version: str, variables: set[str]) -> None:
    """The same for one expression."""
    for node in sorted(all_nodes(root), key=lambda node: node.position):
        if isinstance(node, tree.Call):
            _validate_call(node, text, version)
        elif isinstance(node, tree.Variable) and node.name not in variables:
            raise SqlError(f"@{node.name} is not set before this: set it in the SET clause", text, node.position)


def _validate_call(node: tree.Call, text: str, version: str) -> None:
    function = FUNCTIONS.get(node.function)
    if function is None:
        close = difflib.get_close_matches(node.function, FUNCTIONS, n=1)
        hint = f": did you mean {close[0]}()?" if close else ": see the functions in the AWS IoT SQL reference"
        raise SqlError(f"there is no function {node.function}(){hint}", text, node.position)
    if function.latest_only and version == tree.ORIGINAL:
        raise SqlError(f"{node.function}() needs SQL version {tree.LATEST}", text, node.position)
    for at in _CONSTANT.get(node.function, ()):
        if len(node.arguments) > max(at, 0) and isinstance(node.arguments[at], tree.Variable):
            message = f"a variable cannot stand here: {node.function}() needs a literal string"
            raise SqlError(message, text, node.arguments[at].position)
    scheme = node.arguments[1] if len(node.arguments) > 1 else None
    if node.function == "decode" and isinstance(scheme, tree.Literal) and scheme.value == "proto":
        raise SqlError("decode() of Protobuf is not supported here: only 'base64' is", text, node.position)


def called_functions(statement: tree.Statement) -> list[tree.Call]:
    """Every call of a statement, in the order of the text."""
    roots = [node for _, node in statement.variables] + [column.expression for column in statement.columns]
    roots += [statement.where] if statement.where is not None else []
    calls = [node for root in roots for node in all_nodes(root) if isinstance(node, tree.Call)]
    return sorted(calls, key=lambda call: call.position)
