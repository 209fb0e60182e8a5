"""The typed tree of a statement: frozen, comparable, without behaviour.

Positions (0-based characters of the source) are carried for messages and left out of comparison.
"""

from dataclasses import dataclass, field

from iot_rules.sql.values import Value

LATEST = "2016-03-23"
ORIGINAL = "2015-10-08"
VERSIONS = (ORIGINAL, LATEST, "beta")


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, string, Boolean or NULL."""

    value: Value
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A key of the payload, or of the row of a nested query."""

    name: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Variable:
    """@name, set by the SET clause."""

    name: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Star:
    """The whole payload, or the row of a nested query."""

    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Member:
    """owner.name"""

    owner: "Node"
    name: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class MemberSpread:
    """owner.*: as a column the members of an Object, each under its own key."""

    owner: "Node"
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Index:
    """owner[index]"""

    owner: "Node"
    index: "Node"
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ArrayLiteral:
    """[a, b]"""

    items: tuple["Node", ...]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ObjectLiteral:
    """{'key': value}"""

    members: tuple[tuple[str, "Node"], ...]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Negate:
    """-operand"""

    operand: "Node"
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """NOT operand"""

    operand: "Node"
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """left operator right; operator is the symbol, or AND, OR, IN."""

    operator: str
    left: "Node"
    right: "Node"
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Case:
    """CASE subject WHEN test THEN result … ELSE otherwise END"""

    subject: "Node"
    branches: tuple[tuple["Node", "Node"], ...]
    otherwise: "Node | None"
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Cast:
    """cast(operand AS keyword); keyword is in lower case."""

    operand: "Node"
    keyword: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """function(arguments); the name is in lower case."""

    function: str
    arguments: tuple["Node", ...]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Column:
    """One item of SELECT; alias is the dotted path after AS, or empty; path is where the value is put."""

    expression: "Node"
    alias: tuple[str, ...] = ()
    path: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Query:
    """(SELECT [VALUE] columns FROM source [WHERE where]), nested in an expression."""

    columns: tuple[Column, ...]
    value: bool
    source: "Node"
    where: "Node | None"
    position: int = field(default=0, compare=False)


Node = (
    Literal | Name | Variable | Star | Member | MemberSpread | Index | ArrayLiteral | ObjectLiteral
    | Negate | Not | Binary | Case | Cast | Call | Query
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Statement:
    """[SET …] SELECT [VALUE] columns [FROM 'filter'] [WHERE where]

    topic_filter is None for a rule that only Basic Ingest triggers. needs_json: it cannot be used with a binary
    payload.
    """

    columns: tuple[Column, ...]
    value: bool
    topic_filter: str | None
    where: Node | None
    variables: tuple[tuple[str, Node], ...] = ()
    version: str = LATEST
    needs_json: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Template:
    """A substitution template: literal text and expressions in order."""

    parts: tuple[str | Node, ...]
    version: str = LATEST
