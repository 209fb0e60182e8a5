"""What may be put into each register: the fields of a customer, an item, a vehicle. A wrong field becomes null."""

from collections.abc import Mapping
from dataclasses import dataclass

from commerce.fields import (
    Accepted,
    Read,
    a_choice,
    a_currency,
    a_number,
    a_text,
    a_time_or_day,
    a_truth,
    accepted,
    an_amount,
    an_id,
    identifier,
    optional,
    own_fields,
    read_fields,
    refuse_card_data,
    truck_id,
)
from contract import thresholds
from contract.codec import Json
from contract.errors import Rejected

VALID_FROM = "valid_from"
"""The optional time from which a document holds; else the time of its arrival."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One register.

    name: as in the tables. id_name: the field that names the subject. fields: its optional fields. aliases: other
    names under which a field is taken too.
    """

    name: str
    id_name: str
    fields: Mapping[str, Read]
    aliases: Mapping[str, str]

    def knows(self, name: str) -> bool:
        """Whether a field of a document means something here."""
        return name in (self.id_name, VALID_FROM) or name in self.fields or name in self.aliases

    def read(self, document: Json, subject_id: str | None = None) -> Accepted:
        """Judge one document.

        Args:
            document: as it was parsed.
            subject_id: the id in the request's path, where there is one; the document may leave its own out.

        Raises:
            Rejected: no object, card data in it or in the path, no usable id, or an id other than the path's.
        """
        warnings: dict[str, str] = {}
        own = own_fields(document, warnings)
        refuse_card_data(subject_id, self.id_name)
        for other, name in self.aliases.items():
            if other in own and name not in own:
                own[name] = own.pop(other)
        found = own.get(self.id_name, subject_id)
        name = truck_id(found) if self.id_name == "truck_id" else identifier(found, self.id_name)
        if subject_id is not None and name != subject_id:
            raise Rejected(self.id_name, f"is {name!r:.40}, but the address says {subject_id!r:.40}")
        record = {**own, self.id_name: name}
        read_fields(record, {**self.fields, VALID_FROM: a_time_or_day(VALID_FROM)}, warnings)
        return accepted(name, own, record, warnings)


def _segments(value: Json) -> Json:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise Rejected("segments", f"must be a list of names, not {value!r:.40}")
    return sorted(set(value))


CUSTOMERS = Kind(
    "customer",
    "customer_id",
    {
        "email": a_text("email"),
        "email_hash": a_text("email_hash"),
        "name": a_text("name"),
        "birth_year": a_number("birth_year", 1880, 2100, whole=True),
        "gender": a_text("gender"),
        "country": a_text("country"),
        "postcode": a_text("postcode"),
        "language": a_text("language"),
        "loyalty_tier": a_text("loyalty_tier"),
        "loyalty_points": a_number("loyalty_points", 0, 10**9, whole=True),
        "loyalty_since": a_time_or_day("loyalty_since"),
        "marketing_consent": a_truth("marketing_consent"),
        "segments": optional(_segments),
        "created_at": a_time_or_day("created_at"),
    },
    {},
)

ITEMS = Kind(
    "item",
    "item_id",
    {
        "item_name": a_text("item_name"),
        "category": a_text("category"),
        "price": an_amount("price"),
        "currency": optional(a_currency),
        "active": a_truth("active"),
        "stock": a_number("stock", 0, 10**9, whole=True),
    },
    {"name": "item_name"},
)

VEHICLES = Kind(
    "vehicle",
    "truck_id",
    {
        "plate": a_text("plate"),
        "name": a_text("name"),
        "group": a_text("group"),
        "fuel_type": a_choice("fuel_type", ("diesel", "petrol", "gas", "electric", "hydrogen")),
        "tank_litres": a_number("tank_litres", 1, 5_000),
        "capacity": a_number("capacity", 0, 10**6),
        "depot_latitude": a_number("depot_latitude", -90, 90),
        "depot_longitude": a_number("depot_longitude", -180, 180),
        "service_every_km": a_number("service_every_km", 1, 10**7),
        "last_service_km": a_number("last_service_km", 0, 10**8),
        "last_service_at": a_time_or_day("last_service_at"),
        "driver_id": an_id("driver_id"),
    },
    {},
)

SERVICES = Kind(
    "service",
    "service_id",
    {
        "truck_id": truck_id,
        "item": a_choice("item", thresholds.items()),
        "at": a_time_or_day("at"),
        "odometer": a_number("odometer", 0, 10**8),
    },
    {},
)
"""One subject per truck and item, `TRUCK:ITEM`; see commerce.registers.services."""

KINDS = {kind.name: kind for kind in (CUSTOMERS, ITEMS, VEHICLES, SERVICES)}
