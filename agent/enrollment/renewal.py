"""Renews the certificate while the agent runs: when two thirds of its life are over, and again until it is done.

Once a day the box is asked whether the truck is to renew before that, whom it is to trust, and by which key it knows
commands: so a fleet follows when the box's CA or command key is changed, and an operator can have keys changed.
"""

import logging
import ssl
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.enrollment import Office
from agent.enrollment.connection_test import MqttProof
from agent.enrollment.credential_store import Wallet
from agent.enrollment.csr import share_lived
from agent.enrollment.enrollment_file import ServerAddress, kept
from agent.enrollment.rotation import Rotation, Step, next_step
from agent.enrollment.standalone_issuer import HttpsOffice
from contract.errors import MilepostError, Rejected

log = logging.getLogger(__name__)

DUE = 2 / 3
_LOOK_SECONDS = 3600.0
_RETRY_SECONDS = 60.0
_VISIT_SECONDS = 86_400.0


def due(wallet: Wallet, now: datetime | None = None) -> bool:
    """Whether it is time for a new certificate."""
    current = wallet.current
    return bool(current and current.certificate and share_lived(current.certificate, now or datetime.now(UTC)) >= DUE)


def open_office(ca: str, address: ServerAddress) -> Office:
    """The office for renewals. ca: whom to trust, PEM."""
    if address.kind == "https":
        return HttpsOffice(address.url or "", ca)
    from agent.enrollment.fleet_provisioning import ClaimOffice

    return ClaimOffice(address.broker, ca, address.template or "", address.truck_id)


def renew(wallet: Wallet, address: ServerAddress, context: Any, *, now: bool = False) -> int:
    """Finish or begin a change if it is time (or `now`); the steps taken. Errors as Rotation.run.

    context: the ssl.SSLContext of the running transport, which takes the new certificate for its next connection.
    """
    if not (now or due(wallet) or next_step(wallet, address, proven=None, renew=False)):
        return 0

    def after(step: Step) -> None:
        current = wallet.current
        if step == "switch" and current and isinstance(context, ssl.SSLContext):
            context.load_verify_locations(str(current.ca_file))
            context.load_cert_chain(str(current.certificate_file), str(current.key_file))

    ca = _trusted(wallet)
    proof = MqttProof(address.broker, address.truck_id)
    rotation = Rotation(wallet, open_office(ca, address), proof, address=address, ca=ca, after=after)
    return rotation.run(renew=now or due(wallet))


def visit(wallet: Wallet, address: ServerAddress, context: Any) -> bool:
    """Ask the box whom to trust, and whether to renew now. Errors as Office.confirm.

    What it says to trust is kept only after the box itself has been reached by it. context: as for `renew`.
    """
    current = wallet.current
    if address.kind != "https" or current is None or not current.confirmed or current.certificate is None:
        return False
    known = _trusted(wallet)
    advice = open_office(known, address).confirm(certificate=current.certificate, key=current.key)
    if advice.ca and advice.ca != known:
        advice = open_office(advice.ca, address).confirm(certificate=current.certificate, key=current.key)
        if advice.ca:
            wallet.trust(advice.ca)
            log.info("trusted_authorities_changed truck_id=%s", address.truck_id)
            if isinstance(context, ssl.SSLContext):
                context.load_verify_locations(str(wallet.ca_file))
    wallet.obey(advice.command_key)
    return advice.renew


def keep_fresh(folder: Path, context: Any, stop: threading.Event) -> None:
    """Renew the certificate of the wallet in `folder` whenever it is due, or the box wants it, until `stop`."""
    wait, visit_at = 1.0, 0.0
    while not stop.wait(wait):
        try:
            wallet = Wallet(folder)
            if address := kept(wallet):
                renew(wallet, address, context)
                if time.monotonic() >= visit_at:
                    if visit(wallet, address, context):
                        renew(wallet, address, context, now=True)
                    visit_at = time.monotonic() + _VISIT_SECONDS
            wait = _LOOK_SECONDS
        except Rejected as error:
            log.warning("renewal_refused again_in_seconds=%d reason=%r", _LOOK_SECONDS, str(error))
            wait = _LOOK_SECONDS
        except MilepostError as error:
            log.warning("renewal_failed again_in_seconds=%d reason=%r", _RETRY_SECONDS, str(error))
            wait = _RETRY_SECONDS
        except Exception:
            log.exception("renewal_broken again_in_seconds=%d", _LOOK_SECONDS)
            wait = _LOOK_SECONDS


def _trusted(wallet: Wallet) -> str:
    return wallet.ca_file.read_text(encoding="ascii")
