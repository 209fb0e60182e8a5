"""Names that the standalone broker gives to its own clients and roles: no truck may be called like one."""

ADMIN = "milepost-admin"
COLLECTOR = "milepost-collector"
OPERATOR = "milepost-operator"
"""Who tells trucks' agents what to do (provisioning.commands)."""
ANYONE_HERE = "this-machine"
"""The group of clients that connect from this machine without a password."""


def reserved(truck_id: str) -> bool:
    """Whether the broker itself uses this name: a truck of that name would get its role's rights."""
    return truck_id in (ADMIN, COLLECTOR, OPERATOR, ANYONE_HERE)
