"""The HTTP doors (docs/wire.md, "HTTP"): shop events, trucks' samples where there is no MQTT, the pixel, and beacon.js.

A 200 means that every record of the request is durable or was judged wrong for good; anything else means that the
client keeps it and sends it again, which is safe since identities make a repeat harmless.
"""

from collector.beacon.app import create_app
from collector.beacon.settings import BeaconSettings

__all__ = ["BeaconSettings", "create_app"]
