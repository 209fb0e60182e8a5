"""Java regular expressions on the `regex` engine, which can be told to stop.

AWS IoT runs java.util.regex. A pattern is translated construct by construct; what Java would refuse is refused
(None). Every search is bounded by `TIMEOUT`; counted repetitions are bounded, since they cost memory to compile.
"""

from collections.abc import Callable
from functools import lru_cache

import regex

from iot_rules.errors import TooMuch

TIMEOUT = 0.1
"""CPU seconds of one search; one that needs more goes to the error action."""

_MAX_PATTERN = 4096
_MAX_REPEATS = 20_000
_BREAKS = r"\n\r\x85\u2028\u2029"
_END = rf"(?=(?:\r\n|[{_BREAKS}])?\Z)"
_CLASSES = {
    "d": "[0-9]", "D": "[^0-9]", "w": "[A-Za-z0-9_]", "W": "[^A-Za-z0-9_]", "s": r"[ \t\n\x0b\f\r]",
    "S": r"[^ \t\n\x0b\f\r]", "h": r"[ \t\xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000]",
    "H": r"[^ \t\xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000]", "v": r"[\n\x0b\f\r\x85\u2028\u2029]",
    "V": r"[^\n\x0b\f\r\x85\u2028\u2029]",
}  # fmt: skip
_CHARACTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "a": "\a", "e": "\x1b"}
_ANCHORS = {
    "b": r"\b", "B": r"\B", "A": r"\A", "G": r"\G", "Z": _END, "z": r"\Z", "X": r"\X",
    "R": r"(?>\r\n|[\n\x0b\f\r\x85\u2028\u2029])",
}  # fmt: skip
_POSIX = {
    "Lower": "a-z", "Upper": "A-Z", "ASCII": r"\x00-\x7f", "Alpha": "A-Za-z", "Digit": "0-9",
    "Alnum": "A-Za-z0-9", "Punct": r"!-/:-@\[-`{-\~", "Graph": r"!-\~", "Print": r"\ -\~", "Blank": r"\ \t",
    "Cntrl": r"\x00-\x1f\x7f", "XDigit": "0-9A-Fa-f", "Space": r"\ \t\n\x0b\f\r",
}  # fmt: skip
_JAVA = {"javaLowerCase": "Ll", "javaUpperCase": "Lu", "javaWhitespace": "White_Space"}
_LOOKS = ("(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>")
_FLAGS = frozenset("idmsuxU-")
_KEPT_FLAGS = frozenset("imsx-")


class _Invalid(ValueError):
    """Java would throw PatternSyntaxException."""


@lru_cache(maxsize=512)
def compiled(pattern: str) -> "regex.Pattern[str] | None":
    """The compiled pattern, or None if it is no valid Java pattern. Raises TooMuch for one that is not affordable."""
    if len(pattern) > _MAX_PATTERN:
        raise TooMuch(f"a regular expression of more than {_MAX_PATTERN:,} characters: write a shorter one")
    try:
        return regex.compile(_Translator(pattern).translate(), regex.V1 | regex.UNICODE)
    except (_Invalid, regex.error, RecursionError, OverflowError, MemoryError, ValueError, KeyError):
        return None


def find(pattern: str, text: str, timeout: float = TIMEOUT) -> "regex.Match[str] | None":
    """The first match. Raises TimeoutError, or ValueError for an invalid pattern."""
    engine = compiled(pattern)
    if engine is None:
        raise _Invalid(pattern)
    return engine.search(text, timeout=timeout)


def replace_all(pattern: str, text: str, replacement: str, longest: int, timeout: float = TIMEOUT) -> str:
    """Matcher.replaceAll. Raises TimeoutError, TooMuch for a huge result, ValueError for what Java refuses."""
    engine = compiled(pattern)
    if engine is None:
        raise _Invalid(pattern)
    pieces, at, size = [], 0, 0
    for match in engine.finditer(text, timeout=timeout):
        filled = expand(match, replacement)
        pieces += [text[at : match.start()], filled]
        at = match.end()
        size += len(filled)
        if size > longest:
            raise TooMuch(f"regexp_replace() makes a String of more than {longest:,} characters: select less")
    return "".join(pieces) + text[at:]


