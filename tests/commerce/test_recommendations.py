"""Recommendations: learnt, compared, kept as a file, served."""

import csv
import gzip
import random
import time
from collections import defaultdict
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from commerce.http.access import KeyedAccess
from commerce.http.recommendations import Interests, RecommendationDoors
from commerce.recommendations.artefact import load, save
from commerce.recommendations.evaluation import evaluate
from commerce.recommendations.models import Blend, top
from commerce.recommendations.serving import Recommendations
from contract.errors import Misconfigured
from tests.milepost_here import run

RECORDING = Path(__file__).parents[1] / "recordings" / "web" / "eshop_clothing_2008_odd_sessions.csv.gz"
PHONES = [["phone", "case", "charger"], ["phone", "case"], ["laptop", "mouse"], ["laptop", "mouse", "bag"]] * 5


@pytest.fixture(scope="module")
def sessions() -> list[list[str]]:
    """Real sessions of a clothes shop, in time order."""
    found: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    with gzip.open(RECORDING, "rt") as file:
        for row in csv.DictReader(file, delimiter=";"):
            found[int(row["session ID"])].append((int(row["order"]), row["page 2 (clothing model)"]))
    return [[item for _, item in sorted(clicks)] for _, clicks in sorted(found.items())]


def test_what_is_looked_at_together_is_recommended() -> None:
    blend = Blend.train(PHONES)
    assert top(blend, ["phone"], 2, popularity=blend.popularity) == ["case", "charger"]
    assert top(blend, ["laptop"], 1, popularity=blend.popularity, without=["mouse"]) == ["bag"]


def test_what_nobody_has_looked_at_is_answered_by_category_and_popularity() -> None:
    blend = Blend.train(PHONES, {"new-laptop": "laptops", "laptop": "laptops"})
    assert top(blend, ["new-laptop"], 1, popularity=blend.popularity) == ["laptop"]
    assert len(top(blend, [], 3, popularity=blend.popularity)) == 3


def test_it_names_last_clicks_of_real_sessions_better_than_popularity(sessions: list[list[str]]) -> None:
    """This shop has 216 items, so that popularity alone names one in five of the last clicks."""
    chosen = random.Random(1).sample(sessions, 1_500)
    rows = {row["model"]: row for row in evaluate(chosen, n=20, folds=3)}
    served = rows["served"]
    assert float(served["hit_rate_low"] or 0) > float(rows["popularity"]["hit_rate_high"] or 1)
    assert float(served["against_popularity"] or 0) > 1.8
    assert float(served["coverage"] or 0) > 0.5


def test_few_sessions_are_evaluated_or_said_to_be_too_few() -> None:
    """Held-out items that nobody else has looked at: nothing to divide by, and no error."""
    strangers = [[f"a{number}", f"b{number}"] for number in range(12)]
    rows = evaluate(strangers, n=2, folds=2)
    assert {row["against_popularity"] for row in rows} == {None}
    assert {row["popularity_bias"] for row in rows} == {None}
    with pytest.raises(Misconfigured, match="too few"):
        evaluate(strangers[:3], folds=5)


def test_a_model_is_a_function_of_what_it_was_trained_on(tmp_path: Path, sessions: list[list[str]]) -> None:
    versions = {save(tmp_path, sessions[:200], {}, trained_at=f"2026-01-0{day}T00:00:00.000Z") for day in (1, 2)}
    assert len(versions) == 1
    model = load(tmp_path)
    fresh = Blend.train(sessions[:200])
    for seen in sessions[200:220]:
        assert top(model.blend, seen, 10, popularity=model.blend.popularity) == top(
            fresh, seen, 10, popularity=fresh.popularity
        )


def test_no_model_and_a_damaged_one_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="recommend train"):
        load(tmp_path)
    version = save(tmp_path, PHONES, {}, trained_at="2026-01-01T00:00:00.000Z")
    (tmp_path / f"{version}.json.gz").write_bytes(b"no gzip")
    with pytest.raises(Misconfigured, match="recommend train"):
        load(tmp_path)


CATALOGUE = (
    {"item_id": "case", "item_name": "Case", "price": "9.90", "currency": "EUR", "category": None, "stock": 3},
    {"item_id": "charger", "item_name": "Charger", "stock": 0},
)


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    """A shop whose chargers are sold out."""
    save(tmp_path, PHONES, {}, trained_at="2026-01-01T00:00:00.000Z")
    served = Recommendations(tmp_path, catalogue=lambda: CATALOGUE)
    known = {"C-1": Interests(["phone", "laptop"], {"mouse"})}
    doors = RecommendationDoors(
        served,
        KeyedAccess({"a-key-of-the-shop-1": "shop"}),
        seen_by=lambda _: ["laptop"],
        interests_of=lambda customer_id: known.get(customer_id, Interests((), ())),
    )
    return TestClient(Starlette(routes=doors.routes))


