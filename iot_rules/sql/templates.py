"""Substitution templates of action parameters (page: iot-substitution-templates).

`${expression}` is evaluated on the message, not on the output of SELECT; `$$` is a `$` (a republish to
`$$aws/things/…`); all else stands for itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

from contract.errors import MilepostError
from iot_rules.errors import SqlError
from iot_rules.sql import tree
from iot_rules.sql.evaluator import TOO_DEEP, Evaluate, compile_node
from iot_rules.sql.parser import parse_expression_at
from iot_rules.sql.printer import print_node
from iot_rules.sql.scope import MessageContext, Scope
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


Renderer = Callable[[Scope], Rendered]
"""A template made ready for many messages. Never raises."""


def render(template: tree.Template, arrival: MessageContext, variables: dict[str, Value] | None = None) -> Rendered:
    """The template's text for one message. Never raises."""
    return compile_template(template)(Scope(arrival, template.version, variables or {}))


def compile_template(template: tree.Template) -> Renderer:
    """A template as a function of the scope."""
    parts: list[tuple[str, Evaluate | None]] = [
        (part, None) if isinstance(part, str) else (print_node(part), compile_node(part, template.version))
        for part in template.parts
    ]

    def rendered(scope: Scope) -> Rendered:
        pieces: list[str] = []
        undefined: tuple[str, ...] = ()
        for text, evaluate in parts:
            if evaluate is None:
                pieces.append(text)
                continue
            try:
                value = evaluate(scope)
                value = value if type(value) is str else to_text(value)
            except MilepostError as error:
                return Rendered("", failed=str(error))
            except RecursionError:
                return Rendered("", failed=TOO_DEEP)
            if value is UNDEFINED:
                undefined += (text,)
            else:
                pieces.append(value)
        return Rendered("".join(pieces), undefined)

    return rendered
