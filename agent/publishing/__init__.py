"""From the buffer to the broker: what is sent next, in which message, how fast, and what is reported."""
