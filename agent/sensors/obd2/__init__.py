"""OBD-II modes 01, 03 and 07 (SAE J1979) over CAN, from frames to wire leaves; for vans.

`isotp` puts answers together, `pids` is the table of what we know, `trouble_codes` reads modes 03 and 07, `decoder`
keeps what each control unit said last, `asker` decides what to ask and when; all pure. `sensor` puts them on a live
bus.
"""
