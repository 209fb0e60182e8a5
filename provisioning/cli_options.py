"""What every command of `milepost provision` shares: options, the opened registry, asking, printing, exit codes."""

import csv
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.errors import MilepostError, Misconfigured, Rejected, Retryable, Unreachable
from contract.settings import load
from provisioning.errors import Unknown
from provisioning.registry import Registry, Truck
from provisioning.registry.audit_log import Author
from provisioning.registry.factory import open_registry
from provisioning.registry.site import Wish
from provisioning.settings import DataDir, ProvisioningSettings

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
TruckId = Annotated[str, typer.Argument(metavar="TRUCK", help="The truck's name.")]


Trucks = Annotated[list[str] | None, typer.Argument(metavar="TRUCK", help="The trucks' names.")]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", "-w", metavar="KEY=VALUE", help="Trucks with this attribute; all of them if repeated."),
]
Listed = Annotated[
    Path | None, typer.Option("--list", metavar="FILE", help="Trucks named in a file, one a line or a CSV's truck_id.")
]
CaKeyUri = Annotated[
    str | None,
    typer.Option("--ca-key-uri", metavar="URI", help="Keep the CA's key in a PKCS #11 token (docs/security.md)."),
]
Why = Annotated[str, typer.Option("--why", help="The reason, for the log.")]


@dataclass(frozen=True, slots=True)
class OpenedRegistry:
    """The registry that is in use, its settings, and the data directory."""

    registry: Registry
    settings: ProvisioningSettings
    folder: Path


@contextmanager
def opened(
    config: Path | None, data_dir: Path | None, *, wish: Wish | None = None, why: str = "", whose: str = "provision"
) -> Iterator[OpenedRegistry]:
    """The registry of the settings; errors become a line and an exit code. why: for the log. whose: the command's."""
    registry: Registry | None = None
    try:
        settings = load("provisioning", ProvisioningSettings, config)
        folder = data_dir or load("collector", DataDir, config).data_dir
        registry = open_registry(settings, folder, wish=wish)
        registry.author = Author.here(why)
        yield OpenedRegistry(registry, settings, folder)
    except MilepostError as error:
        sys.stderr.write(f"milepost {whose}: {error}\n")
        raise typer.Exit(code_of(error)) from None
    except Exception as error:
        if not type(error).__module__.startswith("botocore."):
            raise
        sys.stderr.write(f"milepost {whose}: AWS refused it: {error}\n")
        raise typer.Exit(2) from None
    finally:
        if registry is not None:
            registry.close()


def chosen(registry: Registry, names: list[str] | None, where: list[str] | None, listed: Path | None) -> list[Truck]:
    """The trucks that a command is about: named ones, or all with certain attributes, or those of a file.

    Raises:
        Misconfigured: none is named, or in more than one way; the file cannot be read; nothing fits.
        Unknown: a name that the registry does not have; nothing is done then to any.
    """
    if sum(map(bool, (names, where, listed))) != 1:
        raise Misconfigured("say which trucks: by name, by --where KEY=VALUE, or by --list FILE")
    if listed:
        names = _names(listed)
    if names:
        return [registry.get(name) for name in dict.fromkeys(names)]
    found = [truck for truck in registry.trucks() if fits(truck, where)]
    if not found:
        raise Misconfigured(f"no truck has {' and '.join(where or ())}: `milepost provision truck list` shows them")
    return found


def fits(truck: Truck, where: list[str] | None) -> bool:
    """Whether a truck has all of these attributes."""
    return all(truck.attributes.get(key) == value for key, value in map(pair, where or ()))


def pair(text: str) -> tuple[str, str]:
    """KEY=VALUE."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise Rejected("attribute", f"{text!r:.60} must be KEY=VALUE")
    return key, value


def _names(path: Path) -> list[str]:
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines(keepends=True), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Misconfigured(f"{path} cannot be read as a list of trucks: {error}") from None
    column = rows[0].index("truck_id") if rows and "truck_id" in rows[0] else None
    wanted = rows if column is None else rows[1:]
    names = [row[column or 0].strip() for row in wanted if len(row) > (column or 0)]
    if not (names := [name for name in names if name]):
        raise Misconfigured(f"{path} names no truck")
    return names


@contextmanager
def progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where that is a terminal; to be told how many are done."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("trucks", total=total)
        yield lambda done: bar.update(task, completed=done)


def for_each(trucks: list[Truck], do: Callable[[Truck], object]) -> dict[str, str]:
    """Do it to one truck after the other; truck → why, of those to which it could not be done."""
    failed: dict[str, str] = {}
    with progress(len(trucks)) as tell:
        for number, truck in enumerate(trucks, start=1):
            try:
                do(truck)
            except Rejected as error:
                failed[truck.truck_id] = str(error)
            tell(number)
    return failed


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


def print_answer(document: Any, text: str, *, as_json: bool) -> None:
    """The result, once: as JSON or for people."""
    sys.stdout.write(json.dumps(document) + "\n" if as_json else text.rstrip("\n") + "\n")


def print_outcome(document: Any, text: str, failed: dict[str, str], *, as_json: bool) -> None:
    """The result of a command about several trucks; exit 1 where something failed."""
    print_answer(
        document, "\n".join([text, *(f"  {truck_id}: {why}" for truck_id, why in failed.items())]), as_json=as_json
    )
    if failed:
        raise typer.Exit(1)


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
