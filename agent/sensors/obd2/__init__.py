"""OBD-II mode 01 (SAE J1979) over CAN with 11-bit identifiers, from frames to wire leaves; for vans.

`isotp` puts answers together, `pids` is the table of what we know, `decoder` keeps what each control unit said last,
`asker` decides what to ask and when; all pure. `sensor` puts them on a live bus.
"""
