"""`milepost ingest`: any file of JSON Lines, a last line with the sum, and again all duplicate."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Milepost, lines, write
from tests.contract.examples import flat, sample
from tests.milepost_process import environment


def test_the_last_line_of_ingest_is_its_sum(cli: Milepost) -> None:
    ran = cli("ingest", write("t.jsonl", sample(), sample(), flat(), {"truck_id": ""}))
    assert ran.code == 1
    assert ran.out.splitlines()[-1] == b'{"accepted":2,"duplicate":1,"rejected":1}'
    assert "dead-letters list" in ran.err


def test_the_same_file_again_is_all_duplicate_and_exit_0(cli: Milepost) -> None:
    file = write("t.jsonl", sample(), flat(), sample(seq=2, sampled_at="2024-06-01T12:00:00Z"))
    cli("ingest", file)
    again = cli("ingest", file, "--json")
    assert (again.code, again.json) == (0, {"accepted": 0, "duplicate": 3, "rejected": 0})


def test_several_files_are_summed_and_blank_lines_skipped(cli: Milepost) -> None:
    Path("a.jsonl").write_bytes(b"\n  \r\n" + lines(sample()) + b"\n\n")
    Path("b.jsonl").write_bytes(lines(sample(seq=2))[:-1])  # no line break at its end
    Path("empty.jsonl").touch()
    ran = cli("ingest", "a.jsonl", "b.jsonl", "empty.jsonl", "a.jsonl", "--json")
    assert ran.json == {"accepted": 2, "duplicate": 1, "rejected": 0}


def test_lines_may_end_as_windows_ends_them(cli: Milepost) -> None:
    Path("a.jsonl").write_bytes(lines(sample(), sample(seq=2)).replace(b"\n", b"\r\n"))
    assert cli("ingest", "a.jsonl", "--json").json["accepted"] == 2


def test_a_line_may_be_a_batch(cli: Milepost) -> None:
    assert cli("ingest", write("a.jsonl", {"records": [sample(), flat()]}), "--json").json["accepted"] == 2


def test_a_dash_is_stdin(cli: Milepost) -> None:
    ran = cli("ingest", "-", "--json", stdin=lines(sample(), sample()))
    assert ran.json == {"accepted": 1, "duplicate": 1, "rejected": 0}


def test_a_pipe_is_a_file(cli: Milepost, tmp_path: Path) -> None:
    """`milepost ingest <(zcat old.jsonl.gz)`."""
    write("t.jsonl", sample())
    ran = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m milepost ingest <(cat t.jsonl)'],
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, b'{"accepted":1,"duplicate":0,"rejected":0}\n')


def test_garbage_is_rejected_line_by_line(cli: Milepost) -> None:
    Path("t.jsonl").write_bytes(b"{\n\xff\xfe\n[]\nnull\n" + lines(sample()) + b"\x00\n" + b"[" * 3000 + b"\n")
    assert cli("ingest", "t.jsonl", "--json").json == {"accepted": 1, "duplicate": 0, "rejected": 6}
    assert len(cli("dead-letters", "list", "--json").json) == 6


def test_a_file_record_without_a_time_is_rejected(cli: Milepost) -> None:
    assert cli("ingest", write("t.jsonl", {"truck_id": "T1"}), "--json").json["rejected"] == 1
    assert cli("dead-letters", "list", "--json").json[0]["field"] == "sampled_at"


def test_an_array_is_read_as_lines_are(cli: Milepost) -> None:
    """In a file, packed, and from a pipe; what is wrong in it costs itself, and one that is cut off is named."""
    records = [sample(seq=seq) for seq in range(1, 7)]
    Path("a.json").write_text(json.dumps(records[:2]))
    Path("b.json.gz").write_bytes(gzip.compress(json.dumps(records[2:4], indent=2).encode()))
    assert cli("ingest", "a.json", "b.json.gz", "--json").json == {"accepted": 4, "duplicate": 0, "rejected": 0}
    broken = json.dumps([records[4], {"truck_id": ""}, 7, records[5]]).encode()
    assert cli("ingest", "-", "--json", stdin=broken).json == {"accepted": 2, "duplicate": 0, "rejected": 2}
    Path("cut.json").write_bytes(json.dumps(records).encode()[:-2] + b"},")
    ran = cli("ingest", "cut.json", "a.json")
    assert (ran.code, "cut off" in ran.err) == (1, True)
    assert ran.out.splitlines()[-1] == b'{"accepted":0,"duplicate":8,"rejected":1}'


def test_a_byte_order_mark_and_gzip_cost_no_record(cli: Milepost) -> None:
    Path("bom.jsonl").write_bytes(b"\xef\xbb\xbf" + lines(sample()))
    Path("packed.jsonl.gz").write_bytes(gzip.compress(lines(sample(seq=2), sample(seq=3))))
    assert cli("ingest", "bom.jsonl", "packed.jsonl.gz", "--json").json == {
        "accepted": 3,
        "duplicate": 0,
        "rejected": 0,
    }


def test_another_encoding_is_refused_once_by_its_name(cli: Milepost) -> None:
    Path("wide.jsonl").write_bytes(lines(sample(), sample(seq=2)).decode().encode("utf-16"))
    ran = cli("ingest", "wide.jsonl")
    assert (ran.code, "UTF-16" in ran.err, "iconv" in ran.err) == (2, True, True)


def test_of_a_gzip_file_that_is_cut_off_what_can_be_read_is_taken(cli: Milepost) -> None:
    """The two records before the damage and the files beside it; the file is named, and counts as one refusal."""
    packed = gzip.compress(lines(sample(), sample(seq=2))) + gzip.compress(lines(sample(seq=9)))
    Path("cut.gz").write_bytes(packed[:-20])
    Path("after.jsonl").write_bytes(lines(sample(seq=3)))
    ran = cli("ingest", "cut.gz", "after.jsonl", "--json")
    assert (ran.code, "cut.gz is gzip and damaged" in ran.err, ran.json["accepted"] >= 3) == (1, True, True)
    Path("tail.gz").write_bytes(gzip.compress(lines(sample(seq=4))) + b"no gzip")
    ran = cli("ingest", "tail.gz", "--json")
    assert (ran.code, ran.json) == (1, {"accepted": 1, "duplicate": 0, "rejected": 1})


def test_standard_input_is_read_as_a_file_is(cli: Milepost) -> None:
    ran = cli("ingest", "-", "--json", stdin=gzip.compress(lines(sample())))
    assert (ran.code, ran.json["accepted"]) == (0, 1)
    ran = cli("ingest", "-", stdin=lines(sample()).decode().encode("utf-16"))
    assert (ran.code, "stdin is in UTF-16" in ran.err) == (2, True)
