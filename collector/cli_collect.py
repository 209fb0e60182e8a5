"""`milepost collect`: a worker of the collector behind a stream, for what one process cannot take."""

import logging
from typing import Annotated

import typer

from collector.cli_options import print_json, settings_of, writing
from collector.ingest import Ingest, vouch_for_policy
from collector.streams.kafka import KafkaAddress, KafkaSettings, make_topics
from collector.streams.kafka_offsets import note_used, take_back
from contract.cli_options import AsJson, Config, DataDir
from contract.errors import Misconfigured
from contract.forgotten import Forgotten
from contract.process_signals import stop_event
from contract.settings import load


def collect(
    stream: Annotated[str, typer.Option(metavar="URL", help="kafka://HOST:PORT[,HOST:PORT]/PREFIX")],
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take what `milepost up --stream` and others put into Kafka into the store, until SIGTERM.

    Any number of workers share the topics' partitions, each with its own trucks. They share one store: the data
    directory's while all run on its machine, else `store` of \\[collector]. Ends with what it took, counted by outcome.
    """
    try:
        from collector.handlers.kafka_worker import Worker

        address = KafkaAddress.of(stream, load("kafka", KafkaSettings, config))
        stop = stop_event()
        make_topics(address)
        settings = settings_of(config, data_dir)
        folder = settings.data_dir
        take_back(address, folder)
    except ModuleNotFoundError as error:
        raise Misconfigured(f"{error}: `milepost collect` needs pip install 'milepost[kafka]'") from error
    with writing(settings, make=True) as (store, policy):
        vouch_for_policy(store, policy)
        if folder.is_dir():
            note_used(folder, stream)
        worker = Worker(address, store, Ingest(store, policy, forgotten=Forgotten(folder)))
        logging.getLogger("collector").setLevel(logging.INFO)
        typer.echo(f"Collecting from {address.brokers}, topics {', '.join(address.topics)}", err=True)
        worker.run(stop.is_set)
    counts = dict(sorted(worker.counts.items()))
    print_json(counts) if as_json else typer.echo(
        ", ".join(f"{n} {status}" for status, n in counts.items()) or "nothing came"
    )
