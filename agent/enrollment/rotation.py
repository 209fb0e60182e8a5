"""The one way from no certificate to the first, and from one to the next. It may be killed between any two lines.

`next_step` is pure: what lies in the wallet says what comes next, so a restart goes on where a kill stopped.

    make_key   a new key is in the wallet
    request    the office grants a certificate for it; asked again with the same key it grants the same
    prove      connect with it and have a PUBACK. The old certificate is still good, and still in use
    switch     `current` points to it, by one rename
    confirm    the office revokes the old one
    prune      the old key is removed

Before `switch` the agent connects with the old certificate, after it with the new one, which has been proven; the old
one is revoked only after that. What cannot be used is thrown away, and the next attempt begins with a new key.
"""

import logging
from collections.abc import Callable
from typing import Literal, Protocol

from agent.enrollment import Office
from agent.enrollment.credential_store import Identity, Wallet
from agent.enrollment.csr import belongs, new_key, signing_request
from agent.enrollment.enrollment_file import ServerAddress, office_text, read_address
from contract.errors import Rejected, Unreachable

log = logging.getLogger(__name__)

Step = Literal["make_key", "request", "prove", "switch", "confirm", "prune"]


class Proof(Protocol):
    """Connects with an identity and publishes; returns after the PUBACK.

    Raises Rejected where the broker will not have this certificate, Unreachable where it cannot be asked.
    """

    def __call__(self, identity: Identity) -> None: ...


def next_step(wallet: Wallet, address: ServerAddress, *, proven: int | None, renew: bool) -> Step | None:
    """What is to be done now, None for nothing.

    Args:
        wallet: what lies on disk.
        address: of the office that is asked; a change under way at another one is none of its business.
        proven: the number of the identity that this run has proven.
        renew: begin a new change if none is under way.
    """
    pending, current = under_way(wallet, address), wallet.current
    if pending:
        if pending.certificate is None:
            return "request"
        return "switch" if proven == pending.number else "prove"
    if current is None:
        return "make_key"
    if not current.confirmed and read_address(current.office_file) == address:
        return "confirm"
    return "make_key" if renew else None


def under_way(wallet: Wallet, address: ServerAddress) -> Identity | None:
    """The change under way at this office."""
    pending = wallet.pending
    return pending if pending and read_address(pending.office_file) == address else None


class Rotation:
    """Walks the steps.

    address: of the office, and whom a certificate must name. ca: whom to trust with a new key, PEM. after: called with
    each step that has been done.
    """

    def __init__(  # noqa: PLR0913 - what it is composed of
        self,
        wallet: Wallet,
        office: Office,
        prove: Proof,
        *,
        address: ServerAddress,
        ca: str,
        after: Callable[[Step], None] = lambda step: None,
    ) -> None:
        self._wallet, self._office, self._prove = wallet, office, prove
        self._address, self._ca, self._after = address, ca, after
        self._truck_id = address.truck_id
        self._proven: int | None = None

    def run(self, *, renew: bool = False, enrol: bool = False) -> int:
        """Finish what is under way, or (renew) go through one whole change; the number of steps that were taken.

        enrol: ask by the enrolment file even where there is a certificate. Errors as the office and the proof raise
        them; call again later.
        """
        steps = 0
        pending = self._wallet.pending
        if enrol and pending and under_way(self._wallet, self._address) is None:
            self._wallet.discard(pending)  # of another enrolment file, which is given up by using this one
        while step := next_step(self._wallet, self._address, proven=self._proven, renew=renew or (enrol and not steps)):
            log.info("identity_step step=%s truck_id=%s", step, self._truck_id)
            self._take(step, enrol=enrol)
            self._after(step)
            steps += 1
            renew = renew and step != "make_key"
        self._wallet.prune()
        self._after("prune")
        return steps

    def _take(self, step: Step, *, enrol: bool) -> None:
        wallet, current = self._wallet, self._wallet.current
        pending = under_way(wallet, self._address)
        if step == "make_key":
            wallet.begin(new_key(), ca=self._ca, office=office_text(self._address))
        elif step == "request" and pending:
            self._request(pending, None if enrol else current)
        elif step == "prove" and pending:
            self._try(pending)
        elif step == "switch" and pending:
            wallet.switch(pending)
        elif step == "confirm" and current:
            self._office.confirm(certificate=current.certificate or "", key=current.key)
            wallet.confirm(current)  # what it advises is asked for again by agent.enrollment.renewal

    def _request(self, pending: Identity, current: Identity | None) -> None:
        csr = signing_request(pending.key)
        try:
            if current and current.certificate:
                granted = self._office.renew(csr, certificate=current.certificate, key=current.key)
            else:
                granted = self._office.enrol(csr)
        except Rejected:
            self._wallet.discard(pending)
            raise
        if granted.truck_id != self._truck_id or not belongs(granted.certificate, pending.key):
            self._wallet.discard(pending)
            raise Rejected("certificate", f"the office sent one that is not for {self._truck_id} and the key made here")
        self._wallet.grant(pending, granted.certificate, granted.ca)
        self._wallet.obey(granted.command_key)

    def _try(self, pending: Identity) -> None:
        """Prove it; a first certificate is taken into use even where the broker cannot be asked yet."""
        try:
            self._prove(pending)
        except Unreachable:
            if self._wallet.current is not None:
                raise
            log.warning("certificate_unproven truck_id=%s reason='the broker cannot be reached'", self._truck_id)
        except Rejected:
            self._wallet.discard(pending)
            raise
        self._proven = pending.number
