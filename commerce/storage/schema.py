"""The tables of orders. Times are Unix milliseconds (UTC); documents are canonical JSON text."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

orders = Table(
    "orders",
    metadata,
    Column("order_id", String(128), primary_key=True),
    comment="One row per order ever named, by itself or by an event: what writers lock. state follows from the rest.",
)

order_contents = Table(
    "order_contents",
    metadata,
    Column("order_id", String(128), ForeignKey("orders.order_id"), primary_key=True),
    Column("content", String(64), primary_key=True, comment="SHA-256 of the canonical JSON that came"),
    Column("received_ms", BigInteger, nullable=False, comment="when this content first came"),
    Column("document", Text, nullable=False),
    comment="Every content that was posted as an order; the smallest content counts.",
)

order_events = Table(
    "order_events",
    metadata,
    Column("order_id", String(128), ForeignKey("orders.order_id"), primary_key=True),
    Column("event_id", String(128), primary_key=True),
    Column("content", String(64), primary_key=True),
    Column("received_ms", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    comment="The log of events: the truth.",
)

order_states = Table(
    "order_states",
    metadata,
    Column("order_id", String(128), ForeignKey("orders.order_id"), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("customer_id", String(128)),
    Column("truck_id", String(64)),
    Column("placed_at", String(24)),
    Column("promised_at", String(24)),
    Column("document", Text, nullable=False, comment="commerce.orders.state.order_state"),
    Index("order_states_by_placed", "placed_at"),
    Index("order_states_by_customer", "customer_id", "placed_at"),
    Index("order_states_by_truck", "truck_id", "state"),
    comment="The state of each order, recomputed with every change.",
)

tracking_tokens = Table(
    "tracking_tokens",
    metadata,
    Column("order_id", String(128), ForeignKey("orders.order_id"), primary_key=True),
    Column("token", String(64), nullable=False, comment="SHA-256 of the token; the token itself is nowhere kept"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", String(64), primary_key=True, comment="SHA-256 of source and payload"),
    Column("received_ms", BigInteger, nullable=False),
    Column("source", String(64), nullable=False),
    Column("field", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False, comment="the bytes as they came; empty where they held card data"),
    Column("times", Integer, nullable=False, default=1),
    comment="What was refused.",
)

register_subjects = Table(
    "register_subjects",
    metadata,
    Column("kind", String(16), primary_key=True, comment="customer, item or vehicle"),
    Column("subject_id", String(128), primary_key=True),
    comment="One row per customer, item and vehicle: what writers lock.",
)

register_documents = Table(
    "register_documents",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("subject_id", String(128), primary_key=True),
    Column("order_key", String(96), primary_key=True, comment="valid_from # content hash"),
    Column("key", String(64), nullable=False, comment="hash of what is said, without from when"),
    Column("received_ms", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    comment="Every document that was put.",
)

register_versions = Table(
    "register_versions",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("subject_id", String(128), primary_key=True),
    Column("order_key", String(96), primary_key=True, comment="of the document that opens it"),
    Column("key", String(64), nullable=False),
    Column("end", String(24), comment="start of the next version; null is current"),
    comment="SCD Type 2 versions of customers, items and vehicles.",
)

route_plans = Table(
    "route_plans",
    metadata,
    Column("plan_id", String(32), primary_key=True),
    Column("day", String(10), nullable=False, comment="UTC day of its first departure"),
    Column("version", Integer, nullable=False, comment="1, 2, …: the highest of a day is in force"),
    Column("made_ms", BigInteger, nullable=False),
    Column("document", Text, nullable=False, comment="commerce.routes.planning.plan, with the stops' places"),
    UniqueConstraint("day", "version"),
    comment="Route plans; nothing is ever changed, a plan made anew for a day supersedes the earlier ones.",
)

planned_stops = Table(
    "planned_stops",
    metadata,
    Column("plan_id", String(32), ForeignKey("route_plans.plan_id"), primary_key=True),
    Column("order_id", String(128), primary_key=True),
    Column("truck_id", String(64), nullable=False),
    Column("stop_no", Integer, nullable=False),
    Index("planned_stops_by_order", "order_id"),
    Index("planned_stops_by_truck", "truck_id"),
    comment="Which plan names which order.",
)

legal_holds = Table(
    "legal_holds",
    metadata,
    Column("customer_id", String(128), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    comment="Customers that `milepost forget` refuses to forget until the hold is released.",
)
