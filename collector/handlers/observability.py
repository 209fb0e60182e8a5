"""What the functions tell CloudWatch: JSON logs, EMF metrics, and traces where they are switched on.

aws-lambda-powertools does the writing. Our modules log with the standard library; inside Lambda their lines go through
Powertools' formatter, with the request's id. X-Ray's SDK takes longer to import than all the rest, so it is loaded
only where POWERTOOLS_TRACE_DISABLED is "false" (the template's parameter Tracing).
"""

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

from contract import machine_clock

NAMESPACE = "Milepost"
Handler = Callable[[dict[str, Any], Any], Any]


class Door:
    """One function's logger, metrics and tracer.

    Args:
        service: its name in all three, where the template has not given it one with the stack's prefix.
    """

    def __init__(self, service: str) -> None:
        service = os.environ.get("POWERTOOLS_SERVICE_NAME", service)
        self.logger = Logger(service=service)
        self.metrics = Metrics(namespace=NAMESPACE, service=service)
        self._service = service
        if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
            self._adopt("collector", "contract")

    def __call__(self, handler: Handler) -> Handler:
        """The handler, observed: its cold starts counted, its errors logged, its metrics flushed."""
        observed: Handler = self.metrics.log_metrics(handler, capture_cold_start_metric=True)
        observed = self.logger.inject_lambda_context(observed)
        if os.environ.get("POWERTOOLS_TRACE_DISABLED", "true").lower() != "true":
            from aws_lambda_powertools.tracing import Tracer

            observed = Tracer(service=self._service).capture_lambda_handler(observed)
        return observed

    def count(self, counts: Mapping[str, int], oldest_ms: int | None = None) -> None:
        """A metric a count (`Accepted`, `Rejected`, …), and how old the oldest item was."""
        for name, value in counts.items():
            self.metrics.add_metric(name.capitalize(), MetricUnit.Count, value)
        if oldest_ms is not None:
            age = max(0, machine_clock.now_ms() - oldest_ms)
            self.metrics.add_metric("OldestAge", MetricUnit.Milliseconds, age)

    def _adopt(self, *names: str) -> None:
        for name in names:
            adopted = logging.getLogger(name)
            adopted.handlers = list(self.logger.handlers)
            adopted.setLevel(self.logger.log_level)
            adopted.propagate = False


def seconds_left(context: Any) -> Callable[[], float]:
    """How long this invocation may still run."""
    return lambda: float(context.get_remaining_time_in_millis()) / 1000
