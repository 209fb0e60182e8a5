"""compose.yaml: what the Compose specification allows, the commands of `make stack`, and settings like its parts'."""

import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from deploy import local_kafka
from deploy.stack_parts import Ports, commands, mosquitto_conf, prometheus_command, prometheus_yml
from tests.milepost_process import REPOSITORY

COMPOSE = REPOSITORY / "compose.yaml"
VARIABLE = re.compile(r"\$\{(\w+)(?::[-?]([^}]*))?\}")
DATABASE = "postgresql://milepost:change-me-owner@127.0.0.1:5432/milepost"


def written() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return document


def variables() -> dict[str, str]:
    lines = (REPOSITORY / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    """With the variables of .env.example filled in."""
    known = variables()
    text = VARIABLE.sub(lambda match: known[match.group(1)], COMPOSE.read_text())
    found: dict[str, dict[str, Any]] = yaml.safe_load(text)["services"]
    return found


def test_it_is_what_the_compose_specification_allows() -> None:
    """By the specification's own JSON schema, as compose-go 2 ships it."""
    schema = json.loads((REPOSITORY / "tests/deploy/compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(written())


def test_docker_compose_and_hadolint_read_it() -> None:
    """Where they were built or brought by `make compose-check`."""
    compose, hadolint = REPOSITORY / ".tools/compose/docker-compose", REPOSITORY / ".tools/hadolint/bin/hadolint"
    if not (compose.exists() and hadolint.exists()):
        pytest.skip("Docker Compose and hadolint are not here: make compose-check")
    for argv in ([compose, "--env-file", ".env.example", "config", "--quiet"], [hadolint, "Dockerfile"]):
        done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_our_own_parts_run_the_commands_of_make_stack(services: dict[str, dict[str, Any]]) -> None:
    """The simulator's sizes, which `up` has by default, are the only arguments more."""
    wanted = commands(Ports(), DATABASE, "/data")
    found = {name: services[name]["command"] for name in wanted}
    assert found.pop("milepost") == [*wanted["milepost"], "--trucks", "5", "--shoppers", "3"]
    assert found == {name: argv for name, argv in wanted.items() if name != "milepost"}


def test_the_set_of_parts_is_that_of_make_stack_and_grafana(services: dict[str, dict[str, Any]]) -> None:
    """tests/deploy/test_stack.py sees the same set run."""
    others = {"mosquitto", "kafka", "postgresql", "prometheus", "grafana"}
    assert services.keys() == commands(Ports(), "", "").keys() | others


def test_the_other_parts_are_set_as_in_make_stack(services: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """mosquitto and Prometheus by their files, Kafka by its properties and its version."""
    folder = REPOSITORY / "deploy/compose"
    place = "persistence_location /mosquitto/data/\n"
    assert (folder / "mosquitto.conf").read_text() == mosquitto_conf(1883) + place
    rules = "/etc/prometheus/milepost-rules.yml"
    assert yaml.safe_load((folder / "prometheus.yml").read_text()) == prometheus_yml(8080, rules)
    argv = prometheus_command("/etc/prometheus/prometheus.yml", "/prometheus", 9090)
    assert services["prometheus"]["command"] == argv[1:]
    namespace = {"m": "http://maven.apache.org/POM/4.0.0"}
    version = ElementTree.parse(local_kafka.POM).findtext(".//m:dependency/m:version", namespaces=namespace)
    assert services["kafka"]["image"] == f"apache/kafka:{version}"


def test_kafka_has_the_properties_of_the_local_broker(services: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """But for folders and ports."""
    if why := local_kafka.missing():
        pytest.skip(why)
    broker = local_kafka.LocalKafka(tmp_path, port=9092)
    own = broker.properties(tmp_path)
    environment = services["kafka"]["environment"]
    found = {name.removeprefix("KAFKA_").lower().replace("_", "."): value for name, value in environment.items()}
    assert found.keys() == own.keys()
    differing = {name for name, value in own.items() if found[name] != value}
    assert differing == {"listeners", "controller.quorum.voters", "log.dirs"}


def test_every_service_has_a_health_check_a_version_and_no_port_for_others(services: dict[str, dict[str, Any]]) -> None:
    """On the host's network each must bind to 127.0.0.1, which the commands and settings above say."""
    for name, service in services.items():
        assert service["healthcheck"]["test"], name
        assert re.search(r":[\w.-]*\d|:local$", service["image"]), name
        assert (service["network_mode"], "ports" in service) == ("host", False), name
    assert services["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert "listen_addresses=127.0.0.1" in services["postgresql"]["command"]


def test_every_variable_stands_in_the_example_and_no_password_in_the_file() -> None:
    used = {match.group(1) for match in VARIABLE.finditer(COMPOSE.read_text())}
    assert used == variables().keys()


def test_every_file_that_is_mounted_or_copied_is_there(services: dict[str, dict[str, Any]]) -> None:
    """And is not kept from the build by .dockerignore."""
    for service in services.values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert not source.startswith("./") or (REPOSITORY / source).exists(), volume
    kept = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert all((REPOSITORY / name).exists() for name in kept)
    rooms = {path.parent.name for path in REPOSITORY.glob("*/__init__.py")} - {"tests", "benchmarks", "scripts"}
    assert rooms <= kept


def test_the_images_run_as_nobody_in_particular() -> None:
    """Each last stage has a numeric user, and no base image floats."""
    stages = (REPOSITORY / "Dockerfile").read_text().split("\nFROM ")[1:]
    assert all(re.match(r"python:3\.\d+\.\d+-slim-bookworm AS \w", stage) for stage in stages)
    assert all("\nUSER 10001:10001\n" in stage for stage in stages if not stage.split(" AS ")[1].startswith("build"))
