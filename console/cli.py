"""`milepost console user`: who may sign in to the console from elsewhere."""

from typing import Annotated

import typer

from console.settings import ConsoleSettings
from contract.cli_options import Config
from contract.errors import Misconfigured
from contract.password_file import ROLES, put_user
from contract.settings import load

app = typer.Typer(help="Who may sign in to the console.")
console = typer.Typer(no_args_is_help=True, help="Who may sign in to the console.")
app.add_typer(console, name="console")

_SHORTEST = 12


@console.callback()
def _group() -> None:
    """Who may sign in to the console."""


@console.command("user")
def put(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    role: Annotated[str, typer.Option(help="viewer: sees the present; operator: also the past, and acts")] = "viewer",
    config: Config = None,
) -> None:
    """Add a user to the password file that \\[console] users names, or change one; asks for the password."""
    path = load("console", ConsoleSettings, config).users
    if path is None:
        raise Misconfigured("set [console] users in milepost.toml to the path of the password file first")
    if role not in ROLES:
        raise Misconfigured(f"--role {role!r:.40}: give {' or '.join(ROLES)}")
    if not name or len(name) > 100 or any(each in ":\n\r" for each in name):
        raise Misconfigured("the name must have 1 to 100 characters, and no colon")
    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    if len(password) < _SHORTEST:
        raise Misconfigured(f"the password needs {_SHORTEST} characters or more")
    put_user(path, name, "operator" if role == "operator" else "viewer", password)
    typer.echo(f"{name} may sign in as {role}: {path}")
