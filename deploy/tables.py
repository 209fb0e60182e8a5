"""Stand-in until collector/stores has the definitions."""

from typing import Any


def _t(pk: str, sk: str | None = None) -> dict[str, Any]:
    keys = [pk, *([sk] if sk else [])]
    return {
        "AttributeDefinitions": [{"AttributeName": k, "AttributeType": "S"} for k in keys],
        "KeySchema": [{"AttributeName": k, "KeyType": t} for k, t in zip(keys, ("HASH", "RANGE"), strict=False)],
        "BillingMode": "PAY_PER_REQUEST",
    }


TABLES = {
    "samples": _t("truck_id", "order_key"),
    "trucks": _t("truck_id", "part"),
    "truck_history": _t("truck_id", "order_key"),
    "clicks": _t("event_id"),
    "click_counts": _t("bucket", "counter"),
    "dead_letters": _t("id"),
}
TTL_ATTRIBUTES = {"samples": "ttl", "clicks": "ttl"}
