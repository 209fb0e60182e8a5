"""What is handed to an engine that runs in an environment of its own: the models' sources as files, and SQL to run.

Spark and Snowflake's connector contradict the pins of this environment (requirements/README.md), so a job beside this
module runs in theirs, as a process that imports nothing of Milepost: it takes steps from `steps.json` and prints one
JSON document. A step is `{"run": SQL}`, `{"audit": SQL, "name": …}`, which must find no row, `{"count": SQL,
"name": mart}`, `{"query": SQL}`, which ends it with rows, or `{"put": path, "stage": @…}`.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from contract.errors import Misconfigured, Unreachable
from warehouse.engines import LakeView, files_of
from warehouse.engines.building import AuditFailed, audits
from warehouse.lake.tables import TABLES
from warehouse.lake.writing import checked_relation
from warehouse.rendering import models

Step = dict[str, str]
Columns = list[tuple[str, str]]
HERE = Path(__file__).parent


def write_sources(lake: LakeView, folder: Path, kind: str) -> dict[str, Columns]:
    """Write each of the models' sources as `folder/NAME.KIND`.

    Args:
        lake: a finished build.
        folder: is made.
        kind: parquet or csv (no header, null is an empty field, a text is always quoted).

    Returns:
        Source → its columns with DuckDB's types, in the files' order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = "format parquet" if kind == "parquet" else "format csv, header false, force_quote *"
    found: dict[str, Columns] = {}
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        for table in TABLES:
            rows = checked_relation(db, table, files_of(lake, table))
            db.execute(f"CREATE VIEW raw_{table.name} AS SELECT * FROM {rows}")
        for name, query in lake.sources.items():
            found[name] = [(row[0], row[1]) for row in db.execute(f"DESCRIBE {query}").fetchall()]
            db.execute(f"COPY ({query}) TO '{folder / name}.{kind}' ({options})")
    return found


def model_steps(engine: str, create: str) -> Iterator[Step]:
    """The steps that make every model, each audited when it is made, then the marts' sizes.

    Args:
        engine: whose SQL.
        create: how a table begins, with `{name}`.
    """
    for model in models(engine):
        query = model.query.replace("1111-11-11", "0001-01-01").replace("2222-02-22", "9999-12-31")
        yield {"run": f"{create.format(name=model.name)} {query}"}
        for name, audit in audits(model, None):
            yield {"audit": f"SELECT * FROM ({audit}) AS bad LIMIT 1", "name": f"{model.name} breaks {name}"}
    for model in models(engine):
        if model.name.startswith("marts."):
            yield {"count": f"SELECT count(*) FROM {model.name}", "name": model.name.removeprefix("marts.")}


def run(  # noqa: PLR0913 - two of them are optional
    job: str,
    python: Path,
    folder: Path,
    steps: Sequence[Step],
    *,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run steps by a job in its own environment.

    Args:
        job: the module beside this one.
        python: of the environment.
        folder: for `steps.json`.
        steps: in order.
        arguments: of the job, after the path of the steps.
        environment: variables of the job, beside those of this process.

    Raises:
        AuditFailed: an audit found a row.
        Misconfigured: the environment is missing.
        Unreachable: the engine gave up; the end of what it said is in the text.
    """
    if not python.exists():
        name = python.parent.parent.name
        raise Misconfigured(f"{python} is missing: `make {name}/ready` makes the environment of this engine")
    path = folder / "steps.json"
    path.write_text(json.dumps(list(steps)), encoding="utf-8")
    command = [str(python), "-P", str(HERE / f"{job}.py"), str(path), *arguments]
    every = {**os.environ, "PYSPARK_PYTHON": str(python), **(environment or {})}
    done = subprocess.run(command, capture_output=True, text=True, env=every, check=False, cwd=folder)
    try:
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise Unreachable(f"{job} ended with {done.returncode}: {done.stderr.strip()[-600:]}") from None
    if "audit" in answer:
        raise AuditFailed(f"{answer['audit']}, such as {answer['row']}; the marts stay as they were")
    if "error" in answer:
        raise Unreachable(f"{job}: {answer['error']}")
    return answer
