"""`milepost agent once` and `status`, and what the service process does not load."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.buffer.sqlite import SqliteBuffer
from agent.cli import app
from tests.agent.live import Broker, Listener
from tests.agent.trucks import TRUCK, write_candump
from tests.waiting import until


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings towards a broker that is not there."""
    write_candump(tmp_path / "engine.log")
    path = tmp_path / "milepost.toml"
    path.write_text(
        f'[agent]\ntruck_id = "{TRUCK}"\nbroker = "mqtt://127.0.0.1:1"\nbuffer = "{tmp_path / "buffer.db"}"\n'
        f'[[agent.sensors]]\ntype = "replay"\npath = "{tmp_path / "engine.log"}"\n'
    )
    return path


def _run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_once_stores_sends_and_prints_one_sample(broker: Broker, listener: Listener, config: Path) -> None:
    config.write_text(config.read_text().replace("mqtt://127.0.0.1:1", broker.url))
    code, output, _ = _run("once", "--config", config, "--json")
    document = json.loads(output)
    assert (code, document["sent"], document["outcome"]) == (0, True, "sent")
    assert document["sample"]["engine_diagnostics"]["engine_rpm"] == 650
    until(lambda: listener.of("telemetry") == [document["sample"]])
    code, output, _ = _run("status", "--config", config, "--json")
    status = json.loads(output)
    assert (code, status["highest_seq"], status["pending"], status["sent"]) == (0, 1, 0, 1)
    assert status["last_sample"] == document["sample"]
    assert status["last_sent_at"]


