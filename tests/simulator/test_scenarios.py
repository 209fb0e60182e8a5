"""Every fault of the gallery, short: a real installation, real trucks, and nothing lost, doubled or wrong at the end.

Those that need no broker, disk or certificates of their own follow one another on one installation, as they would in
the field; the full length is `make prove`.
"""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from contract.errors import MilepostError, Misconfigured
from simulator import run_record, sent_ledger
from simulator.scenario.balance import balance
from simulator.scenario.file import Scenario, gallery, load
from simulator.scenario.installation import Installation
from simulator.scenario.scenario_run import ENVIRONMENT, ScenarioOutcome, ScenarioRun, own_disk, play
from simulator.scenario.store_watch import Held

ALONE = ("certificates_expire", "lossy_link", "real_agents", "throttled_stream", "two_days_away")
FIRST = "clock_jumps"
"""It lets simulated hours pass, which only a fleet that has no samples of today can do."""

SLOW = ("mass_reconnect", "partition", "service_killed", "slow_lines", "slow_store")
"""Most of their time they wait for what was held up: together minutes, which `make test` has not."""

TRUCKS, SECONDS = 12, 2.5


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("installation")
    with ExitStack() as stack:
        data_dir = None
        with suppress(MilepostError):  # where mounting is not allowed full_disk is left out
            data_dir = stack.enter_context(own_disk(folder / "data"))
        running = stack.enter_context(Installation(folder, data_dir=data_dir, environment=ENVIRONMENT))
        running.start()
        yield running


def judge(outcome: ScenarioOutcome, folder: Path) -> None:
    assert outcome.balance.whole, outcome.balance
    assert outcome.verified
    assert outcome.balance.sampled == outcome.balance.stored > TRUCKS
    recorded = run_record.read(folder)
    assert recorded.balance["lost"] == recorded.balance["counted_twice"] == 0
    assert len(recorded.faults) == len(outcome.faults)


def estimated(file: Path, which: str) -> int:
    """Samples whose clock was wrong, in the trucks' ledger or in the store: none was taken for right."""
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM samples WHERE {which}").fetchone()[0])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.prove if name in SLOW else ())
        for name in [FIRST, *sorted(set(gallery()) - {FIRST, *ALONE})]
    ],
)
def test_it_costs_nothing(name: str, installation: Installation, tmp_path: Path) -> None:
    if name == "full_disk" and not installation.data_dir.is_mount():
        pytest.skip("mounting a small disk is not allowed here: run as root")
    scenario = load(name).shortened(TRUCKS, SECONDS)
    outcome = ScenarioRun(scenario, installation, threading.Event()).go(tmp_path)
    judge(outcome, tmp_path)
    assert len(outcome.faults) == len(scenario.faults)
    assert estimated(installation.ledger / sent_ledger.FLEET, "instr(body, '\"estimated\"') > 0") == estimated(
        installation.store, "estimated = 1"
    )


@pytest.mark.prove
@pytest.mark.parametrize("name", sorted(gallery()))
def test_it_costs_nothing_at_length(name: str, tmp_path: Path) -> None:
    judge(play(load(name).shortened(60, 45.0), tmp_path, threading.Event()), tmp_path)


def test_the_balance_sees_what_is_lost_doubled_and_invented() -> None:
    """The judge itself: a judge that cannot condemn proves nothing."""
    found = balance({"A": 5, "B": 3, "C": 2}, {"A": Held(4, 4), "B": Held(5, 3), "C": Held(2, 2), "D": Held(1, 1)})
    assert (found.sampled, found.stored) == (10, 12)
    assert (found.lost, found.counted_twice, found.unknown) == (1, 2, 1)
    assert found.trucks == ("A", "B", "D")
    assert not found.whole
    assert balance({"A": 2}, {"A": Held(2, 2)}).whole


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trucks = 3", "title"),
        ('title = "x"\ntrucks = 0', "trucks"),
        ('title = "x"\nfaults = [{kind = "earthquake"}]', "faults.0.kind"),
        ('title = "x"\nseconds = 5\nfaults = [{kind = "partition", at = 4, seconds = 2}]', "ends after"),
        ('title = "x"\ntls = true\nfaults = [{kind = "disorder"}]', "tls = false"),
        ('title = "x"\nfaults = [{kind = "certificates_expired"}]', "tls = true"),
        ('title = "x"\ntls = true\nfaults = [{kind = "link_down"}]', "certificates name 127.0.0.1"),
        ("title = ", "no TOML"),
    ],
)
def test_a_scenario_that_cannot_be_is_named(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(Misconfigured, match=said.replace(".", r"\.")):
        load(str(file))


def test_a_scenario_that_is_not_there_names_the_gallery() -> None:
    with pytest.raises(Misconfigured, match="partition"):
        load("nowhere")


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(Misconfigured, match="empty"):
        play(Scenario(title="x"), tmp_path, threading.Event())


def test_the_gallery_is_listed_on_a_terminal_of_80_columns() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "milepost", "simulate", "scenario", "--list"], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == sorted(gallery())
    assert max(map(len, lines)) <= 80
