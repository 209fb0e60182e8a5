"""The simulator's runs in the console: listed, shown, and nothing else of the data directory."""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette

from console import run_reports
from console.access import ConsoleAccess
from console.settings import ConsoleSettings


@pytest.fixture
def console(tmp_path: Path) -> Iterator[str]:
    run = tmp_path / "runs" / "partition-1"
    run.mkdir(parents=True)
    (run / "report.html").write_text("<p>It balances</p>")
    (tmp_path / "report.html").write_text("not a run")
    app = Starlette(routes=run_reports.routes(tmp_path, ConsoleAccess(ConsoleSettings(), ())))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(60)


def test_a_run_is_listed_and_shown(console: str) -> None:
    with urllib.request.urlopen(f"{console}/runs") as answer:
        assert 'href="/runs/partition-1"' in answer.read().decode()
    with urllib.request.urlopen(f"{console}/runs/partition-1") as answer:
        assert answer.read() == b"<p>It balances</p>"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["..", "%2e%2e", "nothing", "partition-1%2f.."])
def test_nothing_else_is_shown(name: str, console: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{console}/runs/{name}")
    assert refused.value.code == 404
