"""`milepost console`: who may sign in to the console from elsewhere, and opening it on this desktop."""

import json
import os
import sys
import time
import webbrowser
from typing import Annotated

import typer

from collector.settings import CollectorSettings
from console.settings import ConsoleSettings
from contract.cli_options import Config, DataDir
from contract.errors import Misconfigured
from contract.password_file import ROLES, put_user
from contract.settings import load

app = typer.Typer(help="The console: who may sign in, and opening it.")
console = typer.Typer(no_args_is_help=True, help="The console: who may sign in, and opening it.")
app.add_typer(console, name="console")

_SHORTEST = 12


@console.callback()
def _group() -> None:
    """The console: who may sign in, and opening it."""


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


@console.command("open")
def open_in_browser(
    data_dir: DataDir = None,
    config: Config = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for `milepost up` to be ready")] = 60.0,
) -> None:
    """Open the console of a running `milepost up` in this desktop's browser; where there is no desktop, print where it
    is."""
    ready = (data_dir or load("collector", CollectorSettings, config).data_dir) / "up.json"
    until = time.monotonic() + wait
    while not ready.exists():
        if time.monotonic() >= until:
            raise Misconfigured(f"no {ready} within {wait:g} s: start `milepost up` with this --data-dir")
        time.sleep(0.1)
    address = f"{json.loads(ready.read_text(encoding='utf-8'))['http']}/"
    if not (_has_desktop() and webbrowser.open(address)):
        typer.echo(address)


def _has_desktop() -> bool:
    named = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return sys.platform in ("darwin", "win32") or bool(named)
