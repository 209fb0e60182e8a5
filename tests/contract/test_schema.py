"""The checked-in JSON Schemas are what the models say today."""

import json

from contract import schema
from contract.telemetry import Telemetry


def test_the_files_are_what_the_models_generate() -> None:
    """`python -m contract.schema` rewrites them."""
    on_disk = {path.name: path.read_text(encoding="utf-8") for path in schema.FOLDER.glob("*.json")}
    assert on_disk == schema.generate()


def test_units_and_bounds_are_in_the_schema() -> None:
    text = json.loads(schema.generate()["telemetry.schema.json"])
    latitude = text["$defs"]["GpsLocation"]["properties"]["latitude"]
    assert latitude["unit"] == "degrees"
    assert {"minimum": -90, "maximum": 90}.items() <= latitude["anyOf"][0].items()


def test_a_report_is_described_by_its_wire_names() -> None:
    text = json.loads(schema.generate()["report.schema.json"])
    assert "from" in text["$defs"]["Thinned"]["properties"]


def test_every_field_of_the_wire_is_described() -> None:
    text = json.loads(schema.generate()["telemetry.schema.json"])
    assert set(text["properties"]) == set(Telemetry.model_fields)
