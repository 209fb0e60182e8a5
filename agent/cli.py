"""`milepost agent …`: the doors to the service, to one sample, and to what the buffer says."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.settings import AgentSettings
from contract.codec import dump
from contract.errors import MilepostError, Misconfigured, Unreachable
from contract.settings import load

app = typer.Typer(help="The agent on the truck.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", help="The settings file, milepost.toml.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")]


@app.command()
def run(config: Config = None, as_json: AsJson = False) -> None:
    """Sample and send until SIGTERM; logs go to stderr. systemd starts the same as `python -m agent`."""
    from agent.__main__ import run as run_service

    raise typer.Exit(run_service(config, as_json=as_json))


@app.command()
def once(config: Config = None, as_json: AsJson = False) -> None:
    """Take one sample, store it, send it if the broker can be reached, and print it."""
    from agent.assembly import open_buffer, open_sensors, open_transport
    from agent.clock import SystemClock
    from agent.once import once as take_one

    try:
        settings = load("agent", AgentSettings, config)
        with open_sensors(settings) as sensors, open_buffer(settings) as buffer:
            result = take_one(
                settings=settings,
                sensors=sensors,
                clock=SystemClock(),
                buffer=buffer,
                transport=open_transport(settings),
            )
    except MilepostError as error:
        raise _failed("once", error) from None
    if as_json:
        _print(dump({"sample": result.sample, "sent": result.outcome == "sent", "outcome": result.outcome}))
    else:
        _print("\n".join(_lines(result.sample)))
        _print(_ENDINGS[result.outcome].format(broker=settings.broker))
    raise typer.Exit(1 if result.outcome == "refused" else 0)


@app.command()
def status(config: Config = None, as_json: AsJson = False) -> None:
    """What the buffer holds and how the line is, also while the service runs."""
    from agent.buffer.glance import glance

    try:
        settings = load("agent", AgentSettings, config)
        seen = glance(settings.buffer)
    except MilepostError as error:
        raise _failed("status", error) from None
    notes = {key: seen.notes.get(key) for key in _NOTES}
    document = {key: value for key, value in asdict(seen).items() if key != "notes"} | notes
    if as_json:
        _print(dump(document))
        return
    last = document.pop("last_sample")
    document["last_sampled_at"] = last["sampled_at"] if last else None
    for key, value in document.items():
        _print(f"{key.replace('_', ' '):18}{'–' if value is None else value}")


_NOTES = ("connection", "connection_at", "last_sent_at", "last_refusal", "last_refusal_at")
_ENDINGS = {
    "sent": "sent to {broker}",
    "refused": "kept: {broker} refused it; check what this truck may publish",
    "unreachable": "kept: {broker} cannot be reached; it is sent when the agent runs and the broker is there",
    "unanswered": "kept: {broker} did not answer in time; it is sent again when the agent runs",
}


def _lines(document: dict[str, Any], indent: str = "") -> list[str]:
    lines = []
    for key, value in document.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{key}", *_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{key:{31 - len(indent)}} {'–' if value in (None, {}) else value}")
    return lines


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _failed(command: str, error: MilepostError) -> typer.Exit:
    sys.stderr.write(f"milepost agent {command}: {error}\n")
    return typer.Exit(2 if isinstance(error, Misconfigured) else 3 if isinstance(error, Unreachable) else 1)
