"""`milepost provision ca …`: change the certificate authority of a box while its trucks drive on."""

from typing import Annotated

import typer

from contract.cli_options import AsJson, Config
from contract.cli_options import DataDir as DataDirectory
from contract.errors import Misconfigured
from provisioning.cli_options import CaKeyUri, Why, Yes, opened, print_answer, sure
from provisioning.registry.site import Wish

app = typer.Typer(
    help="Change the CA of a box: rotate, then finish when all trucks have moved.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command()
def rotate(
    ca_key_uri: CaKeyUri = None,
    why: Why = "",
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Make the next CA. Both are trusted, new certificates are by the new one, and agents renew within a day.

    Again is harmless, and says how many trucks have not moved yet.
    """
    with opened(config, data_dir, wish=Wish(ca_key_uri=ca_key_uri), why=why) as ours:
        registry = ours.registry
        begun = registry.rotate_authority()
        behind = registry.behind()
        text = "a new CA signs from now on; both are trusted" if begun else "the CA is being changed already"
        text += f"\n  trucks that have not moved: {len(behind)}{f' ({_some(behind)})' if behind else ''}"
        text += "" if behind else "\n  next: `milepost provision ca finish`"
        print_answer({"begun": begun, "behind": behind}, text, as_json=as_json)


@app.command()
def finish(  # noqa: PLR0913 - one parameter an option
    leave_behind: Annotated[
        bool, typer.Option("--leave-behind", help="Also if trucks have not moved: they must enrol anew.")
    ] = False,
    why: Why = "",
    yes: Yes = False,
    as_json: AsJson = False,
    data_dir: DataDirectory = None,
    config: Config = None,
) -> None:
    """Trust the new CA alone, and remove the key of the old one.

    Enrolment files that were written before `ca rotate` are of no use afterwards.
    """
    with opened(config, data_dir, why=why) as ours:
        registry = ours.registry
        behind = registry.behind()
        if behind and not leave_behind:
            raise Misconfigured(
                f"trucks that have not moved and would be shut out: {len(behind)} ({_some(behind)}): wait until their "
                "agents have renewed, or say --leave-behind"
            )
        sure(f"Trust the new CA alone ({len(behind)} trucks are left behind)?", yes=yes)
        registry.finish_rotation()
        print_answer({"left_behind": behind}, "the new CA alone is trusted; the old key is removed", as_json=as_json)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
