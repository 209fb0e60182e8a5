"""Functions that call out: each asks the resolver that was injected under its name. Page: iot-sql-functions.

Arguments go to the resolver as values; an answer that is no JSON value is a failure of the statement.
"""

from contract import codec
from iot_rules.errors import FunctionFailed
from iot_rules.sql.functions.registry import function
from iot_rules.sql.scope import Scope
from iot_rules.sql.values import Value, depth, from_python

_ARITIES = {
    "aws_lambda": (2, 2),
    "get_dynamodb": (4, 6),
    "get_registry_data": (3, 3),
    "get_secret": (3, 4),
    "get_thing_shadow": (2, 3),
    "machinelearning_predict": (3, 3),
}
_SINCE_FIRST = ("aws_lambda", "machinelearning_predict", "get_secret")


def _ask(name: str, values: list[Value], scope: Scope) -> Value:
    resolver = scope.arrival.surroundings.resolvers.get(name)
    if resolver is None:
        raise FunctionFailed(f"{name}() calls out, and no resolver for it is configured here")
    try:
        answer = from_python(resolver(values))
    except (ValueError, RecursionError) as error:
        raise FunctionFailed(f"{name}() answered what is no JSON: {error}") from None
    if depth(answer) > codec.MAX_DEPTH:
        raise FunctionFailed(f"{name}() answered JSON that nests more than {codec.MAX_DEPTH} deep")
    return answer


def _register(name: str, fewest: int, most: int) -> None:
    def apply(values: list[Value], scope: Scope) -> Value:
        return _ask(name, values, scope)

    apply.__doc__ = f"{name}: answered by its resolver. Page: iot-sql-function-{name}."
    function(name, fewest, most, latest_only=name not in _SINCE_FIRST, external=True)(apply)


for _name, (_fewest, _most) in _ARITIES.items():
    _register(_name, _fewest, _most)
