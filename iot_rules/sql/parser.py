"""Tokens to tree: recursive descent, one function a rule of the grammar.

    statement  = [SET @name = expr {, …}] SELECT select [FROM filter] [WHERE expr]
    select     = VALUE expr | column {, column}          column = expr [AS name{.name}]
    expr       = and {OR and}        and = not {AND not}        not = NOT not | compared
    compared   = sum {(= | <> | < | <= | > | >= | IN) sum}      sum = product {(+ | -) product}
    product    = unary {(* | / | %) unary}      unary = - unary | postfix      postfix = primary {.name | [expr]}
    primary    = literal | * | @name | name | name(args) | cast(expr AS type) | CASE … END | [..] | {..}
               | (expr) | (SELECT select FROM postfix [WHERE expr])

`parse` gives a Statement, `parse_expression_at` serves templates. Errors are SqlErrors with a position; time and
depth are bounded whatever the text. Names of functions are checked apart, in validation.py.
"""

from dataclasses import replace
from decimal import Decimal

from iot_rules.errors import SqlError
from iot_rules.sql import tree
from iot_rules.sql.lexer import Token, read, skip_space
from iot_rules.sql.values import narrow
from iot_rules.sql.walk import column_path, needs_json

MAX_LENGTH = 65_535
MAX_DEPTH = 60
_TOKEN_BUDGET = 200_000
_RESERVED = frozenset((
    "select", "from", "where", "as", "and", "or", "not", "in", "case", "when", "then", "else", "end", "null",
    "true", "false",
))  # fmt: skip
_NOT_OPERANDS = _RESERVED - {"not", "case", "null", "true", "false"}
_CONSTANTS = {"null": None, "true": True, "false": False}
_COMPARISONS = frozenset(("=", "<>", "<", "<=", ">", ">="))
_MAX_VARIABLES = 10
_MAX_NAME = 64


def parse(sql: str, version: str = tree.LATEST) -> tree.Statement:
    """Parse one statement. Raises SqlError."""
    if version not in tree.VERSIONS:
        raise SqlError(f"no SQL version {version!r}: use one of {', '.join(tree.VERSIONS)}", sql, 0)
    if len(sql) > MAX_LENGTH:
        raise SqlError(f"a statement has at most {MAX_LENGTH} characters", sql, MAX_LENGTH)
    return Parser(sql, version).statement()


def parse_expression_at(text: str, at: int, version: str) -> tuple[tree.Node, Token]:
    """Parse the expression that starts at `at`; the token after it is returned unread."""
    parser = Parser(text, version, at)
    node = parser.expression()
    return node, parser.token


