"""A day's deliveries over the trucks: which truck brings which order, in which sequence.

`problem` reads and judges the input, `distances` measures the ways, `planning` solves it (VROOM, by pyvroom) and
compares it with the order given and with always driving to the nearest next stop. docs/commerce.md shows the input.
"""