def expand(match: "regex.Match[str]", replacement: str) -> str:
    """A Java replacement: $1, ${name}, and \\ before a literal. Raises ValueError for what Java refuses."""
    pieces, at = [], 0
    while at < len(replacement):
        char = replacement[at]
        if char == "\\":
            if at + 1 == len(replacement):
                raise _Invalid("a lone backslash")
            pieces.append(replacement[at + 1])
            at += 2
        elif char == "$":
            group, at = _group(match, replacement, at + 1)
            pieces.append(group)
        else:
            pieces.append(char)
            at += 1
    return "".join(pieces)


def _group(match: "regex.Match[str]", replacement: str, at: int) -> tuple[str, int]:
    if replacement[at : at + 1] == "{":
        end = replacement.find("}", at)
        name = replacement[at + 1 : end]
        if end < 0 or name not in match.re.groupindex:
            raise _Invalid("no such group")
        return match.group(name) or "", end + 1
    if not (replacement[at : at + 1].isascii() and replacement[at : at + 1].isdigit()):
        raise _Invalid("a $ without a group")
    number, at = int(replacement[at]), at + 1
    if number > match.re.groups:
        raise _Invalid("no such group")
    while replacement[at : at + 1].isascii() and replacement[at : at + 1].isdigit():
        longer = number * 10 + int(replacement[at])
        if longer > match.re.groups:
            break
        number, at = longer, at + 1
    return match.group(number) or "", at