class Parser:
    """A cursor over the text; `token` is the one not yet taken."""

    def __init__(self, text: str, version: str, at: int = 0) -> None:
        self.text = text
        self.version = version
        self.original = version == tree.ORIGINAL
        self._depth = 0
        self._budget = _TOKEN_BUDGET
        self.token = read(text, at)

    # -- cursor

    def _advance(self) -> Token:
        taken = self.token
        self._budget -= 1
        if self._budget < 0:
            raise self._error("this statement is too complex")
        self.token = read(self.text, taken.end)
        return taken

    def _error(self, message: str, at: Token | None = None) -> SqlError:
        return SqlError(message, self.text, (at or self.token).position)

    def _at_word(self, *words: str) -> bool:
        return self.token.kind == "word" and self.token.text.lower() in words

    def _at_symbol(self, *symbols: str) -> bool:
        return self.token.kind == "symbol" and self.token.text in symbols

    def _take_word(self, word: str) -> bool:
        if self._at_word(word):
            self._advance()
            return True
        return False

    def _take_symbol(self, symbol: str) -> bool:
        if self._at_symbol(symbol):
            self._advance()
            return True
        return False

    def _found(self) -> str:
        return "the end" if self.token.kind == "end" else repr(self.token.text)

    def _expect(self, what: str) -> Token:
        matches = self._at_word(what.lower()) if what.isalpha() else self._at_symbol(what)
        if not matches:
            raise self._error(f"expected {what} here, found {self._found()}")
        return self._advance()

    # -- statement

    def statement(self) -> tree.Statement:
        variables = self._set_clause() if self._at_word("set") else ()
        self._expect("SELECT")
        value, columns = self._select()
        topic_filter = self._topic_filter() if self._at_word("from") else None
        where = self.expression() if self._take_word("where") else None
        if self.token.kind != "end":
            raise self._error(f"expected the end of the statement, found {self._found()}{self._remedy()}")
        statement = tree.Statement(columns, value, topic_filter, where, variables, self.version)
        return replace(statement, needs_json=needs_json(statement))

    def _remedy(self) -> str:
        if self.token.text == ";":
            return ": leave the semicolon out"
        if self._at_word("group", "order", "having", "limit", "join"):
            return ": AWS IoT SQL has SET, SELECT, FROM and WHERE only"
        return ""

    def _set_clause(self) -> tuple[tuple[str, tree.Node], ...]:
        self._advance()
        variables: dict[str, tree.Node] = {}
        while True:
            name = self.token
            if name.kind != "variable":
                raise self._error(f"expected a variable, @name, here, found {self._found()}")
            if name.text in variables:
                raise self._error(f"@{name.text} is set twice: a variable is set once")
            if len(name.text) > _MAX_NAME or not name.text.isascii():
                raise self._error(f"a variable's name has letters, digits and _, at most {_MAX_NAME}")
            if len(variables) == _MAX_VARIABLES:
                raise self._error(f"at most {_MAX_VARIABLES} variables can be set")
            self._advance()
            self._expect("=")
            variables[name.text] = self.expression()
            if not self._take_symbol(","):
                return tuple(variables.items())

    def _topic_filter(self) -> str:
        """The filter after FROM: a string, or, as one page of the reference has it, bare (FROM topic/#)."""
        at = skip_space(self.text, self.token.end)
        if self.text[at : at + 1] in ("'", '"'):
            self._advance()
            token = self._advance()
            problem = filter_problem(str(token.value))
            if problem:
                raise self._error(problem, token)
            return str(token.value)
        end = at
        while end < len(self.text) and not self.text[end].isspace():
            end += 1
        bare = self.text[at:end]
        problem = filter_problem(bare) or ("put the filter in quotes" if "'" in bare or '"' in bare else "")
        if problem or bare.lower() == "where":
            raise SqlError(problem or "expected a topic filter after FROM, 'a/b'", self.text, at)
        self.token = read(self.text, end)
        return bare

    def _select(self) -> tuple[bool, tuple[tree.Column, ...]]:
        if not self._at_word("value"):
            return False, self._columns()
        following = read(self.text, self.token.end)
        if following.kind == "end" or (following.kind == "word" and following.text.lower() in _NOT_OPERANDS):
            return False, self._columns()
        ambiguous = following.kind == "symbol" and following.text in "-*["
        if following.kind == "symbol" and following.text not in "([{-*":
            return False, self._columns()
        return self._value_or_column() if ambiguous else (True, self._value())

    def _value(self) -> tuple[tree.Column, ...]:
        self._advance()
        column = tree.Column(self.expression())
        if self._at_word("as"):
            raise self._error("SELECT VALUE takes no alias: it has no key to name")
        if self._at_symbol(","):
            raise self._error("SELECT VALUE takes one item")
        return (column,)

    def _value_or_column(self) -> tuple[bool, tuple[tree.Column, ...]]:
        """`SELECT value - 1 AS x` has a column named value; `SELECT VALUE -1` has not."""
        mark = self.token
        try:
            chosen = self._value()
            if self.token.kind != "end" and not self._at_word("from", "where") and not self._at_symbol(")"):
                raise self._error(f"expected FROM here, found {self._found()}")
            return True, chosen
        except SqlError:
            self.token = mark
            return False, self._columns()

    def _columns(self) -> tuple[tree.Column, ...]:
        columns = [self._column()]
        while self._take_symbol(","):
            columns.append(self._column())
        return tuple(columns)

    def _column(self) -> tree.Column:
        expression = self.expression()
        alias = self._alias() if self._take_word("as") else ()
        return tree.Column(expression, alias, column_path(expression, alias))

    def _alias(self) -> tuple[str, ...]:
        path = [self._word("a name after AS")]
        while self._take_symbol("."):
            path.append(self._word("a name after the dot"))
        return tuple(path)

    def _word(self, what: str) -> str:
        if self.token.kind != "word":
            raise self._error(f"expected {what}, found {self._found()}")
        return self._advance().text

    # -- expressions

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"this nests, or chains, more than {MAX_DEPTH} deep")

    def expression(self) -> tree.Node:
        self._deeper()
        before = self._depth
        node = self._and()
        while self._at_word("or"):
            position = self._advance().position
            node = self._chained(tree.Binary("OR", node, self._and(), position))
        self._depth = before - 1
        return node

    def _chained(self, node: tree.Node) -> tree.Node:
        self._deeper()
        return node

    def _and(self) -> tree.Node:
        node = self._not()
        while self._at_word("and"):
            position = self._advance().position
            node = self._chained(tree.Binary("AND", node, self._not(), position))
        return node

    def _not(self) -> tree.Node:
        if not self._at_word("not"):
            return self._compared()
        position = self._advance().position
        self._deeper()
        return tree.Not(self._not(), position)

    def _compared(self) -> tree.Node:
        node = self._sum()
        while self._at_word("in", "not", "is", "like", "between") or self._at_symbol(*_COMPARISONS):
            if self._at_word("not", "is", "like", "between"):
                raise self._error(_unsupported(self.token.text))
            operator = self._advance()
            if self._at_symbol("="):
                raise self._error("write = for equal")
            node = self._chained(tree.Binary(operator.text.upper(), node, self._sum(), operator.position))
        return node

    def _sum(self) -> tree.Node:
        node = self._product()
        while self._at_symbol("+", "-"):
            operator = self._advance()
            node = self._chained(tree.Binary(operator.text, node, self._product(), operator.position))
        return node

    def _product(self) -> tree.Node:
        node = self._unary()
        while self._at_symbol("*", "/", "%"):
            operator = self._advance()
            node = self._chained(tree.Binary(operator.text, node, self._unary(), operator.position))
        return node

    def _unary(self) -> tree.Node:
        if not self._at_symbol("-"):
            return self._postfix()
        position = self._advance().position
        if self.token.kind == "number":
            number = self._literal_number(self._advance())
            return self._postfix_of(tree.Literal(-number, position))
        self._deeper()
        return tree.Negate(self._unary(), position)

    def _postfix(self) -> tree.Node:
        return self._postfix_of(self._primary())

    def _postfix_of(self, node: tree.Node) -> tree.Node:
        while self._at_symbol(".", "["):
            position = self._advance().position
            if self.text[position] == ".":
                node = self._chained(tree.Member(node, self._word("a key after the dot"), position))
            else:
                node = self._chained(tree.Index(node, self.expression(), position))
                self._expect("]")
        return node

    def _primary(self) -> tree.Node:
        token = self.token
        if token.kind == "word":
            return self._named()
        if token.kind == "symbol" and token.text in "([{*":
            return {"(": self._grouped, "[": self._array, "{": self._object, "*": self._star}[token.text]()
        if token.kind not in ("number", "string", "variable"):
            raise self._error(f"expected an expression here, found {self._found()}")
        self._advance()
        if token.kind == "variable":
            return tree.Variable(token.text, token.position)
        value = self._literal_number(token) if token.kind == "number" else token.value
        return tree.Literal(value, token.position)

    def _literal_number(self, token: Token) -> int | Decimal:
        value: int | Decimal = token.value
        return value if self.original or isinstance(value, int) else narrow(value)

    def _star(self) -> tree.Node:
        return tree.Star(self._advance().position)

    def _named(self) -> tree.Node:
        token = self._advance()
        word = token.text.lower()
        if word in _CONSTANTS:
            return tree.Literal(_CONSTANTS[word], token.position)
        if word == "case":
            return self._case(token)
        if self._at_symbol("(") and word not in _RESERVED:
            return self._cast(token) if word == "cast" else self._call(token)
        if word in _RESERVED:
            raise self._error(f"expected an expression here, found the word {token.text}", token)
        return tree.Name(token.text, token.position)

    def _call(self, name: Token) -> tree.Node:
        self._advance()
        return tree.Call(name.text.lower(), self._list_until(")"), name.position)

    def _list_until(self, closing: str) -> tuple[tree.Node, ...]:
        items: list[tree.Node] = []
        if not self._at_symbol(closing):
            items.append(self.expression())
            while self._take_symbol(","):
                items.append(self.expression())
        self._expect(closing)
        return tuple(items)

    def _cast(self, name: Token) -> tree.Node:
        self._advance()
        operand = self.expression()
        self._expect("AS")
        if self.token.kind != "word" or self.token.text.lower() not in CAST_KEYWORDS:
            raise self._error(f"cast() knows no type {self._found()}: use Int, Decimal, String or Boolean")
        keyword = self._advance().text.lower()
        self._expect(")")
        return tree.Cast(operand, keyword, name.position)

    def _case(self, token: Token) -> tree.Node:
        if self._at_word("when"):
            raise self._error("CASE takes a value to match first: CASE v WHEN t THEN r … END")
        subject, branches = self.expression(), []
        while self._take_word("when"):
            test = self.expression()
            self._expect("THEN")
            branches.append((test, self.expression()))
        if not branches:
            raise self._error(f"CASE needs at least one WHEN, found {self._found()}")
        otherwise = self.expression() if self._take_word("else") else None
        self._expect("END")
        return tree.Case(subject, tuple(branches), otherwise, token.position)

    def _array(self) -> tree.Node:
        position = self._literal_allowed()
        return tree.ArrayLiteral(self._list_until("]"), position)

    def _object(self) -> tree.Node:
        position = self._literal_allowed()
        members: dict[str, tree.Node] = {}
        while not self._at_symbol("}"):
            if self.token.kind != "string":
                raise self._error(f"a key of an object is a string in quotes, found {self._found()}")
            key = str(self._advance().value)
            self._expect(":")
            members[key] = self.expression()
            if not self._take_symbol(","):
                break
        self._expect("}")
        return tree.ObjectLiteral(tuple(members.items()), position)

    def _literal_allowed(self) -> int:
        if self.original:
            raise self._error("array and object literals need SQL version 2016-03-23")
        return self._advance().position

    def _grouped(self) -> tree.Node:
        opening = self._advance()
        node = self._query(opening) if self._at_word("select") else self.expression()
        self._expect(")")
        return node

    def _query(self, opening: Token) -> tree.Node:
        if self.original:
            raise self._error("nested queries need SQL version 2016-03-23")
        self._advance()
        value, columns = self._select()
        self._expect("FROM")
        if self.token.kind == "string":
            raise self._error("a nested query selects FROM a key or an expression, not from a topic")
        source = self._postfix()
        where = self.expression() if self._take_word("where") else None
        return tree.Query(columns, value, source, where, opening.position)


CAST_KEYWORDS = {
    "string": "string", "nvarchar": "string", "text": "string", "ntext": "string", "varchar": "string",
    "int": "int", "integer": "int", "double": "double", "decimal": "decimal", "bool": "boolean",
    "boolean": "boolean",
}  # fmt: skip


def _unsupported(word: str) -> str:
    return {
        "not": "write NOT (a IN b)",
        "is": "write isNull(a) or isUndefined(a)",
        "like": "write startswith(), endswith() or regexp_matches()",
        "between": "write a >= b AND a <= c",
    }[word.lower()]


def filter_problem(topic_filter: str) -> str:
    """What is wrong with a topic filter, or "" (reference page: topics)."""
    if not topic_filter:
        return "a topic filter cannot be empty"
    levels = topic_filter.split("/")
    if any("#" in level and level != "#" for level in levels) or "#" in levels[:-1]:
        return "# must be the last level of a topic filter, alone in it"
    if any("+" in level and level != "+" for level in levels):
        return "+ must be alone in its level of a topic filter"
    return ""
