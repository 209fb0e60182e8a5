"""The agent's table of milepost.toml."""

import json
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.runtime.bootstrap import open_transport
from agent.settings import AgentSettings, LaneSettings, load_settings
from contract.errors import Misconfigured
from contract.plain_settings import taken
from contract.settings import judged
from contract.settings_file import table


def _write(folder: Path, text: str) -> Path:
    path = folder / "milepost.toml"
    path.write_text(text)
    return path


def test_the_example_file_loads_and_says_every_key() -> None:
    example = Path(str(files("agent") / "milepost.example.toml"))
    settings, keys = load_settings(example, {}), {each.name for each in fields(AgentSettings)}
    commented = {key for key in keys if f"\n# {key} = " in example.read_text()}
    assert set(table("agent", example, {})) | commented == keys
    assert commented == {"username", "password"}
    assert settings.sensors[0].type == "replay"
    assert (settings.host, settings.port, settings.tls) == ("broker.example.com", 8883, True)


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    config = _write(tmp_path, '[agent]\ntruck_id = "T1"\n')
    assert load_settings(config, {"MILEPOST_AGENT__INTERVAL": "5"}).interval == 5


_VALUES: list[Any] = [
    *(0, 1, -1, 5, 30.5, 1e9, True, "", "5", "T1", "~", "mqtt://h", "mqtts://h", "aws", "3.1.1", "a/b", "\ud800"),
    *([], ["x"], [5], {}, {"x": "y"}, {"batch_records": 7}, {"batch_records": 0}, {"telemetry": "rule"}),
    [{"type": "can", "dbc": "x.dbc", "map": {"A": "custom.a"}}],
    [{"type": "replay", "path": "x", "command": ["x"]}],
    *([{"type": "exec", "command": ["x"], "time_limit": 5}], [{"path": "x"}], [{"type": "exec", "time_limit": 0}]),
]
_PAIRS = st.sampled_from([{}, {"username": "x", "password": "y"}, {"certificate": "c", "key": "k", "ca": "ca"}])


_KEYS = st.sampled_from([*vars(AgentSettings(truck_id="T1")), "unknown"])


@given(st.dictionaries(_KEYS, st.sampled_from(_VALUES), max_size=3), _PAIRS)
@example({"username": "\ud800"}, {})
@example({"daily_budget": 5, "lanes": {"batch_records": 7}}, {})
def test_what_is_taken_without_pydantic_is_what_pydantic_makes_of_it(values: dict[str, Any], pair: Any) -> None:
    given = {"truck_id": "T1", **pair, **values}
    settings = taken(AgentSettings, given)
    assert settings is None or repr(settings) == repr(judged("agent", AgentSettings, given, "a test"))


def test_settings_of_every_key_are_taken_without_pydantic() -> None:
    example = Path(str(files("agent") / "milepost.example.toml"))
    assert taken(AgentSettings, table("agent", example, {})) is not None


def test_the_port_follows_the_scheme() -> None:
    assert AgentSettings(truck_id="T1", broker="mqtt://h").port == 1883
    assert AgentSettings(truck_id="T1", broker="mqtts://h").port == 8883


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("intervall = 5", "intervall"),
        ("interval = 0", "interval"),
        ('truck_id = "no spaces"', "truck_id"),
        ('broker = "http://h"', "mqtts://"),
        ('broker = "mqtt://user:secret@h"', "username and password"),
        ('broker = "mqtt://h:99999"', "broker"),
        ('ca = "ca.pem"', "mqtts"),
        ('broker = "mqtts://h"\ncertificate = "c.pem"', "key"),
        ('[[agent.sensors]]\ntype = "replay"\nfile = "x"', "sensors.0.file"),
        ('transport = "http"', "transport"),
        ("[agent.lanes]\nbatch_bytes = 200000", "lanes.batch_bytes"),
        ("[agent.lanes]\nspeed = 1", "lanes.speed"),
        (
            "[agent.lanes]\nspeed = 1",
            "known are batch_bytes, batch_records, kib_per_second, publishes_per_second$",
        ),
        ('[[agent.sensors]]\ntype = "replay"\nfile = "x"', "known are command, dbc, map, path, time_limit, type$"),
        ('[agent.basic_ingest]\ntelemetry = "a/b"', "basic_ingest.telemetry"),
        ("daily_budget = 0", "daily_budget"),
        ('[agent.sensors]\ntype = "replay"', r"\[\[agent.sensors\]\]"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, line: str, named: str) -> None:
    head = "" if line.startswith("truck_id") else 'truck_id = "T1"\n'
    with pytest.raises(Misconfigured, match=named):
        load_settings(_write(tmp_path, f"[agent]\n{head}{line}\n"), {})


