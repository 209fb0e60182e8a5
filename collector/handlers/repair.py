"""Gap repair on AWS, on a schedule: asks trucks for the samples that the ledger misses (docs/architecture.md)."""

from functools import cache
from typing import Any

from collector.completeness.ledger import StreamLedger
from collector.gap_repair import Ask, due
from collector.handlers import bootstrap
from collector.handlers.observability import Door
from contract import machine_clock, topics

door = Door("milepost-repair")


@door
def handler(_event: dict[str, Any], _context: Any) -> dict[str, int]:
    """Any event in; how many requests were published out."""
    grace_ms = int(bootstrap.settings().resend_after * 1000)
    now_ms = machine_clock.now_ms()
    incomplete: list[StreamLedger] = []
    asks = due(bootstrap.store(), now_ms=now_ms, grace_ms=grace_ms, observe=incomplete.append)
    missing = sum((ledger.missing() - ledger.late(now_ms, grace_ms)).count for ledger in incomplete)
    lost = sum((ledger.missing() & ledger.lost()).count for ledger in incomplete)
    failed = sum(not _publish(ask) for ask in asks)
    door.count({"asks": len(asks), "failed": failed, "missing": missing, "lost": lost})
    return {"asked": len(asks) - failed, "failed": failed}


def _publish(ask: Ask) -> bool:
    """False if it could not be published: the ledger counts it as asked, and it is due again after its wait."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        _iot_data().publish(topic=topics.resend(ask.truck_id), qos=1, payload=ask.request.model_dump_json().encode())
    except (BotoCoreError, ClientError):
        door.logger.exception("ask_not_published", truck_id=ask.truck_id)
        return False
    return True


@cache
def _iot_data() -> Any:
    import boto3

    return boto3.client("iot-data")
