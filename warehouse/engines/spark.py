"""The marts by a local Spark, as Parquet in a folder: for a lake that one DuckDB cannot chew.

The folder is replaced when a build is done, so that a reader sees the old marts or the new ones. Every build makes
every mart from the start. Needs the environment `.venv-spark` and Java 17.
"""

import json
import shutil
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import duckdb

from contract.errors import Misconfigured
from warehouse.engines import LakeView, Rows
from warehouse.engines.handover import Step, model_steps, run, write_sources
from warehouse.rendering import models

_SCHEMAS = ("lake", "base", "marts")


class SparkEngine:
    """The `Engine` on Spark.

    Args:
        folder: of the marts.
        python: of the environment that has pyspark.
    """

    def __init__(self, folder: Path, python: Path) -> None:
        self._folder, self._python = folder, python

    def held(self) -> AbstractContextManager[None]:
        return nullcontext()

    def holds(self) -> tuple[int, str] | None:
        path = self._folder / "build.json"
        if not path.exists():
            return None
        held = json.loads(path.read_text(encoding="utf-8"))
        return held["build"], held["models"]

    def build(self, lake: LakeView, models_digest: str) -> dict[str, int]:
        work, made = (
            self._folder.with_name(f".{self._folder.name}.work"),
            self._folder.with_name(f".{self._folder.name}.new"),
        )
        for folder in (work, made):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        try:
            sources = write_sources(lake, work / "sources", "parquet")
            steps: list[Step] = [{"run": f"CREATE DATABASE {name}"} for name in _SCHEMAS]
            for name in sources:
                steps.append(
                    {"run": f"CREATE TABLE lake.{name} USING parquet LOCATION '{work}/sources/{name}.parquet'"}
                )
            steps += model_steps("spark", "CREATE TABLE {name} USING parquet AS")
            counts: dict[str, int] = run("spark_job", self._python, work, steps, arguments=[str(work / "tables")])[
                "marts"
            ]
            for name in counts:
                (work / "tables" / "marts.db" / name).rename(made / name)
            (made / "build.json").write_text(json.dumps({"build": lake.build, "models": models_digest}))
            shutil.rmtree(self._folder, ignore_errors=True)
            made.rename(self._folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
            shutil.rmtree(made, ignore_errors=True)
        return counts

    def query(self, sql: str) -> Rows:
        if self.holds() is None:
            raise Misconfigured(f"no warehouse at {self._folder}: `milepost warehouse build --engine spark` makes one")
        with duckdb.connect() as db:
            db.execute("SET TimeZone = 'UTC'")
            for model in models("spark"):
                name = model.name.removeprefix("marts.")
                if model.name.startswith("marts."):
                    db.execute(f"CREATE VIEW {name} AS SELECT * FROM '{self._folder / name}/*.parquet'")
            try:
                cursor = db.execute(sql)
            except duckdb.Error as error:
                raise Misconfigured(f"the warehouse refuses the SQL: {error}") from None
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
