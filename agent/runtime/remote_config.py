"""Settings from the cloud: tried, proved, and only then kept (docs/agent.md, "Settings from the cloud").

A document from the retained `config` topic goes through these states:

- *refused*: it is not JSON, has unknown keys or values out of bounds. Nothing changes; the reason is in the status.
- *on trial*: written to disk as such, and in force. It is proved once a sample has been stored under it and a PUBACK
  has come for something sent after that.
- *good*: proved; confirmed by its `config_version` in the status, and in force after every restart.
- *rolled back*: not proved within the time limit, which runs only while connected, or the agent died meanwhile. The
  last good one (or the file alone) is in force again. The broker offers a retained document at each connect, so a trial
  that a power cut ended gets another; after ATTEMPTS it is refused until it changes. A clean stop is no attempt.

An empty document, or one with nothing but its config_version, gives the truck back to its own file.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from logging import getLogger
from typing import Any

from agent.json_state_file import JsonStateFile
from agent.settings import AgentSettings
from contract.codec import parse
from contract.errors import Rejected
from contract.wire_documents import Unfit, schema, understood

log = getLogger(__name__)

ATTEMPTS = 3
SHORTEST_TRIAL = 120.0
_REASON = 300


@dataclass(slots=True)
class _Kept:
    """What is on disk. good, trial: documents, None for the file alone and for no trial. refused: digest of the one
    that is not to be tried again, and reason: why. attempts: of the document `tried`. problem: of the one offered last.
    """

    good: dict[str, Any] | None = None
    trial: dict[str, Any] | None = None
    tried: str = ""
    attempts: int = 0
    refused: str = ""
    reason: str | None = None
    problem: str | None = None


class Remote:
    """One truck's remote configuration. `settings` are what is in force; whoever gets True from a method applies them.

    monotonic: seconds. All methods are for the agent's one thread; none raises for a document or a disk.
    """

    def __init__(self, own: AgentSettings, keepsake: JsonStateFile, monotonic: Callable[[], float]) -> None:
        self._own, self._keepsake, self._monotonic = own, keepsake, monotonic
        self._kept = _read(keepsake)
        self._ran_at: int | None = None
        self._connected_for, self._looked = 0.0, monotonic()
        if self._kept.trial is not None:
            self._roll_back("the agent ended before it was proved")
        self.settings = self._merge()

    @property
    def version(self) -> int | str | None:
        """Of what is proved and in force."""
        good = self._kept.good
        return good["config_version"] if good and self._kept.trial is None else None

    @property
    def problem(self) -> str | None:
        """Why the document that was offered last is not in force."""
        return self._kept.problem

    @property
    def on_trial(self) -> bool:
        """Whether a document waits for its proof."""
        return self._kept.trial is not None

    def reread(self, own: AgentSettings) -> None:
        """The truck's own file has changed."""
        self._own = own
        self.settings = self._merge()

    def offer(self, payload: bytes) -> bool:
        """A document has come. True: it is on trial and in force, or the truck is back with its own file."""
        kept, digest = self._kept, hashlib.sha256(payload).hexdigest()
        known = digest == kept.refused
        if known or (kept.trial is not None and digest == kept.tried):
            problem = kept.reason if known else None
            if problem != kept.problem:
                self._keep(problem=problem)
            return False
        try:
            document = _understand(payload)
        except Rejected as error:
            self._refuse(digest, str(error))
            return False
        if document == kept.good and kept.trial is None:
            if kept.problem:
                self._keep(problem=None)
            return False
        attempts = kept.attempts if digest == kept.tried else 0
        if attempts >= ATTEMPTS:
            self._refuse(digest, f"{_name(document)}: not proved in {ATTEMPTS} attempts, the last: {kept.problem}")
            return False
        if document is None:
            return self._keep(good=None, trial=None, problem=None) and self._settle("config_file_alone")
        if not self._keep(trial=document, tried=digest, attempts=attempts + 1, problem=None):
            return False
        self._ran_at, self._connected_for = None, 0.0
        return self._settle("config_on_trial")

    def ran(self, token: int) -> None:
        """A sample has been stored under the settings in force; what is sent from now on has tokens over `token`."""
        if self._kept.trial is not None and self._ran_at is None:
            self._ran_at = token

    def acknowledged(self, token: int) -> bool:
        """A PUBACK came. True: it proved what was on trial."""
        if self._kept.trial is None or self._ran_at is None or token <= self._ran_at:
            return False
        if not self._keep(good=self._kept.trial, trial=None, attempts=0):
            return False
        log.info("config_proved config_version=%s", self.version)
        return True

    def tick(self, *, connected: bool) -> bool:
        """Time passes. True: the trial is over without a proof, and the settings are the earlier ones again."""
        now = self._monotonic()
        if connected:
            self._connected_for += now - self._looked
        self._looked = now
        limit = max(SHORTEST_TRIAL, 3 * self.settings.interval + 60)
        if self._kept.trial is None or self._connected_for < limit:
            return False
        missing = "no sample was stored" if self._ran_at is None else "no PUBACK came"
        self._roll_back(f"{missing} within {limit:g} s of connection")
        return self._settle("config_rolled_back")

    def close(self) -> None:
        """A clean stop in a trial: the next start is with the good one, and the attempt does not count."""
        if self._kept.trial is not None:
            self._keep(trial=None, attempts=self._kept.attempts - 1, problem=None)

    def _settle(self, event: str) -> bool:
        self.settings = self._merge()
        log.info("%s config_version=%s", event, (self._kept.trial or self._kept.good or {}).get("config_version"))
        return True

    def _roll_back(self, reason: str) -> None:
        problem = f"{_name(self._kept.trial)} was rolled back: {reason}"
        log.error("config_rolled_back reason=%r attempt=%d", problem, self._kept.attempts)
        self._keep(trial=None, problem=problem)

    def _refuse(self, digest: str, reason: str) -> None:
        log.error("config_refused reason=%r", reason[:_REASON])
        self._keep(refused=digest, reason=reason[:_REASON], problem=reason[:_REASON])

    def _keep(self, **changes: Any) -> bool:
        """Durable, or not done at all; True if it is. A roll-back and a refusal hold in memory even so."""
        changed = _Kept(**(asdict(self._kept) | changes))
        try:
            self._keepsake.write(asdict(changed))
        except OSError as error:
            log.error("config_not_kept reason=%r", str(error))
            if changed.trial is not None or changed.good != self._kept.good:
                self._kept.problem = f"cannot be kept: {error}"
                return False
        self._kept = changed
        return True

    def _merge(self) -> AgentSettings:
        document = self._kept.trial or self._kept.good
        if not document:
            return self._own
        wanted = {key: value for key, value in document.items() if key not in ("config_version", "lanes")}
        lanes = replace(self._own.lanes, **(document.get("lanes") or {}))
        return replace(self._own, **{**wanted, "lanes": lanes})


