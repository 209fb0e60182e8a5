"""`python -m agent`: the service process and nothing else, without typer and rich; what systemd starts.

`milepost agent run` does the same. Exit codes as everywhere: 0 stopped, 2 configuration.
"""

import argparse
import logging
import sys
from dataclasses import asdict
from pathlib import Path

from agent.settings import load_settings
from contract.codec import dump
from contract.errors import MilepostError, Misconfigured
from contract.log_format import configure_logging
from contract.process_guard import guard_process


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM; `--json` prints what was done as one document at the end."""
    parser = argparse.ArgumentParser(prog="milepost agent run", description="The agent's service process.")
    parser.add_argument("--config", type=Path, help="the settings file, milepost.toml")
    parser.add_argument("--json", action="store_true", help="at the end, print what was done as one JSON document")
    parser.add_argument("--metrics", help="serve figures for Prometheus on this HOST:PORT, such as 127.0.0.1:9101")
    options = parser.parse_args(arguments)
    return run(options.config, as_json=options.json, metrics=options.metrics)


def run(config: Path | None, *, as_json: bool, metrics: str | None = None) -> int:
    """The service as a process: logs to stderr, the tally to stdout if asked; returns the exit code."""
    guard_process()
    configure_logging(logging.WARNING)
    logging.getLogger().setLevel(logging.INFO)  # the `milepost` command has configured warnings only
    try:
        settings = load_settings(config)
        from agent.runtime.bootstrap import serve

        doctor = [sys.executable, "-P", "-m", "milepost", "agent", "doctor", "--json"]
        doctor += ["--config", str(config)] if config else []
        tally = serve(settings, lambda: load_settings(config), metrics=metrics, doctor=doctor)
    except MilepostError as error:
        sys.stderr.write(f"milepost agent run: {error}\n")
        return 2 if isinstance(error, Misconfigured) else 1
    if as_json:
        sys.stdout.write(dump(asdict(tally)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
