"""The container that SageMaker runs: `train` makes a model of sessions, `serve` answers `/ping` and `/invocations`.

The contract is SageMaker's for containers of one's own: training data under ROOT/input/data/training, the model in
ROOT/model, a failure's reason in ROOT/output/failure with a non-zero exit; serving on port 8080 (or
SAGEMAKER_BIND_TO_PORT), ended by SIGTERM. Who may ask is decided by IAM before a request comes here.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request

from commerce.http.access import KeyedAccess
from commerce.http.recommendations import RecommendationDoors
from commerce.recommendations.artefact import save
from commerce.recommendations.serving import Recommendations
from contract import machine_clock
from contract.errors import Misconfigured

app = typer.Typer(no_args_is_help=True, add_completion=False)

Root = Annotated[Path, typer.Option(help="Where SageMaker puts data and takes the model")]
_ROOT = Path("/opt/ml")
_MOST_REASON = 1024  # of the failure file, SageMaker shows the first characters


class _Everybody(KeyedAccess):
    """Access for a container behind IAM."""

    def demand(self, request: Request) -> str:
        return "sagemaker"


@app.command()
def train(root: Root = _ROOT) -> None:
    """Make a model of ROOT/input/data/training/*.jsonl: a session per line, a list of item_ids in time order."""
    try:
        sessions = [items for items in _sessions(root / "input" / "data" / "training") if len(items) > 1]
        if not sessions:
            raise Misconfigured("no session of two items or more in input/data/training/*.jsonl")
        now = machine_clock.now()
        version = save(root / "model", sessions, {}, trained_at=now)
    except (OSError, ValueError, Misconfigured) as error:
        folder = root / "output"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "failure").write_text(str(error)[:_MOST_REASON], encoding="utf-8")
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(f"model {version} of {len(sessions)} sessions")


def _sessions(folder: Path) -> Iterator[list[str]]:
    """Raises ValueError, naming file and line, for a line that is no list of item_ids."""
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                items = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path.name}, line {number}: {error}") from None
            if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
                raise ValueError(f'{path.name}, line {number}: must be a list of item_ids such as ["MOB001", "ACC004"]')
            yield items


@app.command()
def serve(root: Root = _ROOT, host: Annotated[str, typer.Option(help="Address to listen on")] = "0.0.0.0") -> None:
    """Answer from ROOT/model until SIGTERM."""
    doors = RecommendationDoors(Recommendations(root / "model"), _Everybody({}), seen_by=lambda _: [])
    routes = [route for route in doors.routes if route.path in ("/ping", "/invocations")]
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    uvicorn.run(Starlette(routes=routes), host=host, port=port, log_level="warning", lifespan="off")


if __name__ == "__main__":
    sys.exit(app())
