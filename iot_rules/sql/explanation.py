"""Why a statement gave what it gave: which operands were Undefined, or what WHERE came to, for one message."""

from dataclasses import dataclass

from contract.errors import MilepostError
from iot_rules.sql import tree
from iot_rules.sql.evaluator import compile_node
from iot_rules.sql.printer import print_node
from iot_rules.sql.scope import MessageContext, Scope
from iot_rules.sql.values import UNDEFINED, Value
from iot_rules.sql.visitor import children


@dataclass(frozen=True, slots=True)
class Operand:
    """One expression of a statement and its value for a message. clause: SET, SELECT or WHERE.

    value: UNDEFINED where it has none. problem: why it broke off, else "".
    """

    clause: str
    text: str
    position: int
    value: Value
    problem: str = ""


def explain(statement: tree.Statement, arrival: MessageContext) -> list[Operand]:
    """The expressions that are Undefined or break off while none of their own operands is, and both sides of WHERE.

    In the order of the clauses. Never raises. Nested queries are told as a whole, since each row has values of its own.
    """
    scope = Scope(arrival, statement.version, {})
    found: list[Operand] = []
    for name, node in statement.variables:
        found += _causes("SET", node, scope)
        scope.variables[name] = _value("SET", node, scope).value
    for column in statement.columns:
        found += _causes("SELECT", column.expression, scope)
    if statement.where is not None:
        found += _causes("WHERE", statement.where, scope)
        found += [_value("WHERE", node, scope) for node in _conditions(statement.where)]
    return found


def _conditions(node: tree.Node) -> list[tree.Node]:
    """The conditions that AND, OR and NOT join."""
    if isinstance(node, tree.Not):
        return _conditions(node.operand)
    if isinstance(node, tree.Binary) and node.operator in ("AND", "OR"):
        return [*_conditions(node.left), *_conditions(node.right)]
    return [node]


def _causes(clause: str, node: tree.Node, scope: Scope) -> list[Operand]:
    operand = _value(clause, node, scope)
    if operand.value is not UNDEFINED:
        return []
    below = [] if isinstance(node, tree.Query) else children(node)
    causes = [cause for child in below for cause in _causes(clause, child, scope)]
    return causes or [operand]


def _value(clause: str, node: tree.Node, scope: Scope) -> Operand:
    text = print_node(node)
    try:
        return Operand(clause, text, node.position, compile_node(node, scope.version)(scope))
    except MilepostError as error:
        return Operand(clause, text, node.position, UNDEFINED, str(error))
    except RecursionError:
        return Operand(clause, text, node.position, UNDEFINED, "nests too deep")
