"""Orders at a running `milepost up`: durable when answered, and where they are is the truck's own position."""

import time
from pathlib import Path

import httpx

from tests.commerce.examples import event, order
from tests.standalone.up import Up


def test_orders_survive_a_kill_and_follow_their_truck(tmp_path: Path) -> None:
    up = Up(tmp_path / "data", ["--trucks", "1", "--shoppers", "0", "--speedup", "60"])
    url = up.start()["http"]
    sent = []
    for number in range(30):
        name = f"A-{number}"
        assert httpx.post(f"{url}/v1/orders", json=order(name), timeout=60).status_code == 201
        answer = httpx.post(f"{url}/v1/orders/{name}/events", json=event("loaded", truck_id="TRUCK-001"), timeout=60)
        assert answer.status_code == 201
        sent.append(name)
    up.kill()
    url = up.start()["http"]
    assert sorted(row["order_id"] for row in up.ask("orders", "list")) == sorted(sent)
    deadline = time.monotonic() + 60
    # A sample without a fix has a position of nulls.
    while not ((found := httpx.get(f"{url}/v1/orders/A-0", timeout=60).json())["position"] or {}).get("latitude"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert (found["state"], found["truck_id"]) == ("loaded", "TRUCK-001")
    up.kill()
