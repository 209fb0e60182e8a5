"""What is wrong with a rule: one tree, rooted in contract/errors.py.

`SqlError` is the author's to mend (exit 2) and points at its place; `FunctionFailed` is one message's bad luck
inside a statement, which the evaluator turns into a `Failed` outcome and never lets out.
"""

from contract.errors import MilepostError, Misconfigured


class SqlError(Misconfigured):
    """A statement or template that AWS IoT would refuse, or that means what Milepost does not support.

    position is 0-based in `text`, the whole statement or template; `str()` is the message alone, `caret()` shows
    the place.
    """

    def __init__(self, message: str, text: str, position: int) -> None:
        super().__init__(f"{message} (at character {position + 1})")
        self.reason = message
        self.text = text
        self.position = position

    def caret(self) -> str:
        """Three lines: what is wrong, the line of the statement, and ^ under the place."""
        start = self.text.rfind("\n", 0, self.position) + 1
        end = self.text.find("\n", start)
        line = self.text[start : end if end >= 0 else len(self.text)].replace("\t", " ")
        return f"{self}\n  {line}\n  {' ' * (self.position - start)}^"


class FunctionFailed(MilepostError):
    """A function that calls out (aws_lambda, get_dynamodb, …) gave no result for this message."""


class TooMuch(MilepostError):
    """A statement would take this message more time or memory than any real one needs: it breaks off."""


class DeliveryFailed(MilepostError):
    """An action could not be performed for one message: its rule's error action is told."""