def test_once_keeps_the_sample_when_nobody_is_there(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.runtime.once.CONNECT_SECONDS", 0.3)
    code, output, _ = _run("once", "--config", config)
    assert code == 0
    assert "engine_rpm" in output
    assert "cannot be reached" in output
    code, output, _ = _run("status", "--config", config)
    assert "to be sent        1 sample\n" in output


def test_what_is_wrong_exits_2_with_the_remedy(config: Path, tmp_path: Path) -> None:
    assert _run("status", "--config", tmp_path / "none.toml")[0] == 2
    code, output, error = _run("status", "--config", config)
    assert (code, output) == (2, "")
    assert "milepost agent run" in error
    with SqliteBuffer(tmp_path / "buffer.db", TRUCK):
        code, _, error = _run("once", "--config", config)
    assert (code, "in use" in error) == (2, True)
    config.write_text(config.read_text().split("[[")[0])
    code, _, error = _run("run", "--config", config)
    assert (code, "[[agent.sensors]]" in error) == (2, True)


def test_the_service_loads_neither_typer_nor_rich_and_sqlite_utils_only_for_a_new_file(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; import agent.__main__, agent.runtime.bootstrap, agent.transport.paho\n"
        "from agent.buffer.sqlite import SqliteBuffer\n"
        f"SqliteBuffer(Path({str(tmp_path / 'b.db')!r}), 'T1').close()\n"
        "print(*sorted({'typer', 'rich', 'sqlite_utils'} & sys.modules.keys()))"
    )
    run = lambda: subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout  # noqa: E731
    assert run().split() == ["sqlite_utils"]
    assert run().split() == []


def test_doctor_exits_1_with_remedies_and_one_document(config: Path) -> None:
    code, output, _ = _run("doctor", "--config", config, "--json")
    document = json.loads(output)
    assert (code, document["healthy"]) == (1, False)
    failed = [check for check in document["checks"] if check["state"] == "failed"]
    assert "broker" in {check["check"] for check in failed}
    assert all(check["remedy"] for check in failed)
    code, output, _ = _run("doctor", "--config", config)
    assert (code, "FAILED" in output) == (1, True)


def test_install_shows_what_it_would_do(config: Path) -> None:
    code, output, _ = _run("install", "--config", config, "--user", "--dry-run", "--json")
    document = json.loads(output)
    assert (code, document["done"]) == (0, False)
    (written,) = [step for step in document["steps"] if step["text"]]
    assert f"-m agent --config {config}" in written["text"]
    code, output, _ = _run("install", "--config", config, "--user", "--dry-run")
    assert (code, "Type=notify" in output) == (0, True)
    config.write_text(config.read_text().replace('buffer = "/', 'buffer = "'))
    code, _, error = _run("install", "--config", config, "--dry-run")
    assert (code, "absolute" in error) == (2, True)


def test_status_shows_which_control_units_contradict_each_other(config: Path) -> None:
    """The engine (0) is taken, the transmission (3) says twice as much; a colleague that agrees is not named."""
    can = pytest.importorskip("can", reason="python-can is not installed: pip install 'milepost[agent-can]'")
    capture = config.with_name("two.log")
    frames = ("0CF00400#FFFFFF5014FFFFFF", "0CF00403#FFFFFFA028FFFFFF", "0CF00421#FFFFFF5114FFFFFF")
    lines = [f"({1_700_000_000 + n / 30:.6f}) can0 {frames[n % 3]}\n" for n in range(300)]
    capture.write_text("".join(lines))
    assert can
    text = (
        config.read_text()
        .replace('"replay"', '"j1939"')
        .replace(str(config.with_name("engine.log")), f"capture:{capture}")
    )
    config.write_text(text.replace("[agent]\n", "[agent]\ninterval = 0.2\ntime_patience = 0\n"))
    agent = subprocess.Popen([sys.executable, "-m", "agent", "--config", str(config)], stderr=subprocess.PIPE)
    try:
        until(config.with_name("buffer.db").exists)
        until(lambda: (answer := _run("status", "--config", config, "--json"))[0] == 0 and "differs" in answer[1])
        [told] = json.loads(_run("status", "--config", config, "--json")[1])["disagreements"]
        output = _run("status", "--config", config)[1]
    finally:
        agent.terminate()
        agent.communicate(timeout=20)
    assert (told["field"], told["taken"], told["differs"]) == ("engine_diagnostics.engine_rpm", 0, 3)
    assert told["samples"] >= 1
    assert "sources disagree  engine_diagnostics.engine_rpm: source 0 is taken, 3 says something else; in " in output


def test_run_logs_as_much_as_the_service_does(config: Path) -> None:
    """By the front door, which says warnings only of everything else."""
    with subprocess.Popen(
        [sys.executable, "-m", "milepost", "agent", "run", "--config", str(config)], stderr=subprocess.PIPE
    ) as run:
        assert run.stderr
        seen = b""
        while b"agent_started" not in seen:
            line = run.stderr.readline()
            assert line, seen
            seen += line
        run.terminate()
        assert b"agent_stopped" in run.stderr.read()


def test_status_tells_of_a_run_that_did_not_end_in_order(config: Path) -> None:
    """And the connection of an earlier life is not shown as this one's."""
    with SqliteBuffer(config.with_name("buffer.db"), TRUCK) as buffer:
        buffer.note({"started_at": "2026-01-31T12:00:00.000Z", "stopped_at": "", "connection": "connected"})
    code, output, _ = _run("status", "--config", config)
    assert (code, "does not run; it did not stop in order" in output, "broker" in output) == (0, True, False)


def test_once_shows_values_with_their_units_and_why_there_is_none(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.runtime.once.CONNECT_SECONDS", 0.1)
    lines = _run("once", "--config", config)[1].splitlines()
    said = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("  ")}
    assert said["engine_rpm"] == ["650.0", "rpm"]
    assert said["brake_status"] == ["–", "not", "available"]


def test_on_a_terminal_no_line_of_the_doctor_is_wider_than_it(config: Path) -> None:
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", "from agent.cli import app; app()", "doctor", "--config", str(config)],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"COLUMNS": "80"},
    ):
        os.close(theirs)
        said = b""
        with suppress(OSError):  # Linux says EIO when the other side has been closed
            while piece := os.read(ours, 4096):
                said += piece
    os.close(ours)
    lines = said.decode().replace("\r", "").splitlines()
    assert any(line.startswith("FAILED   broker ") for line in lines)
    assert any("→ " in line for line in lines)
    beyond = [line for line in lines if len(line) > 80 and " " in line[27:]]  # a path has no place to be broken at
    assert beyond == []
