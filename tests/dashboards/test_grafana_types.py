"""Grafana's own TypeScript types (@grafana/schema) accept every dashboard, and refuse a wrong one."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dashboards.grafana.generate import FOLDER

pytestmark = [pytest.mark.prove, pytest.mark.timeout(600)]
_VERSIONS = ("@grafana/schema@13.2.3", "typescript@5.9.3")
_PANELS = {  # Grafana's panel type → its options in @grafana/schema
    "stat": "StatPanel", "timeseries": "TimeSeriesPanel", "barchart": "BarChartPanel", "table": "TablePanel",
    "geomap": "GeomapPanel",
}  # fmt: skip
_LITERAL = """type Literal<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Literal<T[K]> } : T;"""
"""JSON has an enum's text where TypeScript wants the enum's member."""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the types and tsc."""
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("types")
    (folder / "package.json").write_text('{"name": "types", "private": true}')
    subprocess.run([npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *_VERSIONS], cwd=folder, check=True)
    return folder


def _compiled(folder: Path, documents: list[dict[str, Any]]) -> str:
    """What tsc says of the documents, each as a constant of Grafana's type."""
    names = " ".join(
        f"import type {{ Options as {name} }} from '{_module(folder, name)}';" for name in _PANELS.values()
    )
    lines = ["import type { Dashboard, Panel } from '@grafana/schema';", names, _LITERAL]
    for n, document in enumerate(documents):
        outer = {**document, "panels": [], "annotations": {"list": [_general(each) for each in _annotations(document)]}}
        lines.append(f"export const d{n}: Literal<Dashboard> = {json.dumps(outer)};")
        for m, panel in enumerate(document["panels"]):
            if panel["type"] == "row":
                continue
            options = panel["options"]
            lines.append(f"export const p{n}_{m}: Literal<Partial<Panel>> = {json.dumps({**panel, 'options': {}})};")
            lines.append(f"export const o{n}_{m}: Literal<Partial<{_PANELS[panel['type']]}>> = {json.dumps(options)};")
    (folder / "check.ts").write_text("\n".join(lines))
    tsc = [folder / "node_modules/.bin/tsc", "--noEmit", "--strict", "--skipLibCheck", "--module", "esnext"]
    done = subprocess.run(
        [*map(str, tsc), "--moduleResolution", "bundler", "--target", "es2022", "check.ts"],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    return done.stdout.decode()


def _annotations(document: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["annotations"]["list"]
    return found


def _general(annotation: dict[str, Any]) -> dict[str, Any]:
    """Without what is the data source's own and has no type in the schema: its query."""
    kept = {key: value for key, value in annotation.items() if key not in ("expr", "titleFormat", "step", "target")}
    return kept | ({"target": {"refId": annotation["target"]["refId"]}} if "target" in annotation else {})


def _module(folder: Path, name: str) -> str:
    raw = folder / "node_modules/@grafana/schema/dist/esm/raw/composable"
    found = next(raw.rglob(f"{name}Cfg_types.gen.d.ts"))
    return "./" + str(found.relative_to(folder)).removesuffix(".d.ts")


def _documents() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").rglob("*.json"))]


def test_every_dashboard_is_of_grafanas_types(schema: Path) -> None:
    assert _compiled(schema, _documents()) == ""


def test_a_wrong_field_is_found(schema: Path) -> None:
    document = _documents()[0]
    assert "Type 'string' is not assignable" in _compiled(schema, [{**document, "schemaVersion": "39"}])
    panel = document["panels"][0]
    wrong = {**panel, "gridPos": {**panel["gridPos"], "h": "4"}}
    assert "Type 'string' is not assignable" in _compiled(schema, [{**document, "panels": [wrong]}])
