"""The marts in Athena, as `milepost warehouse export` and an upload put them there: asked, and never built.

Source: the Athena API reference, StartQueryExecution, GetQueryExecution and GetQueryResults.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from contract.errors import Misconfigured, Unreachable
from warehouse.engines import LakeView, Rows

_READS = re.compile(r"\s*(?:SELECT|WITH|VALUES)\b", re.IGNORECASE)
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 2.0  # seconds between two looks at a query that runs
_LIMIT_SECONDS = 30 * 60  # Athena's own, of a query
_READERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint"), int),
    **dict.fromkeys(("float", "real", "double"), float),
    "decimal": Decimal,
    "boolean": lambda text: text == "true",
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
}


class AthenaEngine:
    """The `Engine` on a workgroup and a database of Athena.

    Args:
        url: `athena://WORKGROUP/DATABASE`; account and region are those of the environment, as for the AWS CLI.

    Raises:
        Misconfigured: workgroup or database is missing from the address.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._workgroup, self._database = parts.netloc, parts.path.strip("/")
        if not self._workgroup or not self._database:
            raise Misconfigured(f"engine {url!r}: give athena://WORKGROUP/DATABASE")

    def held(self) -> AbstractContextManager[None]:
        return nullcontext()

    def holds(self) -> tuple[int, str] | None:
        try:
            rows = self.query("SELECT build, models FROM build")
        except Misconfigured as error:
            if "does not exist" in str(error):
                return None
            raise
        return (rows[0]["build"], rows[0]["models"]) if rows else None

    def build(self, lake: LakeView, models_digest: str) -> dict[str, int]:
        raise Misconfigured(
            "Athena reads what others built: run `milepost warehouse build` with --engine duckdb,"
            " `milepost warehouse export`, and upload the folder (docs/athena.md)"
        )

    def query(self, sql: str) -> Rows:
        if not _READS.match(sql):
            raise Misconfigured("give one SELECT")
        query_id = self._started(sql)
        state = self._ended(query_id)
        if state["State"] != "SUCCEEDED":
            raise Misconfigured(f"Athena refuses the SQL: {state.get('StateChangeReason') or state['State']}")
        return list(self._rows(query_id))

    def _started(self, sql: str) -> str:
        context = {"Database": self._database}
        started = self._call(
            "start_query_execution", QueryString=sql, QueryExecutionContext=context, WorkGroup=self._workgroup
        )
        return str(started["QueryExecutionId"])

    def _ended(self, query_id: str) -> dict[str, Any]:
        """The last state of a query."""
        deadline, wait = time.monotonic() + _LIMIT_SECONDS, _FIRST_WAIT
        while True:
            found = self._call("get_query_execution", QueryExecutionId=query_id)
            state: dict[str, Any] = found["QueryExecution"]["Status"]
            if state["State"] not in ("QUEUED", "RUNNING"):
                return state
            if time.monotonic() > deadline:
                raise Unreachable(f"Athena's query {query_id} has not ended within {_LIMIT_SECONDS // 60} minutes")
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _rows(self, query_id: str) -> Iterator[dict[str, Any]]:
        """All pages; the first row of the first is the columns' names."""
        more: dict[str, str] = {}
        first = True
        while first or more:
            page = self._call("get_query_results", QueryExecutionId=query_id, **more)
            columns = page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
            readers = [(column["Name"], _READERS.get(column["Type"], str)) for column in columns]
            for row in page["ResultSet"]["Rows"][1 if first else 0 :]:
                values = (cell.get("VarCharValue") for cell in row["Data"])
                yield {
                    name: None if value is None else read(value)
                    for (name, read), value in zip(readers, values, strict=True)
                }
            first = False
            more = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}

    def _call(self, operation: str, **given: Any) -> dict[str, Any]:
        client = self._client
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(client, operation)(**given)
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidRequestException":
                raise Misconfigured(f"Athena refuses: {error.response['Error']['Message']}") from None
            raise Unreachable(f"Athena: {error}") from None
        except BotoCoreError as error:
            raise Unreachable(f"Athena: {error}") from None
        return answer

    @cached_property
    def _client(self) -> Any:
        try:
            import boto3
        except ImportError:
            raise Misconfigured("the engine athena needs boto3: pip install 'milepost[aws]'") from None
        from botocore.exceptions import BotoCoreError

        try:
            return boto3.client("athena")
        except BotoCoreError as error:  # no region
            raise Misconfigured(f"Athena: {error}") from None
