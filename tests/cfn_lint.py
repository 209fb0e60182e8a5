"""cfn-lint on the project's templates, as every room's tests run it."""

import subprocess
import sys
from pathlib import Path

import pytest


def assert_clean(template: Path) -> None:
    """Fail with what cfn-lint says, infos included; skip where it is not installed."""
    program = Path(sys.executable).with_name("cfn-lint")
    if not program.exists():
        pytest.skip("cfn-lint is not installed: pip install 'milepost[dev]'")
    done = subprocess.run([program, "--include-checks", "I", "--", template], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
