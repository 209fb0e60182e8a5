"""The fleet's ledger: what is unacknowledged, asked for again, and a file of the release before."""

import sqlite3
from contextlib import closing
from pathlib import Path

from contract.ranges import Ranges
from simulator import sent_ledger
from simulator.fleet.ledger import FleetLedger

BODY = b'{"sampled_at":"2026-11-20T00:00:00.000Z","time_quality":"gps"}'
BEFORE = """
CREATE TABLE trucks (number INTEGER PRIMARY KEY, truck_id TEXT UNIQUE NOT NULL, stream_id TEXT NOT NULL);
CREATE TABLE samples (
    number INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, acked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (number, seq)) WITHOUT ROWID;
CREATE INDEX pending ON samples (number, seq) WHERE acked = 0;
INSERT INTO trucks VALUES (1, 'T1', 's1'), (2, 'T2', 's2');
INSERT INTO samples VALUES (1, 1, '', 1), (1, 2, '', 0), (1, 3, '', 0), (2, 1, '', 1);
"""


def test_acknowledged_samples_stay_and_are_sent_again_when_they_are_asked_for(tmp_path: Path) -> None:
    ledger = FleetLedger(tmp_path / sent_ledger.FLEET)
    [(number, *_)] = ledger.enter(["T1"])
    ledger.append([(number, seq, BODY) for seq in range(1, 6)], ())
    ledger.append((), [(number, seq) for seq in (1, 2, 4)])
    assert [seq for seq, _ in ledger.pending(number, 0, 10)] == [3, 5]
    assert ledger.pending(number, 3, 10) == [(5, BODY)]
    ledger.send_again(number, [(1, 2), (5, 9)])
    assert ledger.pending_ranges(number) == Ranges.of([(1, 3), (5, 5)])
    assert ledger.waiting() == 4
    assert sent_ledger.sampled(tmp_path) == {"T1": 5}
    assert sent_ledger.pending(tmp_path) == {"T1": 4}
    ledger.close()


def test_a_file_of_the_release_before_goes_on(tmp_path: Path) -> None:
    path = tmp_path / sent_ledger.FLEET
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as old:
        old.executescript(BEFORE.replace("''", "'" + BODY.decode() + "'"))
    ledger = FleetLedger(path)
    assert [state[1:3] for state in ledger.enter(["T1", "T2"])] == [("s1", 3), ("s2", 1)]
    assert ledger.pending_ranges(1) == Ranges.of([(2, 3)])
    ledger.append([(2, 2, BODY)], [(1, 2)])
    ledger.close()
    FleetLedger(path).close()  # once more: what was acknowledged meanwhile must not come back
    assert sent_ledger.pending(tmp_path) == {"T1": 1, "T2": 1}
