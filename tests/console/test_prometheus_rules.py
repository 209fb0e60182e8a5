"""The rules for Prometheus: promtool runs their tests, and each names a metric that /metrics has."""

import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

RULES = Path(__file__).parents[2] / "console" / "prometheus-rules.yml"
TESTS = Path(__file__).with_name("prometheus-rules-test.yml")


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed (Debian: prometheus)")
def test_promtool_runs_the_rules() -> None:
    subprocess.run(["promtool", "test", "rules", TESTS.name], cwd=TESTS.parent, check=True)


def test_every_rule_names_a_metric_that_is_there(url: str) -> None:
    text = httpx.get(f"{url}/metrics", timeout=60).text
    known = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert set(re.findall(r"milepost_\w+", "\n".join(re.findall("expr: .*", RULES.read_text())))) <= known
