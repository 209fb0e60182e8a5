"""One function's process: python -m tests.collector.handlers.function KIND FILE FIRST BATCH

Takes the stream records of FILE, one a line, from line FIRST on, BATCH at a time, and says after each batch how many
are behind it: that is the checkpoint from which Lambda goes on when it has died.
"""

import importlib
import json
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace

from tests.collector.handlers.mapping import Mapping


def main(kind: str, file: str, first: int, size: int) -> None:
    handler = importlib.import_module(f"collector.handlers.{kind}").handler
    context = SimpleNamespace(
        function_name=f"milepost-{kind}",
        memory_limit_in_mb=512,
        invoked_function_arn=f"arn:aws:lambda:us-east-1:000000000000:function:milepost-{kind}",
        aws_request_id=str(uuid.uuid4()),
        get_remaining_time_in_millis=lambda: 60_000,
    )
    records = [json.loads(line) for line in Path(file).read_text("utf-8").splitlines()]
    say, sys.stdout = sys.stdout, sys.stderr  # metrics go to the log
    mapping = Mapping(lambda event: handler(event, context), batch_size=size)
    print(first, file=say, flush=True)
    while first < len(records):
        mapping.run(records[first : first + size])
        assert not mapping.discarded
        first = min(first + size, len(records))
        print(first, file=say, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
