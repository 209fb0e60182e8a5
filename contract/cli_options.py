"""The options that all commands have in common, defined once: `--json`, `--data-dir`, `--config`.

Only modules that define commands import this: it loads typer, which a truck's service does not.
"""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        file_okay=False,
        help="Where everything is kept; else $MILEPOST_DATA_DIR, else ./milepost-data.",
    ),
]
Config = Annotated[Path | None, typer.Option("--config", help="A milepost.toml to use instead of the one found.")]
