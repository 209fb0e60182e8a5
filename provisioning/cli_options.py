"""What every command of `milepost provision` shares: options, the opened fleet, asking, printing, exit codes."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.errors import MilepostError, Misconfigured, Rejected, Retryable, Unreachable
from contract.settings import load
from provisioning.enrollment.enrollment_file import Fleet
from provisioning.errors import Unknown
from provisioning.registry import Registry, Truck
from provisioning.registry.factory import open_registry
from provisioning.settings import DataDir, ProvisioningSettings

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
TruckId = Annotated[str, typer.Argument(metavar="TRUCK", help="The truck's name.")]


@contextmanager
def fleet(config: Path | None, data_dir: Path | None, *, hosts: tuple[str, ...] = ()) -> Iterator[tuple[Fleet, Path]]:
    """The fleet of the settings, and the data directory; errors become a line and an exit code."""
    registry: Registry | None = None
    try:
        settings = load("provisioning", ProvisioningSettings, config)
        folder = data_dir or load("collector", DataDir, config).data_dir
        registry = open_registry(settings, folder, hosts=hosts)
        yield Fleet(registry, settings), folder
    except MilepostError as error:
        sys.stderr.write(f"milepost provision: {error}\n")
        raise typer.Exit(code_of(error)) from None
    except Exception as error:
        if not type(error).__module__.startswith("botocore."):
            raise
        sys.stderr.write(f"milepost provision: AWS refused it: {error}\n")
        raise typer.Exit(2) from None
    finally:
        if registry is not None:
            registry.close()


def code_of(error: MilepostError) -> int:
    """2 for what the user must change, 3 for what cannot be reached, 1 for what was rejected."""
    if isinstance(error, Misconfigured):
        return 2
    return 3 if isinstance(error, Unreachable | Retryable) else 1


def sure(question: str, *, yes: bool) -> None:
    """Ask before something is destroyed. Without a terminal only --yes goes on."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Misconfigured(f"{question} Say --yes to do it")
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise Misconfigured("nothing was done")


def say(document: Any, text: str, *, as_json: bool) -> None:
    """The result, once: as JSON or for people."""
    sys.stdout.write(json.dumps(document) + "\n" if as_json else text.rstrip("\n") + "\n")


def counted(certificates: int) -> str:
    """For people."""
    return f"{certificates} certificate{'' if certificates == 1 else 's'}"


def shown(truck: Truck) -> dict[str, Any]:
    """One truck as JSON; certificates without their PEM."""
    document = asdict(truck)
    document["attributes"] = dict(truck.attributes)
    for one in document["certificates"]:
        del one["pem"]
    return document


def enrollable(truck: Truck) -> None:
    """Rejected for a retired truck."""
    if truck.state == "retired":
        raise Rejected(
            "truck_id", f"{truck.truck_id} is retired: `milepost provision truck reinstate {truck.truck_id}` first"
        )


def known(registry: Registry, truck_id: str) -> Truck | None:
    """A truck, or None."""
    try:
        return registry.get(truck_id)
    except Unknown:
        return None