class _Translator:
    """One pass over a Java pattern; `translate` gives the pattern for `regex` in its V1 mode."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.out: list[str] = []
        self.dot_all = False
        self.multiline = False
        self.repeats = 1
        self.depth = 0

    def translate(self) -> str:
        handlers: dict[str, Callable[[], None]] = {
            "\\": self._escape, "[": self._class, "(": self._open, "{": self._repeat, ".": self._dot,
            "$": self._end, "}": self._literal, "]": self._literal,
        }  # fmt: skip
        while self.at < len(self.pattern):
            handler = handlers.get(self.pattern[self.at])
            if handler is not None:
                handler()
            else:
                self.out.append(self._take())
        return "".join(self.out)

    def _take(self, count: int = 1) -> str:
        taken = self.pattern[self.at : self.at + count]
        if len(taken) < count:
            raise _Invalid("ends too early")
        self.at += count
        return taken

    def _literal(self) -> None:
        self.out.append(regex.escape(self._take(), special_only=False))

    def _dot(self) -> None:
        self.at += 1
        self.out.append("." if self.dot_all else f"[^{_BREAKS}]")

    def _end(self) -> None:
        self.at += 1
        self.out.append("$" if self.multiline else _END)

    def _repeat(self) -> None:
        end = self.pattern.find("}", self.at)
        low, comma, high = self.pattern[self.at + 1 : end].partition(",")
        if end < 0 or not low.isdigit() or (high and not high.isdigit()):
            raise _Invalid("an illegal repetition")
        self.repeats *= max(1, int(low[:6]), int(high[:6]) if high else 1)
        if high and int(high) < int(low):
            raise _Invalid("an illegal repetition")
        if self.repeats > _MAX_REPEATS:
            raise TooMuch(f"a regular expression that repeats over {_MAX_REPEATS:,} times: repeat less often")
        self.out.append(f"{{{int(low)}{comma}{high}}}")
        self.at = end + 1

    def _open(self) -> None:
        self.depth += 1
        if self.depth > 200:
            raise TooMuch("a regular expression of more than 200 groups: write fewer")
        rest = self.pattern[self.at :]
        if not rest.startswith("(?"):
            self.out.append(self._take())
        elif look := next((look for look in sorted(_LOOKS, key=len, reverse=True) if rest.startswith(look)), None):
            self.out.append(self._take(len(look)))
        elif rest.startswith("(?<"):
            self.at += 3
            self.out.append(f"(?P<{self._name()}>")
        else:
            self._flags()

    def _name(self) -> str:
        end = self.pattern.find(">", self.at)
        name = self.pattern[self.at : end]
        if end < 0 or not name.isascii() or not name.isalnum() or name[0].isdigit():
            raise _Invalid("an illegal group name")
        self.at = end + 1
        return name

    def _flags(self) -> None:
        self.at += 2
        flags = ""
        while self.pattern[self.at : self.at + 1] in _FLAGS and self.at < len(self.pattern):
            flags += self._take()
        closing = self._take()
        if closing not in ":)" or flags.count("-") > 1:
            raise _Invalid("an unknown group")
        positive = flags.partition("-")[0]
        self.dot_all = self.dot_all or "s" in positive
        self.multiline = self.multiline or "m" in positive
        kept = "".join(flag for flag in flags if flag in _KEPT_FLAGS)
        kept = kept.removesuffix("-")
        if closing == ")":
            self.out.append(f"(?{kept})" if kept else "")
        else:
            self.out.append(f"(?{kept}:")

    def _escape(self) -> None:
        char = self.pattern[self.at + 1 : self.at + 2]
        if char in _ANCHORS and char:
            self.at += 2
            self.out.append(_ANCHORS[char])
        elif char == "k":
            self.at += 2
            if self._take() != "<":
                raise _Invalid(r"\k is not followed by a name")
            self.out.append(f"(?P={self._name()})")
        elif char.isdigit() and char != "0":
            self.out.append(self._take(2))
        else:
            self._common_escape()

    def _common_escape(self) -> None:
        """An escape that means the same inside a class and outside."""
        self.at += 1
        char = self._take()
        if char in _CLASSES:
            self.out.append(_CLASSES[char])
        elif char in "pP":
            self.out.append(self._property(negated=char == "P"))
        elif char == "Q":
            end = self.pattern.find("\\E", self.at)
            quoted = self.pattern[self.at : end if end >= 0 else len(self.pattern)]
            self.at = end + 2 if end >= 0 else len(self.pattern)
            self.out += [regex.escape(one, special_only=False) for one in quoted]
        else:
            self.out.append(regex.escape(self._character(char), special_only=False))

    def _character(self, char: str) -> str:
        if char in _CHARACTERS:
            return _CHARACTERS[char]
        if char == "x" and self.pattern[self.at : self.at + 1] == "{":
            self.at += 1
            return chr(int(self._braced(), 16))
        if char in "xu":
            return chr(int(self._take(2 if char == "x" else 4), 16))
        if char == "c":
            return chr(ord(self._take()) ^ 64)
        if char == "0":
            end = self.at
            while end < self.at + 3 and self.pattern[end : end + 1] in tuple("01234567"):
                end += 1
            return chr(int(self._take(end - self.at), 8))
        if char.isascii() and char.isalnum():
            raise _Invalid("an unknown escape")
        return char

    def _braced(self) -> str:
        """What stands before the next }, which is taken too."""
        end = self.pattern.find("}", self.at)
        if end < 0:
            raise _Invalid("a brace is not closed")
        inside, self.at = self.pattern[self.at : end], end + 1
        return inside

    def _property(self, *, negated: bool) -> str:
        name = self._take()
        if name == "{":
            name = self._braced()
        sign = "^" if negated else ""
        if name in _POSIX:
            return f"[{sign}{_POSIX[name]}]"
        name = _JAVA.get(name, name)
        name = name[2:] if name.startswith(("Is", "In")) else name
        return rf"\{'P' if negated else 'p'}{{{name}}}"

    def _class(self) -> None:
        """[…], nested and intersected as in Java; `regex` has the same in its V1 mode."""
        depth = 0
        while True:
            char = self.pattern[self.at : self.at + 1]
            if char == "[":
                depth += 1
                self.out.append(self._take())
                if self.pattern[self.at : self.at + 1] == "^":
                    self.out.append(self._take())
                if self.pattern[self.at : self.at + 1] == "]":
                    self._literal()
            elif char == "]":
                depth -= 1
                self.out.append(self._take())
            elif char == "\\":
                self._common_escape()
            elif char == "-" or self.pattern.startswith("&&", self.at):
                self._set_operator(char)
            else:
                self._literal()
            if not depth:
                return

    def _set_operator(self, char: str) -> None:
        if char == "&":
            self.out.append(self._take(2))
        elif self.out[-1] in ("-", "[", "^") or self.pattern[self.at + 1 : self.at + 2] in ("-", "]"):
            self._literal()
        else:
            self.out.append(self._take())
