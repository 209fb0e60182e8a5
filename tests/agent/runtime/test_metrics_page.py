"""The page of figures: a real agent, asked by HTTP, read by Prometheus' own parser."""

import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.runtime.metrics_page import CONTENT_TYPE, FIGURES, MetricsPage
from contract.errors import Misconfigured
from tests.agent.live import Broker
from tests.agent.trucks import Truck
from tests.waiting import until


@pytest.fixture
def page() -> Iterator[MetricsPage]:
    """On a free port."""
    with closing(MetricsPage("127.0.0.1:0")) as one:
        yield one


def _asked(page: MetricsPage) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{page.port}/metrics", timeout=60) as answer:
        assert answer.headers["Content-Type"] == CONTENT_TYPE
        text = answer.read().decode()
    return {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}


def test_a_running_agent_shows_every_figure(broker: Broker, page: MetricsPage, tmp_path: Path) -> None:
    truck = Truck(tmp_path, broker, show=page.show)
    truck.start()
    try:
        figures: dict[str, float] = until(
            lambda: (seen := _asked(page)).get("milepost_agent_samples_sent_total") and seen
        )
    finally:
        truck.stop()
    assert set(figures) == set(FIGURES)
    assert figures["milepost_agent_connected"] == 1
    assert figures["milepost_agent_samples_total"] >= figures["milepost_agent_samples_sent_total"] > 0
    assert figures["milepost_agent_disk_free_bytes"] > 0
    assert figures["milepost_agent_samples_held"] == figures["milepost_agent_last_refusal_code"] == 0


@pytest.mark.parametrize(
    "address", ["0.0.0.0:9101", "example.com:9101", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ""]
)
def test_only_an_address_of_this_machine_is_taken(address: str) -> None:
    with pytest.raises(Misconfigured, match=r"127\.0\.0\.1:9101"):
        MetricsPage(address)


def test_a_port_that_is_taken_is_said(page: MetricsPage) -> None:
    with pytest.raises(Misconfigured, match="another port"):
        MetricsPage(f"127.0.0.1:{page.port}")


def test_what_is_not_there_is_404(page: MetricsPage) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{page.port}/other", timeout=60)
