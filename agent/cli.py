"""`milepost agent …`: the doors to the service, to one sample, and to what the buffer says."""

import json
import sys
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from agent.enrollment.cli import enroll
from agent.settings import load_settings
from contract.cli_options import AsJson, Config
from contract.codec import dump
from contract.errors import MilepostError, Misconfigured, Unreachable
from contract.settings_file import find

if TYPE_CHECKING:
    from agent.operations.systemd_install import Step

app = typer.Typer(
    help="The agent on the truck: it samples, stores, and sends when it can.",
    no_args_is_help=True,
    add_completion=False,
)

User = Annotated[bool, typer.Option("--user", help="A service of your own (systemctl --user), without root.")]
Metrics = Annotated[
    str | None, typer.Option("--metrics", help="Serve figures for Prometheus on HOST:PORT, such as 127.0.0.1:9101.")
]


@app.command()
def run(config: Config = None, metrics: Metrics = None, as_json: AsJson = False) -> None:
    """Sample and send until SIGTERM, logging to stderr. The service runs the same as `python -m agent`."""
    from agent.__main__ import run as run_service

    raise typer.Exit(run_service(config, as_json=as_json, metrics=metrics))


@app.command()
def once(config: Config = None, as_json: AsJson = False) -> None:
    """Take one sample, store it, send it if the broker can be reached, and print it.

    A bus or gpsd is listened to for two to six seconds first.
    """
    from agent.operations.rendering import sample_lines
    from agent.runtime.bootstrap import open_buffer, open_sensors, open_transport
    from agent.runtime.once import once as take_one
    from agent.timing.clock import SystemClock

    try:
        settings = load_settings(config)
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
        _print("\n".join(sample_lines(result.sample)))
        _print(_ENDINGS[result.outcome].format(broker=settings.broker))
    raise typer.Exit(1 if result.outcome == "refused" else 0)


@app.command()
def status(config: Config = None, as_json: AsJson = False) -> None:
    """What the buffer holds and how the line is; also while the service runs, which it does not disturb."""
    from agent.buffer.inspection import glance
    from agent.buffer.never_stored import holding
    from agent.operations.lock_owner import holder
    from agent.operations.rendering import held_in_memory, status_lines

    held = None
    try:
        settings = load_settings(config)
        held = holding(settings.lost_file)
        seen = glance(settings.buffer)
    except MilepostError as error:
        if held:
            sys.stderr.write(f"disk: {held_in_memory(asdict(held))}\n")
        raise _failed("status", error) from None
    notes = {key: seen.notes.get(key) or None for key in _NOTES}
    disagreements = json.loads(seen.notes.get("disputes") or "[]")
    document = {"pid": holder(settings.buffer)} | asdict(seen) | notes | {"disagreements": disagreements}
    document["held_in_memory"] = asdict(held) if held else None
    document.pop("notes")
    _print(dump(document) if as_json else "\n".join(status_lines(document)))


@app.command()
def doctor(config: Config = None, as_json: AsJson = False) -> None:
    """Look for what keeps this truck from its work, and say what to do. Exit 1 if anything failed."""
    from agent.operations.doctor import examine
    from agent.operations.rendering import wrapped

    try:
        settings = load_settings(config)
    except MilepostError as error:
        raise _failed("doctor", error) from None
    findings = []
    for finding in examine(settings):
        findings.append(finding)
        if not as_json:
            _print(wrapped(f"{_SIGNS[finding.state]} {finding.check:15} ", finding.found))
            if finding.remedy:
                _print(wrapped(f"{'':24} → ", finding.remedy))
    failed = [finding for finding in findings if finding.state == "failed"]
    if as_json:
        _print(dump({"healthy": not failed, "checks": [asdict(finding) for finding in findings]}))
    else:
        _print(
            f"\n{len(failed)} of {len(findings)} checks failed" if failed else "\nnothing is wrong that a check can see"
        )
    raise typer.Exit(1 if failed else 0)


app.command()(enroll)


@app.command()
def install(
    config: Config = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the unit and the steps, do nothing.")] = False,
    user: User = False,
    as_json: AsJson = False,
) -> None:
    """Make the agent a systemd service that starts at every boot, as a user of its own. Safe to repeat."""
    from agent.operations.systemd_install import carry_out, plan_install, this_machine, unreadable

    notes: list[str] = []
    try:
        settings = load_settings(config)
        machine = this_machine(own=user)
        steps = plan_install(settings, find(config), machine)
        notes += [] if user else unreadable(settings, find(config))
        if not dry_run:
            carry_out(steps, machine)
    except MilepostError as error:
        sys.stderr.writelines(f"milepost agent install: {note}\n" for note in notes)
        raise _failed("install", error) from None
    notes += [] if machine.running else ["systemd does not run here: nothing was started"]
    _tell_steps(steps, notes, done=not dry_run, as_json=as_json)


@app.command()
def uninstall(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the steps, do nothing.")] = False,
    user: User = False,
    as_json: AsJson = False,
) -> None:
    """Take the service away. Settings, certificates and the buffer stay, so nothing that was sampled is lost."""
    from agent.operations.systemd_install import carry_out, plan_uninstall, this_machine

    try:
        machine = this_machine(own=user)
        steps = plan_uninstall(machine)
        if not dry_run:
            carry_out(steps, machine)
    except MilepostError as error:
        raise _failed("uninstall", error) from None
    _tell_steps(steps, ["settings, certificates and the buffer are where they were"], done=not dry_run, as_json=as_json)


def _tell_steps(steps: "list[Step]", notes: list[str], *, done: bool, as_json: bool) -> None:
    if as_json:
        written = [asdict(step) | {"path": str(step.path) if step.path else None} for step in steps]
        _print(dump({"done": done, "steps": written, "notes": notes}))
        return
    for step in steps:
        command = f": {' '.join(step.command)}" if step.command else ""
        _print(f"{'done' if done else 'would'}  {step.what}{command}")
        if step.text and not done:
            _print("\n" + textwrap.indent(step.text, "    "))
    for note in notes:
        _print(f"note  {note}")


_NOTES = (
    "started_at",
    "stopped_at",
    "connection",
    "connection_at",
    "last_sent_at",
    "last_refusal",
    "last_refusal_at",
    "config_version",
    "config_problem",
)
_SIGNS = {"ok": "ok      ", "warning": "warning ", "failed": "FAILED  ", "skipped": "skipped "}
_ENDINGS = {
    "sent": "sent to {broker}",
    "refused": "kept: {broker} refused it; check what this truck may publish",
    "unreachable": "kept: {broker} cannot be reached; it is sent when the agent runs and the broker is there",
    "unanswered": "kept: {broker} did not answer in time; it is sent again when the agent runs",
}


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _failed(command: str, error: MilepostError) -> typer.Exit:
    sys.stderr.write(f"milepost agent {command}: {error}\n")
    return typer.Exit(2 if isinstance(error, Misconfigured) else 3 if isinstance(error, Unreachable) else 1)
