"""One ministack for the whole test session, started when first asked for and ended with it.

It enforces IAM (AUTH): what a function's role does not allow is refused, as on AWS.
"""

import atexit
import importlib.util
import tempfile
from functools import cache
from pathlib import Path

import pytest

from deploy.local import Ministack, deploy


@cache
def _started() -> Ministack:
    scratch = tempfile.TemporaryDirectory(prefix="milepost-aws-")
    stack = Ministack(Path(scratch.name), settings={"AUTH": "true"})
    atexit.register(scratch.cleanup)
    stack.__enter__()
    atexit.register(stack.stop)
    return stack


def ministack() -> Ministack:
    """The session's; skips the test where ministack is not installed."""
    for name in ("ministack", "boto3"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install 'milepost[dev]'")
    return _started()


@cache
def _deployed() -> dict[str, str]:
    return deploy(_started())


def deployed() -> tuple[Ministack, dict[str, str]]:
    """The session's ministack with Milepost's stack deployed to it, and the stack's outputs."""
    stack = ministack()
    return stack, _deployed()
