"""An Airflow 2 or 3 DAG for who has Airflow anyhow; Milepost itself needs none (docs/scale.md has systemd timers).

Each task is a command that may run again at any time: a retry builds the same. One run at a time, as a data directory
takes one build at a time.
"""

from datetime import UTC, datetime, timedelta

from airflow import DAG
from airflow.providers.standard.operators.bash import BashOperator  # Airflow 2: airflow.operators.bash

DATA = "/var/lib/milepost"

with DAG(
    dag_id="milepost",
    schedule="5 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5), "execution_timeout": timedelta(hours=4)},
) as dag:
    lake = BashOperator(task_id="lake", bash_command=f"milepost lake build --data-dir {DATA}")
    sound = BashOperator(task_id="lake_check", bash_command=f"milepost lake check --data-dir {DATA}")
    marts = BashOperator(task_id="marts", bash_command=f"milepost warehouse build --data-dir {DATA}")
    lake >> sound >> marts
