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

from iot_rules.errors import SqlError
from iot_rules.sql import tree
from iot_rules.sql.expressions import ExpressionParser
from iot_rules.sql.lexer import Token, read, skip_space
from iot_rules.sql.visitor import needs_json

MAX_LENGTH = 65_535
_MAX_VARIABLES = 10
_MAX_NAME = 64


def parse(sql: str, version: str = tree.LATEST) -> tree.Statement:
    """Parse one statement. Raises SqlError."""
    if version not in tree.VERSIONS:
        raise SqlError(f"no SQL version {version!r}: use one of {', '.join(tree.VERSIONS)}", sql, 0)
    if len(sql) > MAX_LENGTH:
        raise SqlError(f"a statement has at most {MAX_LENGTH} characters", sql, MAX_LENGTH)
    return _StatementParser(sql, version).statement()


def parse_expression_at(text: str, at: int, version: str) -> tuple[tree.Node, Token]:
    """Parse the expression that starts at `at`; the token after it is returned unread."""
    parser = ExpressionParser(text, version, at)
    node = parser.expression()
    return node, parser.token


class _StatementParser(ExpressionParser):
    """The clauses of a whole statement, on top of expressions."""

    def statement(self) -> tree.Statement:
        variables = self._set_clause() if self.at_word("set") else ()
        self.expect("SELECT")
        value, columns = self.select()
        topic_filter = self._topic_filter() if self.at_word("from") else None
        where = self.expression() if self.take_word("where") else None
        if self.token.kind != "end":
            raise self.error(f"expected the end of the statement, found {self.found()}{self._remedy()}")
        statement = tree.Statement(columns, value, topic_filter, where, variables, self.version)
        return replace(statement, needs_json=needs_json(statement))

    def _remedy(self) -> str:
        if self.token.text == ";":
            return ": leave the semicolon out"
        if self.at_word("group", "order", "having", "limit", "join"):
            return ": AWS IoT SQL has SET, SELECT, FROM and WHERE only"
        return ""

    def _set_clause(self) -> tuple[tuple[str, tree.Node], ...]:
        self.advance()
        variables: dict[str, tree.Node] = {}
        while True:
            name = self.token
            if name.kind != "variable":
                raise self.error(f"expected a variable, @name, here, found {self.found()}")
            if name.text in variables:
                raise self.error(f"@{name.text} is set twice: a variable is set once")
            if len(name.text) > _MAX_NAME or not name.text.isascii():
                raise self.error(f"a variable's name has letters, digits and _, at most {_MAX_NAME}")
            if len(variables) == _MAX_VARIABLES:
                raise self.error(f"at most {_MAX_VARIABLES} variables can be set")
            self.advance()
            self.expect("=")
            variables[name.text] = self.expression()
            if not self.take_symbol(","):
                return tuple(variables.items())

    def _topic_filter(self) -> str:
        """The filter after FROM: a string, or, as one page of the reference has it, bare (FROM topic/#)."""
        at = skip_space(self.text, self.token.end)
        if self.text[at : at + 1] in ("'", '"'):
            self.advance()
            token = self.advance()
            problem = filter_problem(str(token.value))
            if problem:
                raise self.error(problem, token)
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
