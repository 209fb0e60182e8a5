"""`python -m tests.collector.beacon.beacon_process PORT DIR`: the beacon over a SQLite store, to be killed."""

import sys
from pathlib import Path

import uvicorn

from collector.beacon import BeaconSettings, create_app
from collector.history import TrackingPolicy
from collector.ingest import Ingest, vouch_for_policy
from collector.settings import CollectorSettings
from collector.stores.factory import open_store
from standalone.group_commit_writer import Writer


def main(port: int, folder: Path) -> None:
    settings = CollectorSettings(data_dir=folder)
    policy, store = TrackingPolicy.of(settings.track), open_store(settings.store_url)
    vouch_for_policy(store, policy)
    with Writer(store, Ingest(store, policy)) as writer:
        app = create_app(writer.submit, settings=BeaconSettings())
        uvicorn.run(app, host="127.0.0.1", port=port, log_level="critical", access_log=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
