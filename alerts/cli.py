"""`milepost alerts list|rules|test`."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from alerts.alert import Alert
from alerts.queries import alerts_between
from alerts.rules import Rule, load_rules
from alerts.settings import AlertSettings
from collector import queries
from collector.cli_rendering import show
from collector.settings import CollectorSettings
from contract import timestamps
from contract.cli_options import AsJson, Config, DataDir
from contract.codec import dump
from contract.errors import Misconfigured, Rejected
from contract.settings import load

From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="From when on; a day before --to if left out")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Until when; now if left out")]

_DAY_MS = 24 * 3_600_000

app = typer.Typer(help="What needs somebody: trucks in trouble, and silent ones.")
alerts = typer.Typer(no_args_is_help=True, help="What needs somebody: trucks in trouble, and silent ones.")
app.add_typer(alerts, name="alerts")


@alerts.command("list")
def list_alerts(  # noqa: PLR0913 - one parameter an option
    *,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that go on")] = False,
    first: From = None,
    last: To = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the alerts of the last day, or of a period, oldest first."""
    rules = load_rules(load("alerts", AlertSettings, config).rules)
    found = _evaluate(rules, first, last, data_dir=data_dir, config=config)
    _show([alert for alert in found if not (only_open and alert.end)], as_json=as_json)


@alerts.command("rules")
def list_rules(*, config: Config = None, as_json: AsJson = False) -> None:
    """List the rules in force."""
    rules = load_rules(load("alerts", AlertSettings, config).rules)
    if as_json:
        typer.echo(dump([rule.model_dump(mode="json") for rule in rules]))
        return
    rows = [[rule.name, rule.title, rule.severity, _condition(rule)] for rule in rules]
    show("Alert rules", ["rule", "title", "severity", "when"], rows, empty="No rules.")


@alerts.command("test")
def replay_rule(  # noqa: PLR0913 - one parameter an option
    name: Annotated[str, typer.Argument(metavar="RULE", help="The name that `rules` shows")],
    *,
    first: From = None,
    last: To = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Replay one rule over what is stored: the alerts that it would have given."""
    rules = {rule.name: rule for rule in load_rules(load("alerts", AlertSettings, config).rules)}
    if name not in rules:
        raise Misconfigured(f"no alert rule {name!r}: there are {', '.join(rules)}")
    _show(_evaluate([rules[name]], first, last, data_dir=data_dir, config=config), as_json=as_json)


def _evaluate(
    rules: list[Rule], first: str | None, last: str | None, *, data_dir: Path | None, config: Path | None
) -> list[Alert]:
    settings = load("collector", CollectorSettings, config)
    settings = settings.model_copy(update={"data_dir": data_dir}) if data_dir else settings
    now = _instant(last, "--to") or timestamps.from_ms(time.time_ns() // 1_000_000)
    begin = _instant(first, "--from") or timestamps.from_ms(timestamps.to_ms(now) - _DAY_MS)
    with ExitStack() as stack:
        reader = stack.enter_context(queries.opened_reader(settings.store_url))
        return alerts_between(reader, rules, begin, now)


def _instant(text: str | None, option: str) -> str | None:
    try:
        return None if text is None else timestamps.parse(text, option)
    except Rejected as error:
        raise Misconfigured(str(error)) from None


def _show(found: list[Alert], *, as_json: bool) -> None:
    if as_json:
        typer.echo(dump([alert._asdict() for alert in found]))
        return
    rows = [[alert.start, alert.end, alert.subject, alert.severity, alert.title, alert.evidence] for alert in found]
    show("Alerts", ["from", "until", "truck", "severity", "what", "seen"], rows, empty="Nothing needs anybody.")


def _condition(rule: Rule) -> str:
    what = {"above": f"over {rule.value:g}", "below": f"under {rule.value:g}"} if rule.value is not None else {}
    held = f" for {rule.minutes:g} min" if rule.minutes else ""
    return f"{what.get(rule.kind, rule.kind)}{held}"
