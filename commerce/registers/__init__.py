"""Registers: what is known of customers, items and vehicles, each kept as SCD Type 2 versions.

A register's history is the same pure function as a truck's (`collector.history`): of the documents that were put,
sorted by the time from which each holds, a version opens wherever the content differs from the one before. Documents
that come late, twice or out of order leave the same versions. `documents` judges what is put, `register` keeps it.
"""
