"""Samples at their ticks: reading the sensors, noticing events, numbering and committing."""
