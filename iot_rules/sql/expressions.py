"""Tokens to expressions: recursive descent, one method a rule of the grammar that parser.py states.

A cursor over the text, with one token of look-ahead. Errors are SqlErrors with a position; time and depth are bounded
whatever the text.
"""

from decimal import Decimal

from iot_rules.errors import SqlError
from iot_rules.sql import tree
from iot_rules.sql.lexer import Token, read
from iot_rules.sql.values import narrow
from iot_rules.sql.visitor import column_path

MAX_DEPTH = 160
"""How deep a tree may be: a link of a chain (a + b + …) counts 1, a nesting, which also costs stack here, 3."""

_NESTING = 3
_TOKEN_BUDGET = 200_000
_RESERVED = frozenset((
    "select", "from", "where", "as", "and", "or", "not", "in", "case", "when", "then", "else", "end", "null",
    "true", "false",
))  # fmt: skip
_NOT_OPERANDS = _RESERVED - {"not", "case", "null", "true", "false"}
_CONSTANTS = {"null": None, "true": True, "false": False}
_COMPARISONS = frozenset(("=", "<>", "<", "<=", ">", ">="))
CAST_KEYWORDS = {
    "string": "string", "nvarchar": "string", "text": "string", "ntext": "string", "varchar": "string",
    "int": "int", "integer": "int", "double": "double", "decimal": "decimal", "bool": "boolean",
    "boolean": "boolean",
}  # fmt: skip


