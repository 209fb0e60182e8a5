"""`milepost alerts list|ack|rules|test`."""

from contextlib import closing
from getpass import getuser
from pathlib import Path
from typing import Annotated, Any

import typer

from alerts.acknowledgement import Acknowledgements, acknowledge
from alerts.queries import alerts_between, find_alert
from alerts.rules import SAMPLE_KINDS, Rule, load_rules
from alerts.settings import AlertSettings
from alerts.writing import Writing
from collector import queries
from collector.settings import CollectorSettings
from collector.stores.factory import open_store
from contract import machine_clock, timestamps
from contract.cli_options import AsJson, Config, DataDir
from contract.cli_tables import show
from contract.codec import dump
from contract.errors import Misconfigured, Rejected
from contract.fleet import FleetSettings, read_zones, zones_file
from contract.settings import load

From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="From when on; a day before --to if left out")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Until when; now if left out")]

_DAY_MS = 24 * 3_600_000
_LONGEST_MS = 30 * _DAY_MS

Rows = list[dict[str, Any]]

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
    rules = _rules(config, data_dir)
    found = _evaluate(rules, first, last, data_dir=data_dir, config=config)
    _show([row for row in found if not (only_open and row["end"])], as_json=as_json)


@alerts.command("ack")
def acknowledge_alert(
    alert_id: Annotated[str, typer.Argument(metavar="ID", help="The id that `list` shows")],
    *,
    note: Annotated[str, typer.Option(help="What you have to say of it")] = "",
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Acknowledge an alert: you have seen it and care for it. It says so in `list` and in the console."""
    settings = _settings(config, data_dir)
    rules = _rules(config, data_dir)
    now_ms = machine_clock.now_ms()
    now, first = timestamps.from_ms(now_ms), timestamps.from_ms(now_ms - _LONGEST_MS)
    with closing(open_store(settings.store_url, make=False)) as store:
        alert = find_alert(store, rules, alert_id, first=first, now=now)
        if alert is None:
            raise Misconfigured(f"there is no alert {alert_id!r:.40}: `milepost alerts list` shows the ids")
        acknowledge(store, Writing(lambda act: act(store)), alert, by=getuser(), at=now, note=note)
    said = {"id": alert_id, "acknowledged": {"at": now, "by": getuser(), "note": note}}
    typer.echo(dump(said) if as_json else f"{alert.subject}, {alert.title}: acknowledged by {getuser()}")


@alerts.command("rules")
def list_rules(*, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the rules in force."""
    rules = _rules(config, data_dir)
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
    rules = {rule.name: rule for rule in _rules(config, data_dir)}
    if name not in rules:
        raise Misconfigured(f"no alert rule {name!r}: there are {', '.join(rules)}")
    if rules[name].kind not in (*SAMPLE_KINDS, "silent"):
        raise Misconfigured(
            f"rule {name!r} is not judged by samples: `milepost up` judges it, see the console's alerts"
        )
    _show(_evaluate([rules[name]], first, last, data_dir=data_dir, config=config), as_json=as_json)


def _evaluate(
    rules: list[Rule], first: str | None, last: str | None, *, data_dir: Path | None, config: Path | None
) -> Rows:
    settings = _settings(config, data_dir)
    now = _instant(last, "--to") or machine_clock.now()
    begin = _instant(first, "--from") or timestamps.from_ms(timestamps.to_ms(now) - _DAY_MS)
    with queries.opened_reader(settings.store_url) as reader:
        found = alerts_between(reader, rules, begin, now)
        acknowledged = Acknowledgements(reader.alert_rows() if reader else [])
    return [{**alert._asdict(), "acknowledged": acknowledged.of(alert)} for alert in found]


def _rules(config: Path | None, data_dir: Path | None) -> list[Rule]:
    fleet = load("fleet", FleetSettings, config)
    zones = read_zones(zones_file(fleet, _settings(config, data_dir).data_dir))
    return load_rules(load("alerts", AlertSettings, config).rules, zones, fleet.speed_limit_kmh)


def _settings(config: Path | None, data_dir: Path | None) -> CollectorSettings:
    settings = load("collector", CollectorSettings, config)
    return settings.model_copy(update={"data_dir": data_dir}) if data_dir else settings


def _instant(text: str | None, option: str) -> str | None:
    try:
        return None if text is None else timestamps.parse(text, option)
    except Rejected as error:
        raise Misconfigured(str(error)) from None


def _show(found: Rows, *, as_json: bool) -> None:
    if as_json:
        typer.echo(dump(found))
        return
    columns = ["from", "until", "subject", "severity", "what", "seen", "id"]
    rows = [[row[key] for key in ("start", "end", "subject", "severity", "title", "evidence", "id")] for row in found]
    show("Alerts", columns, rows, empty="Nothing needs anybody.")


def _condition(rule: Rule) -> str:
    what = {"above": f"over {rule.value:g}", "below": f"under {rule.value:g}"} if rule.value is not None else {}
    held = f" for {rule.minutes:g} min" if rule.minutes else ""
    return f"{what.get(rule.kind, rule.kind)}{held}"
