"""One ministack for the whole test session, started when first asked for and ended with it.

It enforces IAM (AUTH): what a function's role does not allow is refused, as on AWS.
"""

import atexit
import importlib.util
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest

from deploy.ministack import Ministack, deploy


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


def sam_cli() -> Path:
    """The SAM CLI: `sam` in PATH, SAM_CLI, or the clone's .venv-sam; skips the test where there is none."""
    here = Path(__file__).parent.parent / ".venv-sam/bin/sam"
    found = shutil.which("sam") or os.environ.get("SAM_CLI") or (here.exists() and here)
    if not found:
        pytest.skip("aws-sam-cli is not installed: it wants an environment of its own, see docs/deploy-aws.md")
    return Path(found)
