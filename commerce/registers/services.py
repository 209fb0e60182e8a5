"""Services that were done on a truck: what clears a line of `maintenance_due`."""

from commerce.fields import Accepted
from commerce.registers.documents import SERVICES, VALID_FROM
from contract import timestamps
from contract.codec import Json
from contract.errors import Rejected

_KNOWN = ("item", "at", "odometer")


def read_service(truck_id: str, document: Json, *, received_ms: int) -> Accepted:
    """Judge one service; to be put into the register SERVICES.

    Args:
        truck_id: the truck.
        document: `{item, at?, odometer?}`: one of `contract.thresholds.items()`; when it was done, RFC 3339, else now;
            the odometer then, km.
        received_ms: Unix ms of its arrival.

    Raises:
        Rejected: names the field; a service with a wrong field would clear the wrong thing.
    """
    if not isinstance(document, dict):
        raise Rejected("service", "must be an object {item, at, odometer}")
    for name in document:
        if name not in _KNOWN:
            raise Rejected(name, f"is not known here; give {', '.join(_KNOWN)}")
    if document.get("item") is None:
        raise Rejected("item", "is missing: say what was serviced")
    at = document.get("at") or timestamps.from_ms(received_ms)
    service = {**document, "truck_id": truck_id, "at": at, VALID_FROM: at}
    read = SERVICES.read(service, f"{truck_id}:{document['item']}")
    for field, reason in read.warnings.items():
        raise Rejected("at" if field == VALID_FROM else field, reason)
    return read
