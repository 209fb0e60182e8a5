"""Tree to text, such that parsing the text gives the same tree again. Used for keys of unnamed columns and lint."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from iot_rules.sql import tree
from iot_rules.sql.values import is_number

_LEVELS = {"OR": 1, "AND": 2, "=": 4, "<>": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "IN": 4}
_LEVELS |= {"+": 5, "-": 5, "*": 6, "/": 6, "%": 6}
_NOT, _UNARY, _POSTFIX = 3, 7, 8


def print_statement(statement: tree.Statement) -> str:
    """The statement in one line."""
    pieces = []
    if statement.variables:
        assigned = (f"@{name} = {print_node(node)}" for name, node in statement.variables)
        pieces.append("SET " + ", ".join(assigned))
    pieces.append(_select(statement.columns, value=statement.value))
    if statement.topic_filter is not None:
        pieces.append("FROM " + _quoted(statement.topic_filter))
    if statement.where is not None:
        pieces.append("WHERE " + print_node(statement.where))
    return " ".join(pieces)


def print_template(template: tree.Template) -> str:
    """The template's source, normalised."""
    return "".join(
        part.replace("$", "$$") if isinstance(part, str) else "${" + print_node(part) + "}" for part in template.parts
    )


def print_node(node: tree.Node) -> str:
    """One expression, with the parentheses that it needs and no others."""
    return _PRINTERS[type(node)](node)


def _select(columns: tuple[tree.Column, ...], *, value: bool) -> str:
    if value:
        return "SELECT VALUE " + print_node(columns[0].expression)
    text = ", ".join(map(_column, columns))
    if text[:5].lower() == "value" and text[5:].lstrip()[:1] in ("-", "*", "["):
        text = f"({text[:5]}){text[5:]}"  # a column named value, not SELECT VALUE -1
    return "SELECT " + text


def _column(column: tree.Column) -> str:
    text = print_node(column.expression)
    return f"{text} AS {'.'.join(column.alias)}" if column.alias else text


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _level(node: tree.Node) -> int:
    if isinstance(node, tree.Binary):
        return _LEVELS[node.operator]
    if isinstance(node, tree.Not):
        return _NOT
    if isinstance(node, tree.Literal) and is_number(node.value) and str(node.value).startswith("-"):
        return _UNARY
    return _UNARY if isinstance(node, tree.Negate) else _POSTFIX


def _at_least(level: int, node: tree.Node) -> str:
    text = print_node(node)
    return f"({text})" if _level(node) < level else text


def _literal(node: tree.Literal) -> str:
    value = node.value
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return str(value) if isinstance(value, int | Decimal) else _quoted(value)


def _binary(node: tree.Binary) -> str:
    level = _LEVELS[node.operator]
    return f"{_at_least(level, node.left)} {node.operator} {_at_least(level + 1, node.right)}"


def _case(node: tree.Case) -> str:
    branches = "".join(f" WHEN {print_node(test)} THEN {print_node(result)}" for test, result in node.branches)
    otherwise = f" ELSE {print_node(node.otherwise)}" if node.otherwise is not None else ""
    return f"CASE {print_node(node.subject)}{branches}{otherwise} END"


def _query(node: tree.Query) -> str:
    where = f" WHERE {print_node(node.where)}" if node.where is not None else ""
    source = _at_least(_POSTFIX, node.source)
    source = f"({source})" if source.startswith("'") else source
    return f"({_select(node.columns, value=node.value)} FROM {source}{where})"


def _listed(nodes: tuple[tree.Node, ...]) -> str:
    return ", ".join(map(print_node, nodes))


def _object(node: tree.ObjectLiteral) -> str:
    return "{" + ", ".join(f"{_quoted(key)}: {print_node(value)}" for key, value in node.members) + "}"


_PRINTERS: dict[type, Callable[[Any], str]] = {
    tree.Literal: _literal,
    tree.Name: lambda node: node.name,
    tree.Variable: lambda node: "@" + node.name,
    tree.Star: lambda node: "*",
    tree.Member: lambda node: f"{_at_least(_POSTFIX, node.owner)}.{node.name}",
    tree.MemberSpread: lambda node: f"{_at_least(_POSTFIX, node.owner)}.*",
    tree.Index: lambda node: f"{_at_least(_POSTFIX, node.owner)}[{print_node(node.index)}]",
    tree.ArrayLiteral: lambda node: f"[{_listed(node.items)}]",
    tree.ObjectLiteral: _object,
    tree.Negate: lambda node: "-" + _negated(node.operand),
    tree.Not: lambda node: "NOT " + _at_least(_NOT, node.operand),
    tree.Binary: _binary,
    tree.Case: _case,
    tree.Cast: lambda node: f"cast({print_node(node.operand)} AS {node.keyword})",
    tree.Call: lambda node: f"{node.function}({_listed(node.arguments)})",
    tree.Query: _query,
}


def _negated(node: tree.Node) -> str:
    text = _at_least(_UNARY, node)
    # -(0.a) is not (-0).a, and -- starts no expression
    return f"({text})" if text[:1].isdigit() or text[:1] == "-" else text
