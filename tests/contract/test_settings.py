"""One settings file, the environment above it, and nothing misspelt that is silently ignored."""

from pathlib import Path
from typing import Any

import pytest

from contract.errors import Misconfigured
from contract.settings import RoomSettings, load


class Example(RoomSettings):
    """A room's settings."""

    data_dir: Path = Path("milepost-data")
    track: str | dict[str, Any] | None = None
    resend_after: float = 10


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no milepost.toml lies about."""
    monkeypatch.chdir(tmp_path)


def _load(text: str | None = None, **environ: str) -> Example:
    if text is not None:
        Path("milepost.toml").write_text(text, encoding="utf-8")
    return load("collector", Example, environ=environ)


def _refused(text: str | None = None, **environ: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        _load(text, **environ)
    return str(caught.value)


def test_without_a_file_the_defaults_hold() -> None:
    assert _load() == Example()


def test_a_file_in_the_working_folder_is_found() -> None:
    assert _load("[collector]\nresend_after = 5").resend_after == 5


def test_milepost_config_names_another_file() -> None:
    Path("other.toml").write_text("[collector]\nresend_after = 7", encoding="utf-8")
    assert _load("[collector]\nresend_after = 5", MILEPOST_CONFIG="other.toml").resend_after == 7


def test_a_flag_stands_above_milepost_config() -> None:
    Path("flag.toml").write_text("[collector]\nresend_after = 9", encoding="utf-8")
    settings = load("collector", Example, Path("flag.toml"), {"MILEPOST_CONFIG": "nowhere.toml"})
    assert settings.resend_after == 9


def test_the_environment_stands_above_the_file() -> None:
    assert _load("[collector]\nresend_after = 5", MILEPOST_COLLECTOR__RESEND_AFTER="0.5").resend_after == 0.5


def test_a_variable_may_hold_json() -> None:
    assert _load(MILEPOST_TRACK='{"odometer_reading":{"step":1000}}').track == {"odometer_reading": {"step": 1000}}
    assert _load(MILEPOST_TRACK="every-sample").track == "every-sample"


def test_the_data_directory_has_a_short_name() -> None:
    assert _load(MILEPOST_DATA_DIR="elsewhere").data_dir == Path("elsewhere")


def test_other_rooms_variables_are_theirs() -> None:
    assert _load(MILEPOST_AGENT__INTERVAL="1", HOME="/") == Example()


def test_a_missing_file_that_was_asked_for_is_named() -> None:
    assert "nowhere.toml" in _refused(MILEPOST_CONFIG="nowhere.toml")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[collector]\nresend_afer = 5", "resend_afer"),
        ("[colector]\nresend_after = 5", "colector"),
        ("resend_after = 5", "resend_after"),
        ("collector = 5", "collector"),
        ("[collector]\nresend_after = 'soon'", "resend_after"),
        ("[collector\n", "not valid TOML"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_the_file(text: str, named: str) -> None:
    message = _refused(text)
    assert named in message
    assert "milepost.toml" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MILEPOST_COLLECTOR__RESEND_AFER", "5"),
        ("MILEPOST_COLECTOR__RESEND_AFTER", "5"),
        ("MILEPOST_COLLECTOR__RESEND_AFTER", "soon"),
        ("MILEPOST_TRACK", "{not json"),
        ("MILEPOST_DATADIR", "elsewhere"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    """As a misspelt setting that is silently ignored costs a fleet its data."""
    message = _refused(**{name: value})
    assert name in message or name.split("__")[-1].lower() in message


def test_a_file_that_is_not_text_is_refused() -> None:
    Path("milepost.toml").write_bytes(b"\xff\xfe")
    assert "not valid TOML" in _refused()


def test_a_file_that_cannot_be_read_is_refused_with_what_to_do() -> None:
    """/proc/self/mem is a file to everybody, and gives an I/O error at its beginning."""
    told = _refused(MILEPOST_CONFIG="/proc/self/mem")
    assert told.startswith("/proc/self/mem cannot be read (")
    assert "let this user read it" in told


def test_a_byte_order_mark_of_an_editor_is_no_part_of_the_file() -> None:
    assert _load("\ufeff[collector]\nresend_after = 5").resend_after == 5
