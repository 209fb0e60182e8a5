"""What Compose's PostgreSQL runs when its data folder is new."""

import os
import subprocess
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from contract.errors import Misconfigured
from tests.postgresql import cluster
from warehouse.engines.postgresql import PostgresEngine

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose" / "postgresql-reader.sh"


def test_composes_database_has_the_reader_of_the_marts(tmp_path: Path) -> None:
    script = tmp_path / "reader.sh"
    rights = ROOT / "dashboards" / "sql" / "reader_role.sql"
    script.write_text(COMPOSE.read_text().replace("/milepost/reader_role.sql", str(rights)))
    with cluster() as url:
        where = conninfo_to_dict(url)
        environ = {
            **os.environ, "PGHOST": str(where["host"]), "PGPORT": str(where["port"]),
            "POSTGRES_USER": "milepost", "POSTGRES_DB": "postgres", "MILEPOST_PG_PASSWORD": "it's secret",
        }  # fmt: skip
        done = subprocess.run(["sh", str(script)], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        reader = PostgresEngine(url.replace("milepost@", "milepost_reader:it%27s%20secret@"))
        assert reader.query("SELECT 1 AS one") == [{"one": 1}]
        with pytest.raises(Misconfigured, match="read-only transaction"):
            reader.query("CREATE TABLE marts.x (y int)")
