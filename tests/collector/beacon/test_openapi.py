"""The checked-in OpenAPI document says what the models say."""

import json

from collector.beacon import openapi


def test_the_checked_in_document_is_what_the_models_generate() -> None:
    """Regenerate with `python -m collector.beacon.openapi`."""
    assert openapi.FILE.read_text(encoding="utf-8") == openapi.generate()


def test_every_reference_leads_somewhere() -> None:
    text = openapi.generate()
    schemas = json.loads(text)["components"]["schemas"]
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= schemas.keys()
    assert {"Click", "Telemetry", "ClickReceipt", "GpsLocation"} <= names
