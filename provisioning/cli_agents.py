"""`milepost agents …`: tells trucks' agents what to do, and shows which version each runs."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.atomic_file import write
from contract.cli_options import AsJson, Config
from contract.cli_options import DataDir as DataDirectory
from contract.cli_tables import show
from contract.commands import LONGEST_LIFE, wrong_arguments
from contract.errors import Misconfigured
from provisioning.cli_options import OpenedRegistry, opened, print_answer
from provisioning.commands import Door
from provisioning.commands.order import LIFE_SECONDS, Order, follow, order
from provisioning.commands.rendering import answer_lines
from provisioning.registry import Truck

app = typer.Typer(
    help="The agents of the whole fleet: tell them what to do, and see which version each runs.",
    no_args_is_help=True,
    add_completion=False,
)

GROUP = "group"
"""The attribute of a truck that `--group` asks for."""

OneTruck = Annotated[list[str] | None, typer.Option("--truck", metavar="ID", help="This truck; may be repeated.")]
Group = Annotated[str | None, typer.Option("--group", metavar="G", help="Trucks with the attribute group=G.")]
All = Annotated[bool, typer.Option("--all", help="All trucks in use.")]


@app.command()
def command(  # noqa: PLR0913 - one parameter an option
    name: Annotated[str, typer.Argument(metavar="NAME", help="sample_now, report, doctor, or snapshot SECONDS.")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[SECONDS]", help="What the command needs.")] = None,
    truck: OneTruck = None,
    group: Group = None,
    everyone: All = False,
    wait: Annotated[
        float, typer.Option(min=0, max=LONGEST_LIFE - 60, help="Seconds to wait for answers; says it again meanwhile.")
    ] = 0,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Tell agents what to do, signed by this machine's command key; each does it once.

    A truck that is away hears it only while --wait goes on. Exits 1 unless every truck that was waited for has done it.
    A snapshot's recording is written to TRUCK-ID-….log.gz in this folder, with the beginning of the command's id.
    """
    with opened(config, data_dir, whose="agents") as ours:
        given = _arguments(name, arguments or [])
        trucks = _chosen(ours, truck, group, everyone=everyone)
        life = max(LIFE_SECONDS, wait + 60)
        orders = [order(ours.registry.command_key, one.truck_id, name, given, life) for one in trucks]
        with _door(ours) as door:
            if wait and not door.hears_answers:
                raise Misconfigured(
                    "AWS IoT Core's answers cannot be waited for here: leave --wait out, and see the reports on "
                    "fleet/+/report (docs/agent.md)"
                )
            for one in orders:
                ours.registry.note("command", one.truck_id, f"{name} {one.id}")
            follow(door, orders, wait, tell=lambda done: _show(done) if not as_json else None)
        files = _keep_recordings(orders)
        if as_json:
            print_answer([_document(one, files) for one in orders], "", as_json=True)
        else:
            _show_rest(orders, files, waited=bool(wait))
        if wait and any(not one.whole or (one.answer or {})["state"] != "done" for one in orders):
            raise typer.Exit(1)


