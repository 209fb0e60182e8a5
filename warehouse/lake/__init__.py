"""The lake: what the collector holds, as Iceberg tables by event day that any engine can read.

Promises:

- **A function of the store.** Whatever builds ran before, and wherever one was killed, the newest finished build holds
  exactly what the store held when it began, each row once.
- **Seen whole.** A build ends with one build record (`lake.builds`): the snapshot of each table and the marks it was
  read up to. Readers use the snapshots of the newest record, so a build is seen whole or not at all.
- **One commit per table.** Days that received something are written anew; all other files stay as they are.
- **One at a time.** A second build on the same lake is refused while one runs.
"""
