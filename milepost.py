"""The front door: one Typer app that mounts each room's commands lazily, so that a truck loads only what it runs.

Exit codes: 0 done, 1 some input rejected or a sample missing, 2 usage or configuration, 3 a service cannot be reached.
"""

import importlib
import logging
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from contract.errors import MilepostError, Misconfigured

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("box.cli", "Run everything on this machine, with simulated trucks and shoppers."),
    "ingest": ("collector.cli", "Take JSON Lines files into history."),
    "trucks": ("collector.cli", "Every truck: its latest sample and its current version."),
    "history": ("collector.cli", "A truck's versions: what was true from when until when."),
    "clicks": ("collector.cli", "What the shoppers did, by item, minute, page, session or funnel."),
    "audit": ("collector.cli", "Is anything missing, per truck and stream."),
    "dead-letters": ("collector.cli", "Input that was refused: list, show, retry."),
    "rebuild": ("collector.cli", "Recompute history and counters from what is stored."),
    "verify": ("collector.cli", "Compare history and counters with what is stored."),
    "agent": ("agent.cli", "The on-truck agent: run, once, status."),
    "rules": ("iot_rules.cli", "The AWS IoT rules: list, check, test, eval."),
    "simulate": ("simulator.cli", "Virtual trucks and shoppers on their own."),
}
"""Command → the module whose `app` has a command of that name (or is that group), and its line in the help."""


class LazyGroup(TyperGroup):
    """Imports a room only when one of its commands is called; its own help imports none."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        try:
            room = typer.main.get_command(importlib.import_module(module).app)
        except ModuleNotFoundError as error:
            extra = module.split(".")[0]
            raise Misconfigured(f"{error}: `milepost {cmd_name}` needs pip install 'milepost[{extra}]'") from error
        return getattr(room, "commands", {}).get(cmd_name, room)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.format_usage(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(self.help or "")
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])
        formatter.write_paragraph()
        formatter.write_text("`milepost COMMAND --help` tells the rest.")


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _milepost() -> None:
    """Milepost follows every truck of a delivery fleet and every click of its web shop, and loses neither."""


def main() -> None:
    """Run the command line; errors that Milepost raises on purpose become one line and an exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        app()
    except Misconfigured as error:
        sys.exit(_say(error, 2))
    except MilepostError as error:
        sys.exit(_say(error, 3))


def _say(error: MilepostError, code: int) -> int:
    sys.stderr.write(f"milepost: {error}\n")
    return code


if __name__ == "__main__":
    main()