@app.command()
def versions(
    truck: OneTruck = None,
    group: Group = None,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Which version each truck's agent runs, and how many run each, by what the broker keeps of their statuses."""
    with opened(config, data_dir, whose="agents") as ours:
        trucks = _chosen(ours, truck, group, everyone=not (truck or group))
        with _door(ours) as door:
            statuses = door.statuses([one.truck_id for one in trucks])
        rows = [_version(one.truck_id, dict(statuses.get(one.truck_id, {}))) for one in trucks]
        counts = Counter(row["version"] or "unknown" for row in rows)
        if as_json:
            print_answer({"trucks": rows, "versions": dict(counts.most_common())}, "", as_json=True)
            return
        cells = [[row["truck_id"], row["version"], row["state"], row["at"]] for row in rows]
        show("", ["truck", "version", "state", "since"], cells, empty="no trucks")
        print_answer(None, "\n".join(f"{count} × {version}" for version, count in counts.most_common()), as_json=False)


def _arguments(name: str, words: Sequence[str]) -> dict[str, Any]:
    """What is signed of the words behind a command's name. Misconfigured where they do not fit it."""
    given: dict[str, Any] = {}
    if name == "snapshot" and len(words) == 1:
        try:
            given = {"seconds": float(words[0])}
        except ValueError:
            given = {}
    elif words:
        given = {"more": list(words)}
    if wrong := wrong_arguments(name, given):
        raise Misconfigured(wrong)
    return given


def _chosen(ours: OpenedRegistry, names: list[str] | None, group: str | None, *, everyone: bool) -> list[Truck]:
    if [bool(names), bool(group), everyone].count(True) != 1:
        raise Misconfigured("say which trucks: --truck ID, --group G, or --all")
    if names:
        found = [ours.registry.get(name) for name in dict.fromkeys(names)]
        if retired := [one.truck_id for one in found if one.state == "retired"]:
            raise Misconfigured(f"{', '.join(retired)}: retired, so not connected; leave out, or reinstate first")
        return found
    in_use = (one for one in ours.registry.trucks() if one.state == "active")
    found = [one for one in in_use if group is None or one.attributes.get(GROUP) == group]
    if not found:
        which = f"has {GROUP}={group}: `milepost provision truck add ID -a {GROUP}={group}` sets it"
        raise Misconfigured(f"no truck in use {which if group else 'is known: `milepost provision truck add ID`'}")
    return found


def _door(ours: OpenedRegistry) -> Door:
    if ours.settings.registry == "local":
        from provisioning.commands.local_broker import LocalBroker

        return LocalBroker(ours.folder)
    from provisioning.commands.aws_iot import AwsIot
    from provisioning.registry.aws_client import AwsClients

    return AwsIot(AwsClients(ours.settings, ours.folder))


def _keep_recordings(orders: Sequence[Order]) -> dict[str, str]:
    """Truck → where its recording was written."""
    written = {}
    for one in orders:
        if one.whole and one.pieces:
            path = Path(f"{one.truck_id}-{one.id[:8]}.log.gz")
            try:
                write(path, one.recording())
            except OSError as error:
                raise Misconfigured(f"cannot write {path}: {error.strerror}: say it from another folder") from None
            written[one.truck_id] = str(path)
    return written


def _document(one: Order, files: dict[str, str]) -> dict[str, Any]:
    answer = one.answer or {"state": None, "detail": None}
    return {"truck_id": one.truck_id, "id": one.id, **answer, "file": files.get(one.truck_id)}


def _show(one: Order) -> None:
    """One truck's answer, as soon as it is whole."""
    answer = one.answer or {}
    print_answer(
        None, "\n".join(answer_lines(one.truck_id, str(answer.get("state")), answer.get("detail"))), as_json=False
    )


def _show_rest(orders: Sequence[Order], files: dict[str, str], *, waited: bool) -> None:
    for one in orders:
        if path := files.get(one.truck_id):
            print_answer(None, f"{one.truck_id}: recording written to {path}", as_json=False)
        elif waited and one.answer and one.lacks:
            text = f"recording not whole, {one.lacks} pieces are missing: wait longer, or fetch it from the truck"
            print_answer(None, f"{one.truck_id}: {text}", as_json=False)
        elif waited and not one.answer:
            print_answer(None, f"{one.truck_id}: no answer: away, or of a release without commands", as_json=False)
    if not waited:
        text = f"told {len(orders)} truck{'' if len(orders) == 1 else 's'}"
        print_answer(None, f"{text}; --wait SECONDS shows what they answer, and says it again meanwhile", as_json=False)


def _version(truck_id: str, status: dict[str, Any]) -> dict[str, Any]:
    return {"truck_id": truck_id, **{key: status.get(key) for key in ("version", "state", "at")}}
