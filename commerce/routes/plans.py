"""Stored route plans: the newest one of a day is in force, and its stops are compared with what was delivered."""

import secrets
from typing import Any

from sqlalchemy import func, select

from commerce.storage.database import Database
from commerce.storage.schema import order_states, planned_stops, route_plans
from contract import timestamps
from contract.codec import dump, parse
from contract.errors import Misconfigured

Plan = dict[str, Any]
_ENDS = ("delivered_at", "failed_at", "returned_at", "cancelled_at")


class Plans:
    """The plans in one database. A plan is never changed: one that is made anew supersedes those of the same day."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, found: Plan, *, made_ms: int) -> Plan:
        """Keep a plan, from now on the one in force for its day; durable when it returns.

        Args:
            found: of `commerce.routes.planning.plan`.
            made_ms: Unix ms.

        Returns:
            The plan with `plan_id, day, version, made_at`. The day is the UTC day of its first arrival.

        Raises:
            Misconfigured: no truck brings anything, so that there is no day.
            Retryable: the database failed, or another plan of that day was saved at the same moment.
        """
        arrivals = [stop["arrive_at"] for truck in found["trucks"] for stop in truck["stops"]]
        if not arrivals:
            raise Misconfigured("the plan has no stop: nothing is saved")
        day, plan_id = min(arrivals)[:10], secrets.token_hex(8)
        with self._database.write() as connection:
            newest = connection.execute(select(func.max(route_plans.c.version)).where(route_plans.c.day == day))
            version = (newest.scalar() or 0) + 1
            about = {"plan_id": plan_id, "day": day, "version": version, "made_at": timestamps.from_ms(made_ms)}
            kept = {**about, **found}
            row = {"plan_id": plan_id, "day": day, "version": version, "made_ms": made_ms, "document": dump(kept)}
            connection.execute(route_plans.insert().values(**row))
            stops = [
                {"plan_id": plan_id, "order_id": s["order_id"], "truck_id": t["truck_id"], "stop_no": s["stop_no"]}
                for t in found["trucks"]
                for s in t["stops"]
            ]
            connection.execute(planned_stops.insert(), stops)
        return kept

    def all(self) -> list[Plan]:
        """Every plan that was saved.

        Returns:
            Newest day and version first, each with `in_force`.
        """
        table = route_plans
        with self._database.read() as connection:
            query = select(table.c.document).order_by(table.c.day.desc(), table.c.version.desc())
            plans = [parse(document) for document in connection.execute(query).scalars()]
        newest: dict[str, int] = {}
        for plan in plans:
            newest.setdefault(plan["day"], plan["version"])
        return [{**plan, "in_force": plan["version"] == newest[plan["day"]]} for plan in plans]

    def compared(self, name: str) -> Plan | None:
        """A plan with what became of each stop.

        Args:
            name: a plan_id, or a day (YYYY-MM-DD) for the one in force.

        Returns:
            The plan; each stop has `state` of its order, `done_at` (delivered or given up), the truck that had it in
            `by`, and `late_min` against the planned arrival (negative: early). None for an unknown one.
        """
        table = route_plans
        query = select(table.c.document).where((table.c.plan_id == name) | (table.c.day == name))
        with self._database.read() as connection:
            document = connection.execute(query.order_by(table.c.version.desc()).limit(1)).scalar_one_or_none()
        return None if document is None else self._compared(parse(document))

    def route_of(self, truck_id: str, at: str) -> Plan | None:
        """A truck's stops in the plan in force at a moment.

        Args:
            truck_id: the truck.
            at: RFC 3339; the plan is that of its UTC day, or the newest one before where a tour goes past midnight.

        Returns:
            `{truck_id, plan_id, day, version, made_at, depot, km, hours, stops}`, stops as in `compared`; None where no
            plan of that day or the day before names the truck.
        """
        day = at[:10]
        before = timestamps.from_ms(timestamps.to_ms(at) - 86_400_000)[:10]
        for each in (day, before):
            if plan := self.compared(each):
                route = next((one for one in plan["trucks"] if one["truck_id"] == truck_id), None)
                if route and (each == day or route["stops"][-1]["leave_at"] >= at):
                    about = {name: plan[name] for name in ("plan_id", "day", "version", "made_at", "depot")}
                    return {"truck_id": truck_id, **about, **{name: route[name] for name in ("km", "hours", "stops")}}
        return None

    def stop_of(self, order_id: str) -> tuple[str, Plan] | None:
        """Where an order stands in the newest plan that names it and is in force.

        Args:
            order_id: of which order.

        Returns:
            The truck that is to bring it, and that truck's route (as `route_of`). None where no such plan names it.
        """
        newest = (
            select(route_plans.c.day, func.max(route_plans.c.version).label("version"))
            .group_by(route_plans.c.day)
            .subquery()
        )
        query = (
            select(planned_stops.c.truck_id, route_plans.c.document)
            .join(route_plans, route_plans.c.plan_id == planned_stops.c.plan_id)
            .join(newest, (newest.c.day == route_plans.c.day) & (newest.c.version == route_plans.c.version))
            .where(planned_stops.c.order_id == order_id)
            .order_by(route_plans.c.day.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        plan = self._compared(parse(row.document))
        route = next(each for each in plan["trucks"] if each["truck_id"] == row.truck_id)
        return row.truck_id, {**route, "depot": plan["depot"], "day": plan["day"], "version": plan["version"]}

    def _compared(self, plan: Plan) -> Plan:
        names = [stop["order_id"] for truck in plan["trucks"] for stop in truck["stops"]]
        states: dict[str, Plan] = {}
        with self._database.read() as connection:
            for first in range(0, len(names), 500):
                some = names[first : first + 500]
                query = select(order_states.c.order_id, order_states.c.document)
                for row in connection.execute(query.where(order_states.c.order_id.in_(some))):
                    states[row.order_id] = parse(row.document)
        trucks = [
            {**truck, "stops": [_with_outcome(stop, states.get(stop["order_id"])) for stop in truck["stops"]]}
            for truck in plan["trucks"]
        ]
        return {**plan, "trucks": trucks}


def _with_outcome(stop: Plan, state: Plan | None) -> Plan:
    done_at = next((state[name] for name in _ENDS if state[name]), None) if state else None
    late = None
    if state and state["delivered_at"]:
        late_ms = timestamps.to_ms(state["delivered_at"]) - timestamps.to_ms(stop["arrive_at"])
        late = round(late_ms / 60_000, 1) + 0.0
    by = state["truck_id"] if state else None
    return {**stop, "state": state["state"] if state else None, "done_at": done_at, "by": by, "late_min": late}