@pytest.mark.parametrize(
    ("broker", "bounded"),
    [("mqtts://abc-ats.iot.eu-west-1.amazonaws.com", True), ("mqtt://broker.example.com", False)],
)
def test_default_rates_follow_the_endpoint(broker: str, bounded: bool) -> None:
    settings = AgentSettings(truck_id="T1", broker=broker, certificate=None)
    assert settings.iot_core is bounded
    assert open_transport(settings).limits.publishes_per_second == (100 if bounded else 1e15)


def test_a_rate_that_is_set_holds_at_any_broker() -> None:
    lanes = LaneSettings(publishes_per_second=7)
    assert open_transport(AgentSettings(truck_id="T1", lanes=lanes)).limits.publishes_per_second == 7


@pytest.mark.parametrize("key", ["interval", "buffer_limit", "session_expiry", "position_days", "daily_budget"])
def test_a_number_is_no_boolean(tmp_path: Path, key: str) -> None:
    with pytest.raises(Misconfigured, match=f"{key} must be a number"):
        load_settings(_write(tmp_path, f'[agent]\ntruck_id = "T1"\n{key} = true\n'), {})
    sensor = '[[agent.sensors]]\ntype = "exec"\ncommand = ["x"]\ntime_limit = true\n'
    with pytest.raises(Misconfigured, match="time_limit must be a number"):
        load_settings(_write(tmp_path, f'[agent]\ntruck_id = "T1"\n{sensor}'), {})


@pytest.mark.parametrize("path", ["", ".", "/", "~/buffer.db", "a\0b", "y" * 300, "{}"])
def test_a_buffer_that_can_be_no_file_is_refused_before_anything_is_done(tmp_path: Path, path: str) -> None:
    text = json.dumps(path.format(tmp_path))
    with pytest.raises(Misconfigured, match=r"\[agent\] buffer .*give the path of a file"):
        load_settings(_write(tmp_path, f'[agent]\ntruck_id = "T1"\nbuffer = {text}\n'), {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sensors = 5", "sensors .*must be a list in square brackets"),
        ("lanes = 5", "lanes .*must be a table"),
        ("ca = 5", "ca .*must be a path in quotes"),
        ("[[agent.sensors]]", "sensors.0.type is missing: set it in milepost.toml$"),
        ('certificate = "x"', "settings .*give both or neither$"),
    ],
)
def test_what_is_wrong_is_said_in_the_files_words(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(Misconfigured, match=told):
        load_settings(_write(tmp_path, f'[agent]\ntruck_id = "T1"\n{text}\n'), {})


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"protocol": "4"}, "protocol"),
        ({"password": "x"}, "username"),
        ({"transport": "aws", "protocol": "3.1.1"}, "paho"),
        ({"transport": "aws", "username": "x"}, "paho"),
    ],
)
def test_what_a_broker_or_library_cannot_do_is_named(more: dict[str, str], named: str) -> None:
    with pytest.raises(Misconfigured, match=named):
        judged("agent", AgentSettings, {"truck_id": "T1", **more}, "a test")


def test_a_password_is_in_no_printed_settings() -> None:
    settings = AgentSettings(truck_id="T1", username="T1", password="s3cret")
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize("line", ['broker = "mqtt://truck:s3cret@h"', 'password = "s3cret"'])
def test_a_refused_setting_shows_no_password(tmp_path: Path, line: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        load_settings(_write(tmp_path, f'[agent]\ntruck_id = "T1"\n{line}\n'), {})
    assert "s3cret" not in str(refused.value)
