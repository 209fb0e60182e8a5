"""Fleet provisioning by awsiotsdk's identity client, over its MQTT 5 client."""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from typing import Any

from awscrt import mqtt5
from awscrt.exceptions import AwsCrtError
from awscrt.mqtt_request_response import ClientOptions
from awsiot import V2ServiceException, iotidentity, mqtt5_client_builder

from agent.enrollment.provisioning_client import SECONDS, Made, ProvisioningEndpoint
from contract.errors import Misconfigured, Rejected, Unreachable

_CONNECT_SECONDS = 40.0  # s2n sits out a penalty of up to 30 s before it tells of a handshake that failed


@contextmanager
def open_desk(line: ProvisioningEndpoint) -> Iterator["AwsIotDesk"]:
    """Connect, once: what stands in the way is said and not tried again."""
    events = _Events()
    try:
        client = mqtt5_client_builder.mtls_from_bytes(
            line.certificate.encode("ascii"),
            line.key,
            endpoint=line.host,
            port=line.port,
            ca_bytes=line.ca.encode("ascii"),
            client_id=line.client_id,
            on_lifecycle_connection_success=lambda _: events.connected(),
            on_lifecycle_connection_failure=events.failed,
            on_lifecycle_disconnection=events.lost,
            on_lifecycle_stopped=lambda _: events.stopped.set_result(None),
        )
    except (AwsCrtError, OSError) as error:
        raise Misconfigured(f"the certificates for {line.host} cannot be used: {error}: enrol again") from None
    client.start()
    try:
        done, _ = wait([events.connecting], _CONNECT_SECONDS)
        if not done:
            raise Unreachable(f"{line.host} does not answer; try again")
        _connected(line, events.connecting.result())
        yield AwsIotDesk(client, line.host, events)
    finally:
        client.stop(mqtt5.DisconnectPacket())
        wait([events.stopped], SECONDS)


def _connected(line: ProvisioningEndpoint, failure: Any) -> None:
    """failure: of the first attempt, None if it came about."""
    if failure is None:
        return
    if connack := failure.connack_packet:
        raise Rejected("", f"{line.host} refused the connection: {connack.reason_code.name}")
    name = getattr(failure.exception, "name", "")
    if "TLS" in name or name == "AWS_ERROR_MQTT_UNEXPECTED_HANGUP":  # after a handshake that it did not like
        raise Rejected("", f"{line.host} refused the certificate: {failure.exception}")
    raise Unreachable(f"{line.host}:{line.port} cannot be reached: {failure.exception}; try again")


class _Events:
    """What the connection's own thread tells: each of them once."""

    def __init__(self) -> None:
        self.connecting: Future[Any] = Future()
        self.ending: Future[str] = Future()
        self.stopped: Future[None] = Future()

    def connected(self) -> None:
        if not self.connecting.done():
            self.connecting.set_result(None)

    def failed(self, event: Any) -> None:
        if not self.connecting.done():
            self.connecting.set_result(event)

    def lost(self, event: Any) -> None:
        if not self.ending.done():
            goodbye = event.disconnect_packet
            self.ending.set_result(goodbye.reason_code.name if goodbye else str(event.exception))


class AwsIotDesk:
    """The identity client of one connection."""

    def __init__(self, client: Any, host: str, events: _Events) -> None:
        options = ClientOptions(
            max_request_response_subscriptions=4,  # accepted and rejected of both requests
            max_streaming_subscriptions=1,
            operation_timeout_in_seconds=int(SECONDS),
        )
        self._identity = iotidentity.IotIdentityClientV2(client, options)
        self._host, self._events = host, events

    def create(self, csr: str) -> Made:
        """CreateCertificateFromCsr."""
        request = iotidentity.CreateCertificateFromCsrRequest(certificate_signing_request=csr)
        made = self._answer(self._identity.create_certificate_from_csr(request))
        return Made(str(made.certificate_pem), str(made.certificate_ownership_token))

    def register(self, template: str, ownership: str, parameters: dict[str, str]) -> str:
        """RegisterThing."""
        request = iotidentity.RegisterThingRequest(
            template_name=template, certificate_ownership_token=ownership, parameters=parameters
        )
        return str(self._answer(self._identity.register_thing(request)).thing_name or "")

    def _answer(self, asked: "Future[Any]") -> Any:
        wait([asked, self._events.ending], SECONDS, FIRST_COMPLETED)
        if not asked.done():
            if self._events.ending.done():
                raise Rejected(
                    "",
                    f"{self._host} ended the connection: {self._events.ending.result()}; "
                    "is the claim revoked or expired?",
                )
            raise Unreachable(f"{self._host} does not answer; try again")
        try:
            return asked.result()
        except V2ServiceException as error:
            if error.modeled_error is not None:
                raise Rejected("", f"{self._host}: {error.modeled_error.error_message or 'rejected'}") from None
            raise Unreachable(f"{self._host} does not answer: {error.inner_error}; try again") from None
