"""What Spark asks of the source, in its order and without Spark: run in the Spark environment, says JSON lines.

Arguments: the source's options as JSON; `run`, which takes a line from standard input between the fixing of the end
and the first plan, or `from` with offsets as JSON, which plans and then reads from there.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from streaming.kafka_source import KafkaReader, MissingRecords, OffsetRange


def _said(call: Callable[[], Any]) -> str:
    try:
        return json.dumps(call())
    except MissingRecords as error:
        return f"MissingRecords: {error}"


def main() -> None:
    reader = KafkaReader(json.loads(sys.argv[1]))
    if sys.argv[2] == "from":
        start = json.loads(sys.argv[3])
        print(_said(lambda: reader.latestOffset(start, None)))
        ranges = [OffsetRange(int(number), first, first + 1) for number, first in start.items()]
        print(_said(lambda: [len(list(reader.read(one))) for one in ranges]))
        return
    reader.prepareForTriggerAvailableNow()
    print(json.dumps(reader.initialOffset()), flush=True)
    sys.stdin.readline()
    start, before = reader.initialOffset(), None
    while start != before:
        start, before = reader.latestOffset(start, None), start
        print(json.dumps(start))


if __name__ == "__main__":
    main()
