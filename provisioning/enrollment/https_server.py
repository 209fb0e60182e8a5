"""The HTTPS server of enrolment: one path, TLS by the registry's server certificate."""

import logging
from collections.abc import Mapping

from contract.http_service import HttpService, bind
from provisioning.enrollment.asgi import EnrolmentApp
from provisioning.enrollment.service import Enrolment
from provisioning.registry.sqlite import LocalRegistry

log = logging.getLogger(__name__)

_REMEDY = "set another by `milepost provision init --https-port`"


class EnrolmentServer:
    """Serves `POST /v1/enroll`; `port` 0 takes a free one. Use as a context."""

    def __init__(self, registry: LocalRegistry, enrolment: Enrolment, *, address: str, port: int) -> None:
        bound = bind(address, port, _REMEDY)
        self.port: int = bound.getsockname()[1]
        certificate = (registry.folder / "server.pem", registry.folder / "server.key")
        self._service = HttpService(EnrolmentApp(enrolment), bound, name="enrolment", certificate=certificate)

    def __enter__(self) -> "EnrolmentServer":
        self._service.start()
        log.info("enrolment_up port=%d", self.port)
        return self

    def figures(self) -> Mapping[str, int]:
        """Its connections, as contract.http_connections.Connections counts them.

        Returns:
            Name → count, for /metrics.
        """
        return self._service.figures()

    def load_certificate(self) -> None:
        """Serve by the server certificate of now."""
        self._service.load_certificate()

    def __exit__(self, *_: object) -> None:
        self._service.stop()
