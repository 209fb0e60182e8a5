"""Faults on purpose: a real installation, real trucks, something that goes wrong, and the balance at the end.

file: a scenario as a document. installation: `milepost up` in a folder of its own. line: the TCP line between trucks
and broker, with its faults. faults: what can go wrong. store_watch: the judge's look into the store. balance: lost and
counted twice. observer: what is recorded while it runs. scenario_run: all of them, from the file to the balance.
"""
