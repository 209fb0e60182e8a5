"""`milepost provision` as people and scripts call it, and that no secret leaves it but in a 0600 file."""

import contextlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from provisioning import certificate_authority
from tests.provisioning.aws import Ministack
from tests.provisioning.cli import Cli

ROOT = Path(__file__).resolve().parents[2]


def test_from_nothing_to_a_retired_truck(cli: Cli) -> None:
    assert len(cli.json("init", "--host", "depot.example")["made"]) == 5
    assert cli.json("init")["made"] == []
    assert cli.json("truck", "add", "T1", "-a", "depot=north")["new"] is True
    assert cli.json("bundle", "T1", "--to", "T1", "--make-key")["certificate"]
    shown = cli.json("truck", "show", "T1")
    assert (shown["attributes"], len(shown["certificates"])) == ({"depot": "north"}, 1)
    assert cli.json("status")[0]["notes"] == ["never connected"]
    code, out, err = cli("status", "--days", 91, "--json")
    assert (code, json.loads(out)[0]["notes"]) == (1, ["ends soon", "never connected"])
    assert "ends soon: T1" in err
    assert cli.json("truck", "retire", "T1", "--yes")["revoked"] == 1
    assert cli.json("status")[0]["notes"] == ["retired"]
    assert cli.json("truck", "reinstate", "T1")["was"] == "retired"
    assert cli.json("status")[0]["notes"] == ["not enrolled"]


def test_a_destructive_step_asks_and_without_a_terminal_stays(cli: Cli) -> None:
    cli("init")
    cli("truck", "add", "T1")
    cli("bundle", "T1", "--make-key")
    code, _, err = cli("truck", "retire", "T1")
    assert code == 2
    assert "--yes" in err
    assert cli.json("truck", "show", "T1")["state"] == "active"


