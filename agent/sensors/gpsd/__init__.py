"""The satellite receiver by way of gpsd (JSON protocol over TCP, protocol 3).

`report` reads a line of it, `receiver` keeps what one receiver said last, `trust` decides whether its date may be
believed; all pure. `sensor` is the connection.
"""
