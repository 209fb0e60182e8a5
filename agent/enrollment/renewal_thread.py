"""Keeps the certificate fresh beside the running agent, where there is one that was enrolled; else loads nothing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def renewing(certificate: Path | None, context: Any) -> Iterator[None]:
    """A thread for renewals while the context lasts.

    certificate: as the agent's settings name it: `…/current/certificate.pem` of a wallet. context: the ssl.SSLContext
    of the transport, which takes the new certificate for its next connection; with another kind of transport the new
    certificate is used from the next start on.
    """
    if not certificate or not certificate.parent.is_symlink() or not (certificate.parents[1] / "office.json").exists():
        yield
        return
    from agent.enrollment.renewal import keep_fresh

    stop = threading.Event()
    arguments = (certificate.parents[1], context, stop)
    thread = threading.Thread(target=keep_fresh, args=arguments, name="renewal", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(2)
