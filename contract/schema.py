"""The JSON Schema of everything on the wire, generated from the models: `python -m contract.schema` rewrites the files.

The generated files are checked in beside this module under `schemas/`; a test fails when they drift from the models.
"""

import json
import sys

from contract import asyncapi
from contract.wire_documents import FOLDER
from contract.wire_models import MODELS


def generate() -> dict[str, str]:
    """File name → text of every schema (draft 2020-12), and of the AsyncAPI document."""
    texts = {}
    for name, model in MODELS.items():
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema(by_alias=True)}
        texts[f"{name}.schema.json"] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return {**texts, "asyncapi.json": asyncapi.generate()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file_name, text in generate().items():
        (FOLDER / file_name).write_text(text, encoding="utf-8")
        sys.stderr.write(f"wrote schemas/{file_name}\n")
