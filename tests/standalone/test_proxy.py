"""A real nginx before a running `milepost up`: by the lines of docs/security.md, and by lines that somebody forgot."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.provisioning.mosquitto import free_port
from tests.standalone.up import Up

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
ROOT = Path(__file__).resolve().parents[2]
QUIET = ("--trucks", "0", "--shoppers", "0")
FOR_THIS_MACHINE = ["/", "/metrics", "/api/v1/fleet", "/healthz", "/dashboards"]
CLICK = {"event_id": "E1", "event_type": "click", "item_id": "I1"}

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

Nginx = Callable[[str], httpx.Client]


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """Start nginx with these lines inside its `server`; a client that calls it by the shop's name."""
    started: list[subprocess.Popen[bytes]] = []
    clients: list[httpx.Client] = []

    def start(lines: str) -> httpx.Client:
        port = free_port()
        folder = tmp_path / f"nginx-{len(started)}"
        folder.mkdir()
        file = folder / "nginx.conf"
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        file.write_text(
            f"{'user root;' if os.geteuid() == 0 else ''} daemon off; pid {folder}/pid;\n"
            f"error_log {folder}/error.log; events {{}}\n"
            f"http {{ access_log off;\n{temporary}\nserver {{ listen 127.0.0.1:{port};\n{lines}\n}} }}\n"
        )
        started.append(subprocess.Popen([str(NGINX), "-c", str(file), "-p", str(folder)], stderr=subprocess.PIPE))
        clients.append(httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"host": "shop.example"}))
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                clients[-1].get("/nothing")
            except httpx.TransportError:
                time.sleep(0.02)
            else:
                return clients[-1]
        raise AssertionError((folder / "error.log").read_text())

    yield start
    for client in clients:
        client.close()
    for process in started:
        process.terminate()
        process.wait(10)


def documented(url: str) -> str:
    """nginx's lines of the page, for the running service's address."""
    (block,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs/security.md").read_text(), re.DOTALL)
    assert "http://127.0.0.1:8080" in block
    return str(block).replace("http://127.0.0.1:8080", url)


def test_through_the_documented_proxy_visitors_click_and_reach_nothing_else(
    up: Up, nginx: Nginx, tmp_path: Path
) -> None:
    config = tmp_path / "milepost.toml"
    (settings,) = re.findall(r"```toml\n(\[http\]\n.*?)```", (ROOT / "docs/security.md").read_text(), re.DOTALL)
    config.write_text(f"{settings}[beacon]\nrate = 0.01\nburst = 5\n")
    shop = nginx(documented(up.start(*QUIET, "--config", str(config))["http"]))
    assert shop.post("/v1/clicks", json=CLICK).json()["receipts"][0]["status"] == "accepted"
    assert shop.get("/beacon.js").status_code == 200
    for path in FOR_THIS_MACHINE:
        assert shop.get(path).status_code == 404, path
    statuses = [shop.post("/v1/clicks", json=CLICK, headers={"x-forwarded-for": "6.6.6.6"}) for _ in range(10)]
    assert 429 in [one.status_code for one in statuses]
    assert "clicks_limited peer=127.0.0.1" in up.end()  # nginx's word counts, not what the visitor claims to be


CARELESS = {
    "as nginx does by itself": "location / { proxy_pass URL; }",
    "Host only": "location / { proxy_pass URL; proxy_http_version 1.1; proxy_set_header Host $host; }",
    "address only": "location / { proxy_pass URL; proxy_http_version 1.1; proxy_set_header X-Forwarded-For 1.2.3.4; }",
}


def test_through_a_proxy_that_forwards_everything_nothing_of_this_machine_is_open(up: Up, nginx: Nginx) -> None:
    url = up.start(*QUIET)["http"]
    for path in FOR_THIS_MACHINE:
        assert httpx.get(f"{url}{path}").status_code in (200, 404), path
    sample = {"truck_id": "T1", "sampled_at": "2026-01-01T00:00:00Z", "vehicle_speed": 1}
    order = {"order_id": "O-1", "customer_id": "C-1", "lines": []}
    for name, lines in CARELESS.items():
        visitor = nginx(lines.replace("URL", url))
        for path in FOR_THIS_MACHINE:
            answer = visitor.get(path)
            if path == "/healthz":
                assert answer.json() == {"status": "ok"}, name
            else:
                assert answer.status_code in (401, 403), (name, path, answer.text)
        assert visitor.post("/v1/orders", json=order).status_code in (401, 403), name
        assert visitor.post("/v1/telemetry", json=sample).status_code in (401, 403), name
        assert visitor.post("/v1/clicks", json=CLICK).status_code == 200, name


def test_a_proxy_sees_the_answer_to_a_body_over_the_limit(up: Up, nginx: Nginx) -> None:
    shop = nginx(f"client_max_body_size 10m;\n{documented(up.start(*QUIET)['http'])}")
    for _ in range(10):
        assert shop.post("/v1/clicks", content=b" " * 3_000_000).status_code == 413
