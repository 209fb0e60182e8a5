"""What people see: tables and findings that fit a terminal."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from contract.cli_tables import show
from contract.codec import dump
from iot_rules.deployment_plan import PlannedChange
from iot_rules.findings import Finding
from iot_rules.sql.explanation import Operand
from iot_rules.sql.values import UNDEFINED

_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}
_PAST = {
    "create": "created",
    "replace": "replaced",
    "enable": "enabled",
    "disable": "disabled",
    "delete": "deleted",
    "adopt": "tagged",
}


def show_rules(rows: Sequence[dict[str, Any]]) -> None:
    """One line per rule."""
    cells = [
        (
            row["rule_name"],
            row["topic_filter"] or "(Basic Ingest only)",
            "disabled" if row["disabled"] else ", ".join(row["actions"]) or "none",
            row["error_action"] or "lost",
        )
        for row in rows
    ]
    show("", ("rule", "topic filter", "actions", "on error"), cells, empty="no rules")


def show_findings(console: Console, findings: Sequence[Finding], checked: int) -> None:
    """Each finding with its remedy, and how many there are."""
    for finding in findings:
        colour = _COLOURS[finding.level]
        console.print(f"[{colour}]{finding.level}[/] [bold]{escape(finding.rule)}[/]: {escape(finding.code)}")
        for line in finding.message.split("\n"):
            console.print("  " + escape(line), highlight=False, soft_wrap=True)
        console.print("  → " + escape(finding.remedy), highlight=False, soft_wrap=True)
    counts = Counter(finding.level for finding in findings)
    said = ", ".join(f"{counts[level]} {level}{'s' if counts[level] != 1 else ''}" for level in ("error", "warning"))
    console.print(f"{checked} rule{'s' if checked != 1 else ''} checked: {said}", highlight=False)


def change_line(change: PlannedChange, *, dry_run: bool, applied: bool = True) -> str:
    """A change as it is announced, or reported when it was made; old and new values below it."""
    if change.action == "unchanged":
        verb = "unchanged"
    elif change.action == "foreign":
        return f"{'not ours':<13} {change.rule_name}  (it has no tag of this deployment, and stays)"
    elif not dry_run and not applied:
        return f"{'kept':<13} {change.rule_name}  (no document names it: give --yes to delete it)"
    else:
        verb = f"would {change.action}" if dry_run else _PAST[change.action]
    named = f"  ({', '.join(change.differences)})" if change.differences else ""
    lines = [f"{verb:<13} {change.rule_name}{named}"]
    for key, (old, new) in zip(change.differences, change.values, strict=False):
        lines += [f"  {key}", f"    - {_short(old)}", f"    + {_short(new)}"]
    return "\n".join(lines)


def _short(value: Any) -> str:
    return value if isinstance(value, str) else dump(value)


def operand_line(operand: Operand) -> str:
    """An operand of a statement with its value: `WHERE  vehicle_speed > 80 (at character 30): Undefined`."""
    value = operand.problem or ("Undefined" if operand.value is UNDEFINED else _plain(operand.value))
    return f"{operand.clause:<7} {operand.text} (at character {operand.position + 1}): {value}"


def _plain(value: Any) -> str:
    return f"{len(value)} bytes that are not JSON" if isinstance(value, bytes) else dump(value)
