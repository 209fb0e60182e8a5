"""Property tests take the same examples at every `make test`, and others at every `make prove`.

How long one takes proves nothing on a machine that does something else as well.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "milepost",
    derandomize="MILEPOST_PROVE" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("milepost")
