"""SAE J1939 from CAN frames to wire leaves; pure: no file, no socket, no clock.

`candump` parses logs into frames, `frame` takes a 29-bit identifier apart, `transport` puts multi-packet messages
together, `signals` is the table of the parameters we know, `faults` reads DM1, and `decoder` keeps what each source
said last and says what is true at a moment. A recording and the live bus feed the same `Decoder`.
"""