class ExpressionParser:
    """A cursor over the text; `token` is the one not yet taken."""

    def __init__(self, text: str, version: str, at: int = 0) -> None:
        self.text = text
        self.version = version
        self.original = version == tree.ORIGINAL
        self._depth = 0
        self._budget = _TOKEN_BUDGET
        self.token = read(text, at)

    # -- cursor

    def advance(self) -> Token:
        taken = self.token
        self._budget -= 1
        if self._budget < 0:
            raise self.error("this statement is too complex")
        self.token = read(self.text, taken.end)
        return taken

    def error(self, message: str, at: Token | None = None) -> SqlError:
        return SqlError(message, self.text, (at or self.token).position)

    def at_word(self, *words: str) -> bool:
        return self.token.kind == "word" and self.token.text.lower() in words

    def at_symbol(self, *symbols: str) -> bool:
        return self.token.kind == "symbol" and self.token.text in symbols

    def take_word(self, word: str) -> bool:
        if self.at_word(word):
            self.advance()
            return True
        return False

    def take_symbol(self, symbol: str) -> bool:
        if self.at_symbol(symbol):
            self.advance()
            return True
        return False

    def found(self) -> str:
        return "the end" if self.token.kind == "end" else repr(self.token.text)

    def expect(self, what: str) -> Token:
        matches = self.at_word(what.lower()) if what.isalpha() else self.at_symbol(what)
        if not matches:
            raise self.error(f"expected {what} here, found {self.found()}")
        return self.advance()

    # -- SELECT, of statements and of nested queries

    def select(self) -> tuple[bool, tuple[tree.Column, ...]]:
        if not self.at_word("value"):
            return False, self._columns()
        following = read(self.text, self.token.end)
        if following.kind == "end" or (following.kind == "word" and following.text.lower() in _NOT_OPERANDS):
            return False, self._columns()
        ambiguous = following.kind == "symbol" and following.text in "-*["
        if following.kind == "symbol" and following.text not in "([{-*":
            return False, self._columns()
        return self._value_or_column() if ambiguous else (True, self._value())

    def _value(self) -> tuple[tree.Column, ...]:
        self.advance()
        column = tree.Column(self.expression())
        if self.at_word("as"):
            raise self.error("SELECT VALUE takes no alias: it has no key to name")
        if self.at_symbol(","):
            raise self.error("SELECT VALUE takes one item")
        return (column,)

    def _value_or_column(self) -> tuple[bool, tuple[tree.Column, ...]]:
        """`SELECT value - 1 AS x` has a column named value; `SELECT VALUE -1` has not."""
        mark = self.token
        try:
            chosen = self._value()
            if self.token.kind != "end" and not self.at_word("from", "where") and not self.at_symbol(")"):
                raise self.error(f"expected FROM here, found {self.found()}")
            return True, chosen
        except SqlError:
            self.token = mark
            return False, self._columns()

    def _columns(self) -> tuple[tree.Column, ...]:
        columns = [self._column()]
        while self.take_symbol(","):
            columns.append(self._column())
        return tuple(columns)

    def _column(self) -> tree.Column:
        expression = self.expression()
        alias = self._alias() if self.take_word("as") else ()
        return tree.Column(expression, alias, column_path(expression, alias))

    def _alias(self) -> tuple[str, ...]:
        if self.token.kind == "string":
            raise self.error("an alias is a name without quotes")
        path = [self._word("a name after AS")]
        while self.take_symbol("."):
            path.append(self._word("a name after the dot"))
        return tuple(path)

    def _word(self, what: str) -> str:
        if self.token.kind != "word":
            raise self.error(f"expected {what}, found {self.found()}")
        return self.advance().text

    # -- expressions

    def _deeper(self, by: int = 1) -> None:
        self._depth += by
        if self._depth > MAX_DEPTH:
            raise self.error("this nests, or chains, too deep: take it apart with SET, or use IN")

    def expression(self) -> tree.Node:
        before = self._depth
        self._deeper(_NESTING)
        node = self._and()
        while self.at_word("or"):
            position = self.advance().position
            node = self._chained(tree.Binary("OR", node, self._and(), position))
        self._depth = before
        return node

    def _chained(self, node: tree.Node) -> tree.Node:
        self._deeper()
        return node

    def _and(self) -> tree.Node:
        node = self._not()
        while self.at_word("and"):
            position = self.advance().position
            node = self._chained(tree.Binary("AND", node, self._not(), position))
        return node

    def _not(self) -> tree.Node:
        if not self.at_word("not"):
            return self._compared()
        position = self.advance().position
        self._deeper(_NESTING)
        return tree.Not(self._not(), position)

    def _compared(self) -> tree.Node:
        node = self._sum()
        while self.at_word("in", "not", "is", "like", "between") or self.at_symbol(*_COMPARISONS):
            if self.at_word("not", "is", "like", "between"):
                raise self.error(_unsupported(self.token.text))
            operator = self.advance()
            if self.at_symbol("="):
                raise self.error("write = for equal")
            node = self._chained(tree.Binary(operator.text.upper(), node, self._sum(), operator.position))
        return node

    def _sum(self) -> tree.Node:
        node = self._product()
        while self.at_symbol("+", "-"):
            operator = self.advance()
            node = self._chained(tree.Binary(operator.text, node, self._product(), operator.position))
        return node

    def _product(self) -> tree.Node:
        node = self._unary()
        while self.at_symbol("*", "/", "%"):
            operator = self.advance()
            node = self._chained(tree.Binary(operator.text, node, self._unary(), operator.position))
        return node

    def _unary(self) -> tree.Node:
        if not self.at_symbol("-"):
            return self._postfix()
        position = self.advance().position
        if self.token.kind == "number":
            number = self._literal_number(self.advance())
            return self._postfix_of(tree.Literal(-number, position))
        self._deeper(_NESTING)
        return tree.Negate(self._unary(), position)

    def _postfix(self) -> tree.Node:
        return self._postfix_of(self._primary())

    def _postfix_of(self, node: tree.Node) -> tree.Node:
        while self.at_symbol(".", "["):
            position = self.advance().position
            if self.text[position] == "." and self.take_symbol("*"):
                return tree.MemberSpread(node, position)
            if self.text[position] == ".":
                node = self._chained(tree.Member(node, self._word("a key after the dot"), position))
            else:
                node = self._chained(tree.Index(node, self.expression(), position))
                self.expect("]")
        return node

    def _primary(self) -> tree.Node:
        token = self.token
        if token.kind == "word":
            return self._named()
        if token.kind == "symbol" and token.text in "([{*":
            return {"(": self._grouped, "[": self._array, "{": self._object, "*": self._star}[token.text]()
        if token.kind not in ("number", "string", "variable"):
            raise self.error(f"expected an expression here, found {self.found()}")
        self.advance()
        if token.kind == "variable":
            return tree.Variable(token.text, token.position)
        value = self._literal_number(token) if token.kind == "number" else token.value
        return tree.Literal(value, token.position)

    def _literal_number(self, token: Token) -> int | Decimal:
        value: int | Decimal = token.value
        return value if self.original or isinstance(value, int) else narrow(value)

    def _star(self) -> tree.Node:
        return tree.Star(self.advance().position)

    def _named(self) -> tree.Node:
        token = self.advance()
        word = token.text.lower()
        if word in _CONSTANTS:
            return tree.Literal(_CONSTANTS[word], token.position)
        if word == "case":
            return self._case(token)
        if self.at_symbol("(") and word not in _RESERVED:
            return self._cast(token) if word == "cast" else self._call(token)
        if word == "select":
            raise self.error("a nested query stands in parentheses: (SELECT …).a", token)
        if word in _RESERVED:
            raise self.error(f"expected an expression here, found the word {token.text}", token)
        return tree.Name(token.text, token.position)

    def _call(self, name: Token) -> tree.Node:
        self.advance()
        return tree.Call(name.text.lower(), self._list_until(")"), name.position)

    def _list_until(self, closing: str) -> tuple[tree.Node, ...]:
        items: list[tree.Node] = []
        if not self.at_symbol(closing):
            items.append(self._item())
            while self.take_symbol(","):
                items.append(self._item())
        self.expect(closing)
        return tuple(items)

    def _item(self) -> tree.Node:
        """An argument or an item; a nested query stands there without parentheses of its own too."""
        return self._query(self.token) if self.at_word("select") else self.expression()

    def _cast(self, name: Token) -> tree.Node:
        self.advance()
        operand = self.expression()
        self.expect("AS")
        if self.token.kind != "word" or self.token.text.lower() not in CAST_KEYWORDS:
            raise self.error(f"cast() knows no type {self.found()}: use Int, Decimal, String or Boolean")
        keyword = self.advance().text.lower()
        self.expect(")")
        return tree.Cast(operand, keyword, name.position)

    def _case(self, token: Token) -> tree.Node:
        if self.at_word("when"):
            raise self.error("CASE takes a value to match first: CASE v WHEN t THEN r … END")
        subject, branches = self.expression(), []
        while self.take_word("when"):
            test = self.expression()
            self.expect("THEN")
            branches.append((test, self.expression()))
        if not branches:
            raise self.error(f"CASE needs at least one WHEN, found {self.found()}")
        otherwise = self.expression() if self.take_word("else") else None
        self.expect("END")
        return tree.Case(subject, tuple(branches), otherwise, token.position)

    def _array(self) -> tree.Node:
        position = self._literal_allowed()
        return tree.ArrayLiteral(self._list_until("]"), position)

    def _object(self) -> tree.Node:
        position = self._literal_allowed()
        members: dict[str, tree.Node] = {}
        while not self.at_symbol("}"):
            if self.token.kind != "string":
                raise self.error(f"a key of an object is a string in quotes, found {self.found()}")
            key = str(self.advance().value)
            self.expect(":")
            members[key] = self.expression()
            if not self.take_symbol(","):
                break
        self.expect("}")
        return tree.ObjectLiteral(tuple(members.items()), position)

    def _literal_allowed(self) -> int:
        if self.original:
            raise self.error("array and object literals need SQL version 2016-03-23")
        return self.advance().position

    def _grouped(self) -> tree.Node:
        opening = self.advance()
        node = self._query(opening) if self.at_word("select") else self.expression()
        if self.at_symbol(","):
            raise self.error("a list is an array, in brackets: a IN ['b', 'c']")
        self.expect(")")
        return node

    def _query(self, opening: Token) -> tree.Node:
        if self.original:
            raise self.error("nested queries need SQL version 2016-03-23")
        self.advance()
        value, columns = self.select()
        self.expect("FROM")
        if self.token.kind == "string":
            raise self.error("a nested query selects FROM a key or an expression, not from a topic")
        source = self._postfix()
        where = self.expression() if self.take_word("where") else None
        return tree.Query(columns, value, source, where, opening.position)


def _unsupported(word: str) -> str:
    return {
        "not": "write NOT (a IN b)",
        "is": "write isNull(a) or isUndefined(a)",
        "like": "write startswith(), endswith() or regexp_matches()",
        "between": "write a >= b AND a <= c",
    }[word.lower()]
