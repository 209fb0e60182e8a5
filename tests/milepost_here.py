"""`milepost` in the test's own process, for the commands that only look: a process of its own would start in half a
second of work, and again for each look of a test that waits.

What must be seen as a process (signals, exit, what it writes and holds meanwhile) is started by tests.milepost_process.
"""

import io
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from typing import Any
from unittest.mock import patch

import milepost
from tests.milepost_process import Ran, environment


def call(*arguments: object, environ: Mapping[str, str], stdin: bytes = b"") -> Ran:
    """The command, to its end; environment and umask are as before then.

    Args:
        arguments: after `milepost`.
        environ: the whole environment.
        stdin: what it reads there.

    Returns:
        What it left behind. What it logged is in pytest's own record of logs and not in `err`.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    code: Any = 0
    with ExitStack() as stack:
        stack.callback(os.umask, os.umask(0o022))
        stack.enter_context(patch.dict(os.environ, environ, clear=True))
        stack.enter_context(patch.object(sys, "argv", ["milepost", *map(str, arguments)]))
        stack.enter_context(patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))))
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        try:
            milepost.main()
        except SystemExit as ended:
            code = ended.code
    return Ran(code or 0, out.buffer.getvalue(), err.buffer.getvalue().decode())  # type: ignore[attr-defined]


def run(*arguments: object, **environ: str) -> Ran:
    """As tests.milepost_process.run, without the process: without settings of whoever runs the tests."""
    return call(*arguments, environ=environment(**environ))
