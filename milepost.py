"""The front door: one Typer app that mounts each room's commands lazily."""
