"""SCD Type 2 that does not care about order: history as a pure function of the set of samples (docs/history.md).

Sort a truck's samples by order key, drop exact duplicates, take each sample's tracked key, and open a version wherever
the key differs from the sample before. `define` is that sentence in code. `plan` gets from one such history to the
next when samples arrive, late or not, by looking only at their neighbourhood; the tests hold it against `define`.

Nothing in this folder does I/O, reads a clock or logs.
"""

from collector.history.plan import Run, Steps, parts, plan
from collector.history.reference import Point, Version, define, start
from collector.history.tracking_policy import DEFAULT_TRACK, TrackingPolicy

__all__ = ["DEFAULT_TRACK", "Point", "Run", "Steps", "TrackingPolicy", "Version", "define", "parts", "plan", "start"]
