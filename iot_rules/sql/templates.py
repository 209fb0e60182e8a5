"""Substitution templates of action parameters (page: iot-substitution-templates).

`${expression}` is evaluated on the message, not on the output of SELECT; `$$` is a `$` (a republish to
`$$aws/things/…`); all else stands for itself.
"""

from dataclasses import dataclass

from contract.errors import MilepostError
from iot_rules.errors import SqlError
from iot_rules.sql import tree
from iot_rules.sql.evaluator import evaluate
from iot_rules.sql.parser import parse_expression_at
from iot_rules.sql.printer import print_node
from iot_rules.sql.scope import Arrival, Scope
from iot_rules.sql.validation import validate_expression
from iot_rules.sql.values import UNDEFINED, Value, to_text


@dataclass(frozen=True, slots=True)
class Rendered:
    """text: Undefined parts are empty in it. undefined: those parts' expressions; failed: why it broke off, or ""."""

    text: str
    undefined: tuple[str, ...] = ()
    failed: str = ""


def parse_template(text: str, version: str = tree.LATEST, variables: frozenset[str] = frozenset()) -> tree.Template:
    """Parse a template. Raises SqlError with the position in the template."""
    parts: list[str | tree.Node] = []
    literal, at = "", 0
    while at < len(text):
        if text.startswith("${", at):
            node, after = parse_expression_at(text, at + 2, version)
            if after.text != "}" or after.kind != "symbol":
                message = "this ${ has no closing }" if after.kind == "end" else "expected } here"
                raise SqlError(message, text, after.position)
            validate_expression(node, text, version, set(variables))
            parts += [literal, node] if literal else [node]
            literal, at = "", after.end
        else:
            step = 2 if text.startswith("$$", at) and not text.startswith("$${", at) else 1
            literal += text[at]
            at += step
    return tree.Template((*parts, literal) if literal else tuple(parts), version)


def render(template: tree.Template, arrival: Arrival, variables: dict[str, Value] | None = None) -> Rendered:
    """The template's text for one message. Never raises."""
    scope = Scope(arrival, template.version, variables or {})
    pieces, undefined = [], []
    for part in template.parts:
        if isinstance(part, str):
            pieces.append(part)
            continue
        try:
            text = to_text(evaluate(part, scope))
        except MilepostError as error:
            return Rendered("", failed=str(error))
        if text is UNDEFINED:
            undefined.append(print_node(part))
        else:
            pieces.append(text)
    return Rendered("".join(pieces), tuple(undefined))
