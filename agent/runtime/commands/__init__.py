"""Commands of the fleet's operator: verified, carried out once, answered in the next report (docs/agent.md).

`verification` says who sent it and whether it is still good, `memory` keeps each id on disk until it has expired,
`runner` decides and answers, and what takes longer runs beside the sampling: `snapshot`, `doctor_process`.
"""