def test_by_item_anybody_is_answered_and_never_with_what_is_sold_out(client: TestClient) -> None:
    answer = client.get("/v1/recommendations", params={"items": "mouse,phone", "n": 3})
    assert answer.headers["access-control-allow-origin"] == "*"
    found = answer.json()["items"]
    assert found[0] == {"item_id": "case", "item_name": "Case", "price": "9.90", "currency": "EUR"}
    assert not {"charger", "phone", "mouse"} & {each["item_id"] for each in found}
    assert all(set(each) <= {"item_id", "item_name", "category", "price", "currency"} for each in found)


def test_a_page_of_a_shop_without_a_model_gets_an_empty_answer_and_a_keyed_caller_the_reason(tmp_path: Path) -> None:
    """A failed request would stand in every visitor's browser console."""
    key = {"authorization": "Bearer a-key-of-the-shop-1"}
    doors = RecommendationDoors(
        Recommendations(tmp_path), KeyedAccess({"a-key-of-the-shop-1": "shop"}), seen_by=lambda _: []
    )
    shop = TestClient(Starlette(routes=doors.routes))
    answer = shop.get("/v1/recommendations", params={"items": "phone"})
    assert (answer.status_code, answer.json()) == (200, {"model_version": None, "items": []})
    keyed = shop.get("/v1/recommendations", params={"session_id": "s"}, headers=key)
    assert keyed.status_code == 503
    assert "recommend train" in keyed.text


def test_by_session_only_with_a_key(client: TestClient) -> None:
    assert client.get("/v1/recommendations", params={"session_id": "s"}).status_code == 401
    key = {"authorization": "Bearer a-key-of-the-shop-1"}
    assert client.get("/v1/recommendations", params={"session_id": "s"}, headers=key).json()["items"][0] == {
        "item_id": "mouse"
    }


def test_by_customer_only_with_a_key_and_without_what_was_just_bought(client: TestClient) -> None:
    assert client.get("/v1/recommendations", params={"customer_id": "C-1"}).status_code == 401
    key = {"authorization": "Bearer a-key-of-the-shop-1"}
    found = {
        name: [
            each["item_id"]
            for each in client.get(f"/v1/recommendations?customer_id={name}", headers=key).json()["items"]
        ]
        for name in ("C-1", "nobody")
    }
    assert set(found["C-1"]) == {"bag", "case"}  # chargers are sold out
    assert set(found["nobody"]) == {"phone", "laptop", "case", "mouse", "bag"}


def test_sagemakers_contract(client: TestClient) -> None:
    assert client.get("/ping").status_code == 200
    key = {"authorization": "Bearer a-key-of-the-shop-1"}
    answer = client.post("/invocations", json={"items": ["phone"], "n": 1}, headers=key)
    assert answer.json()["items"] == ["case"]
    assert client.post("/invocations", json={"items": "phone"}, headers=key).json()["field"] == "items"


@pytest.mark.parametrize("n", ["0", "101", "x", ""])
def test_a_count_that_cannot_be_is_refused(client: TestClient, n: str) -> None:
    answer = client.get("/v1/recommendations", params={"item_id": "phone", "n": n})
    assert (answer.status_code, answer.json()["field"]) == (422, "n")


def test_the_commands(tmp_path: Path) -> None:
    clicks = tmp_path / "clicks.jsonl"
    at = time.strftime("%Y-%m-%dT%H:%M", time.gmtime())
    with clicks.open("w") as file:
        for number, session in enumerate(PHONES):
            for step, item in enumerate(session):
                file.write(
                    f'{{"event_id":"{number}-{step}","event_type":"view","timestamp":"{at}:{step:02}Z",'
                    f'"session_id":"s{number}","user_id":"u{number}","item_id":"{item}"}}\n'
                )
    data = ("--data-dir", tmp_path / "data", "--json")
    assert run("recommend", "train", *data).code == 2
    assert run("ingest", "--stream", "clicks", clicks, *data).code == 0
    assert run("recommend", "train", *data).json["sessions"] == len(PHONES)
    assert run("recommend", "for", "--item", "phone", "-n", "1", *data).json["items"] == ["case"]
    assert run("recommend", "for", "--user", "u1", "-n", "1", *data).json["items"] == ["charger"]
    rows = run("recommend", "evaluate", "-n", "2", "--folds", "2", *data).json
    assert [row["model"] for row in rows] == ["popularity", "co-occurrence", "session-knn", "served"]
