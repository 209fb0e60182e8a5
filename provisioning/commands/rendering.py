"""What a truck answered, as lines for people; `--json` has it whole."""

import json
import shutil
import textwrap
from typing import Any

from contract.log_format import printable

_STATE, _CHECK = 8, 13


def answer_lines(truck_id: str, state: str, detail: Any) -> list[str]:
    """One truck's answer.

    Args:
        truck_id: whose.
        state: of the answer.
        detail: of the answer, whatever it is: a truck's words are not trusted to be plain.

    Returns:
        Lines no wider than the terminal.
    """
    state = printable(state)
    if isinstance(detail, dict) and isinstance(detail.get("checks"), list):
        verdict = "nothing is wrong that a check can see" if detail.get("healthy") else "some checks failed"
        checks = [one for one in detail["checks"] if isinstance(one, dict)]
        return [f"{truck_id}: {state}, {verdict}", *(line for one in checks for line in _check(one))]
    text = printable(_text(detail))
    return _wrapped(f"{truck_id}: {state}{': ' if text else ''}", text)


def _check(one: dict[str, Any]) -> list[str]:
    check, state, found, remedy = (printable(str(one.get(key) or "")) for key in ("check", "state", "found", "remedy"))
    lines = _wrapped(f"  {'FAILED' if state == 'failed' else state:{_STATE}} {check:{_CHECK}} ", found)
    return lines + (_wrapped(f"{'':{_STATE + _CHECK + 2}} → ", remedy) if remedy else [])


def _text(detail: Any) -> str:
    if not isinstance(detail, dict):
        return "" if detail is None else str(detail)
    if {"frames", "seconds", "bytes"} <= detail.keys():
        cut = ", full before the time was over" if detail.get("cut") else ""
        failed = f"; failed: {json.dumps(detail['failed'])}" if detail.get("failed") else ""
        return f"{detail['frames']} frames in {detail['seconds']} s, {detail['bytes']} bytes{cut}{failed}"
    plain = {key: value if isinstance(value, str | int | float) else json.dumps(value) for key, value in detail.items()}
    return ", ".join(f"{key} {value}" for key, value in plain.items())


def _wrapped(begin: str, text: str) -> list[str]:
    width = max(40, shutil.get_terminal_size().columns)
    return textwrap.wrap(begin + text, width, subsequent_indent=" " * len(begin), break_on_hyphens=False) or [begin]
