"""Every function of the AWS IoT SQL reference (page: iot-sql-functions), one file a group."""

from iot_rules.sql.functions import (  # noqa: F401
    collections,
    encoding,
    external,
    hashes,
    mathematics,
    message,
    regexps,
    strings,
    times,
    types,
)
from iot_rules.sql.functions.registry import FUNCTIONS, Function

__all__ = ["FUNCTIONS", "Function"]
