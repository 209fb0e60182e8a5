"""`milepost recommend train|evaluate|for`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from collector.queries import item_sessions, items_of_user, opened_reader
from commerce.cli_options import collector_settings, open_commerce
from commerce.recommendations.artefact import load, save
from commerce.recommendations.evaluation import evaluate as compare
from commerce.recommendations.serving import FOLDER, MOST, Recommendations
from commerce.registers.documents import ITEMS
from commerce.registers.register import Register
from contract import machine_clock
from contract.cli_options import AsJson, Config, DataDir
from contract.cli_tables import show
from contract.codec import dump
from contract.errors import Misconfigured

recommend = typer.Typer(no_args_is_help=True, help="Recommendations, learnt from what shoppers looked at.")


def _sessions(config: Path | None, data_dir: Path | None) -> list[list[str]]:
    with opened_reader(collector_settings(config, data_dir).store_url) as reader:
        sessions = [items for items in item_sessions(reader).values() if len(items) > 1]
    if not sessions:
        raise Misconfigured("no session has looked at two items yet: there is nothing to learn from")
    return sessions


def _catalogue(config: Path | None, data_dir: Path | None) -> list[dict[str, object]]:
    try:
        with open_commerce(config, data_dir) as database:
            return Register(database, ITEMS).all_current()
    except Misconfigured:
        return []


@recommend.command()
def train(*, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Learn from all sessions, and serve what was learnt from now on."""
    folder = collector_settings(config, data_dir).data_dir / FOLDER
    sessions = _sessions(config, data_dir)
    categories = {
        str(item["item_id"]): str(item["category"]) for item in _catalogue(config, data_dir) if item.get("category")
    }
    version = save(folder, sessions, categories, trained_at=machine_clock.now())
    answer = {"version": version, "sessions": len(sessions), "items": len({i for each in sessions for i in each})}
    said = f"Model {version}: learnt from {answer['sessions']} sessions over {answer['items']} items."
    typer.echo(dump(answer) if as_json else said)


@recommend.command()
def evaluate(  # noqa: PLR0913 - one parameter an option
    *,
    n: Annotated[int, typer.Option("-n", min=1, max=MOST, help="How many items are recommended")] = 20,
    folds: Annotated[int, typer.Option(min=2, max=10, help="Parts that are held out in turn")] = 5,
    seed: Annotated[int, typer.Option(help="Which sessions go into which part")] = 1,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Hide the last click of held-out sessions and count how often each recommender names it."""
    rows = compare(_sessions(config, data_dir), n=n, folds=folds, seed=seed)
    if as_json:
        typer.echo(dump(rows))
        return
    names = ("model", f"hit rate @ {n}", "95 % interval", "MRR", "coverage", "× popularity")
    cells = [
        [
            str(row["model"]),
            f"{row['hit_rate']:.3f}",
            f"{row['hit_rate_low']:.3f}–{row['hit_rate_high']:.3f}",
            f"{row['mrr']:.3f}",
            f"{row['coverage']:.2f}",
            "–" if row["against_popularity"] is None else f"{row['against_popularity']:.2f}",
        ]
        for row in rows
    ]
    show("Last clicks that were named", names, cells, empty="")


@recommend.command("for")
def recommend_for(  # noqa: PLR0913 - one parameter an option
    *,
    user: Annotated[str | None, typer.Option(help="A user_id: by what it has looked at")] = None,
    item: Annotated[
        list[str] | None, typer.Option(help="An item_id that was looked at; may be given several times")
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, max=MOST, help="How many items")] = 10,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Recommend items to somebody who has just looked at some."""
    settings = collector_settings(config, data_dir)
    catalogue = _catalogue(config, data_dir)
    seen = list(item or [])
    if user:
        with opened_reader(settings.store_url) as reader:
            seen = items_of_user(reader, user) + seen
    served = Recommendations(settings.data_dir / FOLDER, catalogue=lambda: catalogue)
    found = served.items(seen, n)
    model = load(settings.data_dir / FOLDER)
    if as_json:
        typer.echo(dump({"model_version": model.version, "items": [each["item_id"] for each in found]}))
        return
    rows = [
        [str(place), str(each["item_id"]), str(each.get("item_name", "")), _price(each)]
        for place, each in enumerate(found, start=1)
    ]
    show("Recommended", ("", "item", "name", "price"), rows, empty="Nothing is left to recommend.")


def _price(item: Mapping[str, object]) -> str:
    return f"{item['price']} {item.get('currency', '')}".strip() if "price" in item else ""