def test_dry_runs_change_nothing(cli: Cli, tmp_path: Path) -> None:
    would = cli.json("init", "--dry-run")["made"]
    assert not (tmp_path / "milepost-data").exists()
    assert cli.json("init")["made"] == would
    assert cli.json("init", "--dry-run")["made"] == []
    assert len(cli.json("init", "--dry-run", "--host", "other.example")["made"]) == 2
    assert cli.json("init")["made"] == []
    cli("truck", "add", "T1")
    (tmp_path / "fleet.csv").write_text("truck_id\nT1\nT2\n")
    before = cli.json("truck", "list")
    assert cli.json("truck", "add", "T2", "--dry-run", "--file", "T2.json")["new"] is True
    assert cli.json("bundle", "T1", "--dry-run")["dry_run"] is True
    assert cli.json("truck", "retire", "T1", "--dry-run")["dry_run"] is True
    assert cli.json("import", "fleet.csv", "--dry-run") == {"trucks": 2, "new": 1, "dry_run": True}
    assert cli.json("truck", "list") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fleet.csv", "milepost-data"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("truck", "add", "T 1"),
        ("truck", "add", "milepost-collector"),
        ("truck", "add", "GONE", "--file", "x.json"),
        ("bundle", "GONE"),
        ("rotate", "GONE", "--file", "x.json"),
        ("init", "--host", "two words"),
        ("init", "--host", "b\u00fccher.example"),
        ("init", "--mqtt-port", "9000", "--https-port", "9000"),
        ("import", "asks.csv"),
    ],
)
def test_what_would_be_refused_a_dry_run_refuses(cli: Cli, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    cli("init")
    cli("truck", "add", "GONE")
    cli("truck", "retire", "GONE", "--yes")
    (tmp_path / "asks.csv").write_text("truck_id,csr\nT1,T1.csr\n")
    (tmp_path / "T1.csr").write_text(certificate_authority.new_key()[1])
    done, would = cli(*arguments), cli(*arguments, "--dry-run")
    assert done == would
    assert done[0] in (1, 2)
    assert "Traceback" not in done[2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["T1.csr", "asks.csv", "milepost-data"]


@pytest.mark.parametrize("lost", ["ca.pem", "ca.key"])
def test_a_lost_ca_is_not_replaced_in_silence(cli: Cli, tmp_path: Path, lost: str) -> None:
    """A new one would shut out every truck, and overwrite what is left of the old."""
    cli("init")
    folder = tmp_path / "milepost-data/provisioning"
    (folder / lost).unlink()
    before = {path.name: path.read_bytes() for path in folder.glob("*.*")}
    code, _, err = cli("init")
    assert (code, "restore ca.key and ca.pem" in err) == (2, True)
    assert {path.name: path.read_bytes() for path in folder.glob("*.*")} == before
    assert "--replace-ca" in err


def test_a_damaged_registry_is_a_line_that_says_what_to_do(cli: Cli, tmp_path: Path) -> None:
    cli("init")
    (tmp_path / "milepost-data/provisioning/registry.db").write_bytes(b"no database " * 500)
    code, _, err = cli("status")
    assert (code, "restore it from a backup" in err, "Traceback" in err) == (2, True, False)


def test_a_token_that_cannot_be_put_in_place_is_left_nowhere(cli: Cli, tmp_path: Path) -> None:
    cli("init")
    (tmp_path / "folder").mkdir()
    assert cli("truck", "add", "T1", "--file", "folder")[0] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "milepost-data"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("truck", "list"), 2, "provision init"),
        (("truck", "show", "T1"), 2, "provision init"),
        (("claim",), 2, "needs no claim"),
        (("import", "missing.csv"), 2, "cannot be read"),
        (("bundle", "T1", "--make-key", "--csr", "x"), 2, "give one of them"),
    ],
)
def test_what_cannot_be_is_a_line_that_says_what_to_do(
    cli: Cli, arguments: tuple[str, ...], code: int, message: str
) -> None:
    got, out, err = cli(*arguments)
    assert (got, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


def test_the_enrolment_file_is_private_and_its_token_is_said_nowhere_else(cli: Cli, tmp_path: Path) -> None:
    os.umask(0o022)
    cli("init")
    cli("truck", "add", "T1", "--file", "T1.json")
    cli("rotate", "T1", "--file", "again.json")
    cli("bundle", "T1", "--to", "b")
    cli("status")
    cli("truck", "show", "T1")
    for name in ("T1.json", "again.json", "b/enroll.json"):
        file = tmp_path / name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        token = json.loads(file.read_text())["token"]
        assert token.startswith("mpe_")
        assert token not in cli.said
        for other in (tmp_path / "milepost-data").rglob("*"):
            assert other.is_dir() or token.encode() not in other.read_bytes()


def test_no_secret_is_in_what_others_can_read(cli: Cli, tmp_path: Path) -> None:
    cli("init")
    cli("truck", "add", "T1", "--file", "T1.json")
    cli("truck", "add", "T2")
    cli("bundle", "T2", "--to", "T2", "--make-key")
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.stat().st_mode & 0o077:
            content = path.read_bytes()
            assert b"PRIVATE KEY" not in content, path
            assert b"mpe_" not in content, path
    assert "PRIVATE KEY" not in cli.said


def test_a_crash_shows_no_key_and_no_token(tmp_path: Path) -> None:
    """The traceback of a fault of ours, where the values of variables are not printed."""
    code = """
import json, sys
from pathlib import Path
from agent.enrollment import file, https
read = file.read(Path(sys.argv[1]))
print(repr(read), str(read))
https.HttpsOffice(read.url, read.ca, token=read.token).enrol('x')
"""
    path = tmp_path / "T1.json"
    ca = subprocess.run(
        [
            sys.executable,
            "-c",
            "from provisioning.certificate_authority import new_authority; print(new_authority('x')[1])",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    document = {"version": 1, "kind": "https", "truck_id": "T1", "broker": "mqtts://127.0.0.1:1", "ca": ca}
    path.write_text(json.dumps({**document, "url": "https://127.0.0.1:1", "token": "mpe_very-secret"}))
    path.chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "Traceback" in done.stderr
    assert "very-secret" not in done.stderr + done.stdout


def test_no_command_takes_a_secret_as_an_argument() -> None:
    """What is in argv is in the process list."""
    import typer

    from provisioning.cli import app

    group: Any = typer.main.get_command(app)
    commands = {**group.commands, **group.commands["truck"].commands}
    names = {option for one in commands.values() for parameter in one.params for option in parameter.opts}
    assert not names & {"--token", "--key", "--password", "--secret", "--claim"}


def test_on_aws_the_same_commands_do_the_same(cli: Cli, monkeypatch: pytest.MonkeyPatch, ministack: Ministack) -> None:
    for key, value in ministack.settings("user"):
        if value:
            text = json.dumps(value) if isinstance(value, tuple) else str(value)
            monkeypatch.setenv(f"MILEPOST_PROVISIONING__{key.upper()}", text)
    would = cli.json("init", "--dry-run")["made"]
    made = cli.json("init")["made"]
    assert [one.split()[0:2] for one in would[:-1]] == [one.split()[0:2] for one in made[:-1]]
    assert (would[-1], made[-1].split()[0]) == ("claim", "claim")
    assert cli.json("init", "--dry-run")["made"] == []
    assert cli.json("truck", "add", "USER-1", "--file", "u.json")["new"] is True
    file = json.loads(Path("u.json").read_text())
    assert cli.json("claim", "--dry-run")["claim"] is None
    assert cli("claim")[0] == 2
    assert cli.json("claim", "--yes")["claim"]
    cli.json("rotate", "USER-1", "--file", "again.json")
    assert json.loads(Path("again.json").read_text())["claim_certificate"] != file["claim_certificate"]
    assert cli.json("bundle", "USER-1", "--to", "u", "--make-key")["certificate"]
    assert cli.json("status")[0]["notes"] == ["never connected"]
    assert cli.json("truck", "retire", "USER-1", "--yes")["revoked"] == 1
    assert cli.json("status")[0]["notes"] == ["retired"]
    for secret in (file["token"], file["claim_key"].splitlines()[1]):
        assert secret not in cli.said


def test_asked_and_not_answered_yes_nothing_is_done(cli: Cli, tmp_path: Path) -> None:
    """In a terminal: n, Enter alone, and the end of input are all a no."""
    import pty

    cli("init")
    cli("truck", "add", "T1")
    cli("bundle", "T1", "--make-key")
    for answer, code, state in (
        (b"n\n", 2, "active"),
        (b"\n", 2, "active"),
        (b"\x04", 2, "active"),
        (b"y\n", 0, "retired"),
    ):
        terminal, inside = pty.openpty()
        command = [sys.executable, "-m", "milepost", "provision", "truck", "retire", "T1"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, stdin=inside, stderr=subprocess.PIPE, cwd=tmp_path, env=environment)
        os.close(inside)
        os.write(terminal, answer)
        _, err = process.communicate(timeout=30)
        os.close(terminal)
        assert process.returncode == code, err
        assert b"Cut T1 off (1 certificate in use)?" in err
        assert cli.json("truck", "show", "T1")["state"] == state


def test_a_terminal_sees_how_far_it_is_and_a_file_does_not(cli: Cli, tmp_path: Path) -> None:
    """Of an import, and of what is done to many trucks."""
    cli("init")
    (tmp_path / "fleet.csv").write_text("truck_id,group\nN1,north\nN2,north\n")

    def on_a_terminal(*arguments: str) -> bytes:
        ours, theirs = os.openpty()
        with os.fdopen(ours, "rb", buffering=0) as terminal:
            command = [sys.executable, "-P", "-m", "milepost", "provision", *arguments]
            subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, check=True, cwd=tmp_path, timeout=60)
            os.close(theirs)
            seen = b""
            with contextlib.suppress(OSError):  # the terminal's end
                while some := terminal.read(4096):
                    seen += some
        return seen

    assert b"100%" in on_a_terminal("import", "fleet.csv", "--to", "out", "--make-keys")
    assert b"100%" in on_a_terminal("truck", "retire", "-w", "group=north", "--yes", "--why", "sold")
    assert "%" not in cli("truck", "reinstate", "N1")[2]


def test_a_change_of_the_ca_is_finished_only_when_nobody_would_be_shut_out(cli: Cli) -> None:
    cli("init")
    cli.json("truck", "add", "T1")
    cli.json("bundle", "T1", "--to", "T1", "--make-key")
    assert cli("ca", "finish", "--yes")[0] == 2
    assert cli.json("ca", "rotate") == {"begun": True, "behind": ["T1"]}
    code, _, err = cli("status")
    assert (code, "that have not moved: 1" in err) == (1, True)
    code, _, err = cli("ca", "finish", "--yes")
    assert (code, "T1" in err) == (2, True)
    cli.json("bundle", "T1", "--to", "T1-new", "--make-key")
    assert cli.json("ca", "rotate")["behind"] == []
    assert cli.json("ca", "finish", "--yes") == {"left_behind": []}
    assert cli("status")[0] == 0


@pytest.mark.parametrize("lost", ["ca.pem", "ca.key", "nothing"])
def test_a_ca_is_replaced_only_by_its_own_option_and_the_fleet_stays_known(cli: Cli, tmp_path: Path, lost: str) -> None:
    """Trucks, their attributes and the log stay; each needs a new enrolment file, and no old certificate is good."""
    cli("init")
    cli("truck", "add", "T1", "-a", "depot=north", "--file", "T1.json")
    before = cli.json("bundle", "T1", "--to", "T1", "--make-key")["certificate"]
    folder = tmp_path / "milepost-data/provisioning"
    root = (folder / "roots.pem").read_text()
    (folder / lost).unlink(missing_ok=True)
    assert cli("init", "--replace-ca")[0] == 2  # it asks, and there is no terminal
    assert len(cli.json("init", "--replace-ca", "--dry-run")["made"]) in (2, 3)
    assert (folder / "roots.pem").read_text() == root
    assert cli.json("init", "--replace-ca", "--yes")["made"]
    assert cli.json("init")["made"] == []
    new = (folder / "roots.pem").read_text()
    assert not certificate_authority.vouches_for(new, (tmp_path / "T1/identity/current/certificate.pem").read_text())
    assert certificate_authority.vouches_for(new, (folder / "server.pem").read_text())
    assert before in {one.serial for one in certificate_authority.revoked_by(new, (folder / "crl.pem").read_text())}
    shown = cli.json("truck", "show", "T1")
    assert (shown["attributes"], shown["certificates"][0]["state"]) == ({"depot": "north"}, "revoked")
    assert cli.json("status")[0]["notes"] == ["not enrolled"]
    assert cli.json("log", "--action", "replace_ca")[0]["detail"] == "1 certificates revoked"
    assert cli.json("bundle", "T1", "--to", "again", "--make-key")["certificate"]


@pytest.mark.parametrize("option", ["--host", "--listen"])
@pytest.mark.parametrize(
    "name", ["box/1", "https://box", "box:8883", "beef:8883", "a b", "0.0.0.0\nallow_anonymous true", "-x", ""]
)
def test_a_name_that_is_none_is_refused(cli: Cli, option: str, name: str) -> None:
    """It goes into mosquitto's configuration and into a certificate."""
    code, _, err = cli("init", f"{option}={name}")
    assert (code, option in err) == (2, True)


def test_a_ca_that_was_never_made_is_not_changed(cli: Cli) -> None:
    """And says what makes it, where nothing was set up yet."""
    code, _, err = cli("ca", "finish", "--yes")
    assert code == 2
    assert "no CA in" in err
    assert "`milepost provision init` makes it" in err
