"""Renews the certificate while the agent runs: when two thirds of its life are over, and again until it is done."""

import logging
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.enrollment import Office
from agent.enrollment.connection_test import MqttProof
from agent.enrollment.credential_store import Wallet
from agent.enrollment.csr import share_lived
from agent.enrollment.enrollment_file import Address, kept
from agent.enrollment.rotation import Rotation, Step, next_step
from agent.enrollment.standalone_issuer import HttpsOffice
from contract.errors import MilepostError

log = logging.getLogger(__name__)

DUE = 2 / 3
_LOOK_SECONDS = 3600.0
_RETRY_SECONDS = 60.0


def due(wallet: Wallet, now: datetime | None = None) -> bool:
    """Whether it is time for a new certificate."""
    current = wallet.current
    return bool(current and current.certificate and share_lived(current.certificate, now or datetime.now(UTC)) >= DUE)


def open_office(wallet: Wallet, address: Address) -> Office:
    """The office for renewals, by what the wallet has kept."""
    ca = wallet.ca_file.read_text(encoding="ascii")
    if address.kind == "https":
        return HttpsOffice(address.url or "", ca)
    from agent.enrollment.fleet_provisioning import ClaimOffice

    return ClaimOffice(address.broker, wallet.ca_file, address.template or "", address.truck_id)


def renew(wallet: Wallet, address: Address, context: Any, *, now: bool = False) -> int:
    """Finish or begin a change if it is time (or `now`); the steps taken. Errors as Rotation.run.

    context: the ssl.SSLContext of the running transport, which takes the new certificate for its next connection.
    """
    if not (now or due(wallet) or next_step(wallet, proven=None, renew=False)):
        return 0

    def after(step: Step) -> None:
        current = wallet.current
        if step == "switch" and current and isinstance(context, ssl.SSLContext):
            context.load_cert_chain(str(current.certificate_file), str(current.key_file))

    proof = MqttProof(wallet, address.broker, address.truck_id)
    rotation = Rotation(wallet, open_office(wallet, address), proof, truck_id=address.truck_id, after=after)
    return rotation.run(renew=now or due(wallet))


def keep_fresh(folder: Path, context: Any, stop: threading.Event) -> None:
    """Renew the certificate of the wallet in `folder` whenever it is due, until `stop`."""
    wait = 1.0
    while not stop.wait(wait):
        try:
            wallet = Wallet(folder)
            if address := kept(wallet):
                renew(wallet, address, context)
            wait = _LOOK_SECONDS
        except MilepostError as error:
            log.warning("renewal_failed again_in_seconds=%d reason=%r", _RETRY_SECONDS, str(error))
            wait = _RETRY_SECONDS
        except Exception:
            log.exception("renewal_broken again_in_seconds=%d", _LOOK_SECONDS)
            wait = _LOOK_SECONDS
