"""`milepost provision` in the test's own process."""

import json
import sys
from typing import Any

import pytest

import milepost


class Cli:
    """`milepost provision ARGUMENTS` in this process, in an empty working directory."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capture = patch, capture
        self.said = ""

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        self._patch.setattr(sys, "argv", ["milepost", "provision", *map(str, arguments)])
        self._capture.readouterr()
        code: Any = 0
        try:
            milepost.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = self._capture.readouterr()
        self.said += out + err
        return int(code), out, err

    def json(self, *arguments: object) -> Any:
        """The document of a command that must succeed."""
        code, out, err = self(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)
