"""Who may send what by HTTP: a shop's own pages and servers, trucks that are not retired, and over TLS of one's own."""

import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from agent.enrollment.csr import new_key, signing_request
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings
from standalone.supervised_loops import Loops
from tests import kafka
from tests.standalone.test_attacks import QUIET, provisioned
from tests.standalone.up import Up
from tests.waiting import until

CLICK = {"event_id": "E1", "event_type": "click", "item_id": "I1"}
SITE = "https://shop.example"
ELSEWHERE = {"host": "clicks.shop.example"}


@pytest.fixture
def shop(up: Up, tmp_path: Path) -> Iterator[str]:
    """Its own pages only, and one server by a key."""
    config = tmp_path / "milepost.toml"
    config.write_text(f'[beacon]\nsites = ["{SITE}"]\nsite_keys = {{ "key-of-the-shops-server" = "{SITE}" }}\n')
    yield up.start(*QUIET, "--config", str(config))["http"]
    assert "clicks_of_foreign_site peer=127.0.0.1 site='https://evil.example'" in up.end()


def test_only_the_shops_pages_and_its_servers_send_clicks(shop: str) -> None:
    answers = {}
    for name, headers in {
        "its page": {"origin": SITE},
        "its page, told by the referrer": {"referer": f"{SITE}/shoes"},
        "another site": {"origin": "https://evil.example"},
        "a name that only begins so": {"origin": f"{SITE}.evil.example"},
        "another scheme": {"origin": "http://shop.example"},
        "nobody": {},
        "a wrong key": {"authorization": "Bearer key-of-another-server-1"},
        "its server": {"authorization": "Bearer key-of-the-shops-server"},
    }.items():
        answer = httpx.post(f"{shop}/v1/clicks", json=CLICK, headers={**ELSEWHERE, **headers}, timeout=60)
        answers[name] = answer.status_code
        allowed = answer.headers.get("access-control-allow-origin")
        assert allowed == (SITE if headers.get("origin") == SITE else None), name
    assert {name for name, status in answers.items() if status == 200} == {
        "its page", "its page, told by the referrer", "its server",
    }  # fmt: skip
    assert set(answers.values()) == {200, 403}


def test_a_retired_trucks_key_stops_working_at_once(up: Up, tmp_path: Path) -> None:
    provisioned(up.folder)
    config = tmp_path / "milepost.toml"
    config.write_text('[beacon]\ntelemetry_keys = { "key-of-truck-number-1" = "T1" }\n')
    registry = LocalRegistry(up.folder, ProvisioningSettings())
    registry.add("T1", {})
    registry.issue("T1", signing_request(new_key()))
    url = up.start(*QUIET, "--config", str(config))["http"]
    sample = {"truck_id": "T1", "sampled_at": "2026-01-01T00:00:00Z", "vehicle_speed": 1}
    headers = {"authorization": "Bearer key-of-truck-number-1"}
    assert httpx.post(f"{url}/v1/telemetry", json=sample, headers=headers, timeout=60).status_code == 200
    registry.retire("T1")
    registry.close()
    assert httpx.post(f"{url}/v1/telemetry", json=sample, headers=headers, timeout=60).status_code == 401
    assert "telemetry_key_refused peer=127.0.0.1" in up.end()


def test_every_address_is_served_by_a_certificate_of_ones_own_and_never_without(up: Up, tmp_path: Path) -> None:
    ca, chain, key = kafka.certificates(tmp_path)
    config = tmp_path / "milepost.toml"
    config.write_text(f'[http]\ntls_certificate = "{chain}"\ntls_key = "{key}"\n')
    url = up.start(*QUIET, "--config", str(config), "--host", "0.0.0.0")["http"]
    assert url.startswith("https://127.0.0.1:")
    context = ssl.create_default_context(cafile=str(ca))
    with httpx.Client(verify=context, headers=ELSEWHERE, timeout=60) as visitor:
        assert visitor.post(f"{url}/v1/clicks", json=CLICK).status_code == 200
        assert visitor.get(f"{url}/metrics").status_code == 403
    with pytest.raises(httpx.TransportError):
        httpx.get(url.replace("https", "http") + "/healthz", timeout=60)
    up.end()
    bare = Up(tmp_path / "bare")
    with pytest.raises(AssertionError, match="without encryption"):
        bare.start(*QUIET, "--host", "0.0.0.0")


def test_a_loop_that_fails_or_ends_is_told_and_begins_again() -> None:
    """Nothing that looks after something else ends unseen: /healthz says `failing` by what this tells."""
    loops, stop, begun = Loops(), threading.Event(), list[float]()

    def looks_after(*, stop: threading.Event) -> None:
        begun.append(time.monotonic())
        if len(begun) == 1:
            raise OSError(24, "Too many open files")
        if len(begun) == 2:
            return
        stop.wait()

    thread = threading.Thread(target=loops.run, args=(looks_after,), kwargs={"stop": stop})
    thread.start()
    until(lambda: len(begun) == 3)
    assert [why for name, why in loops.failing().items() if "looks_after" in name] == ["it ended"]
    assert loops.failures == 2
    stop.set()
    thread.join(60)
    assert not thread.is_alive()
