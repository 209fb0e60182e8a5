"""Real nginx and Caddy before a running `milepost up`: by the lines of docs/security.md, and by lines forgotten."""

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
from tests.standalone.up import Up, running

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
ROOT = Path(__file__).resolve().parents[2]
QUIET = ("--trucks", "0", "--shoppers", "0")
FOR_THIS_MACHINE = ["/", "/metrics", "/api/v1/fleet", "/healthz", "/dashboards"]
CLICK = {"event_id": "E1", "event_type": "click", "item_id": "I1"}

CADDY = shutil.which("caddy")

Proxy = Callable[[str], httpx.Client]
"""Takes the proxy's lines; returns a client that calls it by the shop's name."""


class Proxies:
    """Processes of the test, ended by their ids."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []
        self._clients: list[httpx.Client] = []

    def nginx(self, lines: str) -> httpx.Client:
        """Start nginx with these lines inside its `server`."""
        folder, port = self._new()
        file = folder / "nginx.conf"
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        file.write_text(
            f"{'user root;' if os.geteuid() == 0 else ''} daemon off; pid {folder}/pid;\n"
            f"error_log {folder}/log; events {{}}\n"
            f"http {{ access_log off;\n{temporary}\nserver {{ listen 127.0.0.1:{port};\n{lines}\n}} }}\n"
        )
        return self._start([str(NGINX), "-c", str(file), "-p", str(folder)], folder, port)

    def caddy(self, lines: str) -> httpx.Client:
        """Start Caddy with this site, which is of shop.example, here without TLS."""
        folder, port = self._new()
        file = folder / "Caddyfile"
        site = lines.replace("shop.example {", f"http://shop.example:{port} {{\nbind 127.0.0.1\n")
        assert site != lines
        file.write_text(f"{{\nadmin off\nauto_https off\n}}\n{site}\n")
        return self._start([str(CADDY), "run", "--config", str(file), "--adapter", "caddyfile"], folder, port)

    def end(self) -> None:
        for client in self._clients:
            client.close()
        for process in self._started:
            process.terminate()
            process.wait(60)

    def _new(self) -> tuple[Path, int]:
        folder = self._folder / f"proxy-{len(self._started)}"
        folder.mkdir()
        return folder, free_port()

    def _start(self, command: list[str], folder: Path, port: int) -> httpx.Client:
        homes = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
        with (folder / "log").open("ab") as log:
            self._started.append(subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **homes}))
        self._clients.append(
            httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"host": "shop.example"}, timeout=60)
        )
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                self._clients[-1].get("/nothing")
            except httpx.TransportError:
                time.sleep(0.02)
            else:
                return self._clients[-1]
        raise AssertionError((folder / "log").read_text())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one `milepost up` without settings, for all that ask it the same through different proxies."""
    with running(tmp_path_factory.mktemp("up"), *QUIET) as up:
        ready = up.ready()
        assert ready
        yield ready["http"]


@pytest.fixture
def proxies(tmp_path: Path) -> Iterator[Proxies]:
    found = Proxies(tmp_path)
    yield found
    found.end()


@pytest.fixture
def nginx(proxies: Proxies) -> Proxy:
    if NGINX is None:
        pytest.skip("nginx is not installed")
    return proxies.nginx


@pytest.fixture(params=["nginx", "caddy"])
def documented(request: pytest.FixtureRequest, proxies: Proxies) -> Proxy:
    """Takes the address of the running service; the proxy has the lines of the page."""
    if {"nginx": NGINX, "caddy": CADDY}[request.param] is None:
        pytest.skip(f"{request.param} is not installed")
    (block,) = re.findall(rf"```{request.param}\n(.*?)```", (ROOT / "docs/security.md").read_text(), re.DOTALL)
    assert "127.0.0.1:8080" in block
    start = proxies.nginx if request.param == "nginx" else proxies.caddy
    return lambda url: start(str(block).replace("127.0.0.1:8080", url.removeprefix("http://")))


def test_through_the_documented_proxy_visitors_click_and_reach_nothing_else(
    up: Up, documented: Proxy, tmp_path: Path
) -> None:
    config = tmp_path / "milepost.toml"
    (settings,) = re.findall(r"```toml\n(\[http\]\n.*?)```", (ROOT / "docs/security.md").read_text(), re.DOTALL)
    config.write_text(f"{settings}[beacon]\nrate = 0.01\nburst = 5\n")
    shop = documented(up.start(*QUIET, "--config", str(config))["http"])
    assert shop.post("/v1/clicks", json=CLICK).json()["receipts"][0]["status"] == "accepted"
    assert shop.get("/beacon.js").status_code == 200
    for path in FOR_THIS_MACHINE:
        assert shop.get(path).status_code == 404, path
    statuses = [shop.post("/v1/clicks", json=CLICK, headers={"x-forwarded-for": "6.6.6.6"}) for _ in range(10)]
    assert 429 in [one.status_code for one in statuses]
    assert "clicks_limited peer=127.0.0.1" in up.end()  # the proxy's word counts, not what the visitor claims to be


CARELESS = {
    "as nginx does by itself": "location / { proxy_pass URL; }",
    "Host only": "location / { proxy_pass URL; proxy_http_version 1.1; proxy_set_header Host $host; }",
    "address only": "location / { proxy_pass URL; proxy_http_version 1.1; proxy_set_header X-Forwarded-For 1.2.3.4; }",
    "Caddy": "shop.example {\nreverse_proxy URL\n}",
    "Caddy that changes the Host": "shop.example {\nreverse_proxy URL {\nheader_up Host localhost\n}\n}",
}


@pytest.mark.parametrize("name", CARELESS)
def test_through_a_proxy_that_forwards_everything_nothing_of_this_machine_is_open(
    service: str, proxies: Proxies, name: str
) -> None:
    is_caddy = name.startswith("Caddy")
    if (CADDY if is_caddy else NGINX) is None:
        pytest.skip("this proxy is not installed")
    for path in FOR_THIS_MACHINE:
        assert httpx.get(f"{service}{path}", timeout=60).status_code in (200, 404), path
    sample = {"truck_id": "T1", "sampled_at": "2026-01-01T00:00:00Z", "vehicle_speed": 1}
    order = {"order_id": "O-1", "customer_id": "C-1", "lines": []}
    visitor = (proxies.caddy if is_caddy else proxies.nginx)(CARELESS[name].replace("URL", service))
    for path in FOR_THIS_MACHINE:
        answer = visitor.get(path)
        if path == "/healthz":
            assert answer.json() == {"status": "ok"}
        else:
            assert answer.status_code in (401, 403), (path, answer.text)
    assert visitor.post("/v1/orders", json=order).status_code in (401, 403)
    assert visitor.post("/v1/telemetry", json=sample).status_code in (401, 403)
    assert visitor.post("/v1/clicks", json=CLICK).status_code == 200


def test_whoever_sends_a_body_over_the_limit_sees_the_answer(service: str, nginx: Proxy) -> None:
    """By a connection that stays open, by one that closes with the answer, and by nginx, which speaks HTTP/1.0."""
    shop = nginx(f"client_max_body_size 10m; location / {{ proxy_pass {service}; proxy_set_header Host $host; }}")
    for _ in range(5):
        for headers in ({}, {"connection": "close"}):
            answer = httpx.post(f"{service}/v1/clicks", content=b" " * 3_000_000, headers=headers, timeout=60)
            assert answer.status_code == 413, headers
        assert shop.post("/v1/clicks", content=b" " * 3_000_000).status_code == 413
