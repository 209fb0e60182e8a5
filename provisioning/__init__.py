"""Identities: an own CA or AWS IoT, enrolment, the broker's access rules. Knows the contract only."""
