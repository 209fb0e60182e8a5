"""Walking a tree: which nodes lie below another, and what a statement therefore needs of its payload."""

from iot_rules.sql import tree
from iot_rules.sql.printer import print_node


def needs_json(statement: tree.Statement) -> bool:
    """Whether a statement cannot be used with a binary payload (page: binary-payloads, rules 1 and 2)."""
    for column in statement.columns:
        if isinstance(column.expression, tree.Star) and (len(statement.columns) > 1 or column.alias):
            return True
    roots: list[tree.Node] = [column.expression for column in statement.columns]
    roots += [node for _, node in statement.variables]
    roots += [statement.where] if statement.where is not None else []
    return any(isinstance(node, tree.Name) for root in roots for node in outer_nodes(root))


def outer_nodes(root: tree.Node) -> list[tree.Node]:
    """The nodes whose names mean the payload: all, but for the inside of nested queries, save their source."""
    found, stack = [], [root]
    while stack:
        node = stack.pop()
        found.append(node)
        stack.extend([node.source] if isinstance(node, tree.Query) else children(node))
    return found


def all_nodes(root: tree.Node) -> list[tree.Node]:
    """Every node of an expression, nested queries included."""
    found, stack = [], [root]
    while stack:
        node = stack.pop()
        found.append(node)
        stack.extend(children(node))
    return found


def children(node: tree.Node) -> list[tree.Node]:
    """The nodes directly below one."""
    match node:
        case tree.Member(owner=owner) | tree.MemberSpread(owner=owner):
            return [owner]
        case tree.Index(owner=owner, index=index):
            return [owner, index]
        case tree.ArrayLiteral(items=items):
            return list(items)
        case tree.ObjectLiteral(members=members):
            return [value for _, value in members]
        case tree.Negate(operand=operand) | tree.Not(operand=operand) | tree.Cast(operand=operand):
            return [operand]
        case tree.Binary(left=left, right=right):
            return [left, right]
        case tree.Case(subject=subject, branches=branches, otherwise=otherwise):
            flat = [part for branch in branches for part in branch]
            return [subject, *flat, *([otherwise] if otherwise is not None else [])]
        case tree.Call(arguments=arguments):
            return list(arguments)
        case tree.Query(columns=columns, source=source, where=where):
            inner = [column.expression for column in columns]
            return [source, *inner, *([where] if where is not None else [])]
    return []


def column_path(expression: tree.Node, alias: tuple[str, ...]) -> tuple[str, ...]:
    """The key of a column: its alias; else the last name of the expression or the function's name; else its text.

    The reference shows only the alias and the last name; AWS names the others so.
    """
    if alias:
        return alias
    if isinstance(expression, tree.Name | tree.Member | tree.Variable):
        return (expression.name,)
    if isinstance(expression, tree.Call):
        return (expression.function,)
    return (print_node(expression),)