def _understand(payload: bytes) -> dict[str, Any] | None:
    """The document's own keys; None for none but its version. Rejected, naming the key, for what is wrong."""
    if not payload.strip():
        return None
    try:
        document: dict[str, Any] = understood("config", parse(payload))
    except Unfit as unfit:
        first = unfit.faults[0]
        reason = _remedy(first.kind, first.where) or first.reason.replace("Input should be", "must be")
        raise Rejected(unfit.field, reason) from None
    for key, value in {**document, **(document.get("lanes") or {})}.items():
        if value is None and key != "daily_budget":
            raise Rejected(key, "must have a value; leave it out to let the truck's own file decide")
    return document


def _remedy(fault: str, where: tuple[int | str, ...]) -> str:
    """What would be right, for the faults of which the model does not say it."""
    if fault == "extra_forbidden":
        whole = schema("config")
        known = whole["$defs"]["LaneConfig"] if "lanes" in where else whole
        return f"is unknown: known are {', '.join(sorted(known['properties']))}"
    if fault == "missing":
        return "is missing: give each document one of its own"
    return "" if where else 'must be a JSON object, such as {"config_version": 7, "interval": 30}'


def _read(keepsake: JsonStateFile) -> _Kept:
    try:
        kept = _Kept(**(keepsake.read() or {}))
        for document in (kept.good, kept.trial):
            understood("config", document or {"config_version": 0})
    except (TypeError, Unfit):
        return _Kept()
    return kept


def _name(document: dict[str, Any] | None) -> str:
    return f"config_version {(document or {}).get('config_version')}"
