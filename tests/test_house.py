"""The house keeps its own promises: the wheel stands alone, and what the documents say is there."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of what git tracks, so that no build folder is left in the clone."""
    source = tmp_path_factory.mktemp("source")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in tracked.rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*pip, str(source)], check=True, capture_output=True)
    return next(folder.glob("milepost-*.whl"))


def test_the_wheel_ships_data_and_no_tests(wheel: Path) -> None:
    """Whatever lies in a room beside its Python: schemas, settings examples, pages, SQL, templates."""
    names = zipfile.ZipFile(wheel).namelist()
    tracked = subprocess.run(["git", "ls-files", "-z", *ROOMS], cwd=ROOT, capture_output=True, check=True)
    wanted = [name for name in tracked.stdout.decode().rstrip("\0").split("\0") if (ROOT / name).is_file()]
    assert [name for name in wanted if name not in names] == []
    assert [room for room in ROOMS if f"{room}/py.typed" not in names] == []
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_the_wheel_carries_a_bill_of_its_materials(wheel: Path) -> None:
    """CycloneDX, valid, with every pin of what `make demo` installs."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if ".dist-info/sboms/" in name]
        text = archive.read(name).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    pins = re.findall(r"(?m)^([A-Za-z0-9._-]+)==(\S+)", (ROOT / "requirements/standalone.txt").read_text())
    listed = json.loads(text)["components"]
    assert [(one["name"], one["version"]) for one in listed] == pins
    assert all(one["hashes"] for one in listed)


def test_the_wheel_runs_outside_a_clone(wheel: Path, tmp_path: Path) -> None:
    """Unpacked elsewhere, in front of the clone on the path."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "lib")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'lib')!r}); import milepost, iot_rules;"
        f"assert iot_rules.__file__.startswith({str(tmp_path)!r}), iot_rules.__file__;"
        "sys.argv = ['milepost', 'rules', 'list', '--json']; milepost.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert "milepost_telemetry" in json.dumps(json.loads(done.stdout))


def test_every_command_that_the_documents_name_exists() -> None:
    sys.path.insert(0, str(ROOT))
    from milepost import COMMANDS

    texts = [path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]]
    named = {word for text in texts for word in re.findall(r"`(?:\.venv/bin/)?milepost ([a-z][a-z-]+)", text)}
    assert named
    assert named <= set(COMMANDS), named - set(COMMANDS)


def test_every_command_is_in_the_page_of_commands() -> None:
    from milepost import COMMANDS

    page = (ROOT / "docs/commands.md").read_text()
    assert [command for command in COMMANDS if f"`milepost {command}`" not in page] == []


def test_the_code_cites_only_documents_of_this_repository() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.py"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    missing = []
    for name in listed.rstrip("\0").split("\0"):
        text = (ROOT / name).read_text()
        cited = set(re.findall(r"docs/[a-z0-9/-]+\.md", text))
        missing += [f"{name}: {page}" for page in cited if not (ROOT / page).exists()]
        missing += [f"{name}: {word}" for word in re.findall(r"\bDESIGN\b", text) if name != "tests/test_house.py"]
    assert missing == []


def test_every_link_in_the_documents_leads_somewhere() -> None:
    dead = []
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        links = re.findall(r"\]\(([^)#]+)\)", path.read_text())
        dead += [f"{path.name}: {link}" for link in links if "://" not in link and not (path.parent / link).exists()]
    assert dead == []


def test_pins_have_hashes_and_name_no_registry() -> None:
    text = (ROOT / "requirements/dev.txt").read_text()
    pins = re.findall(r"^[A-Za-z0-9_.-]+==", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^\S+==[^\\]*\\\n\s+--hash=sha256:", text, re.MULTILINE)) > 20
    assert "://" not in text


def test_dev_installs_every_other_extra() -> None:
    """What `make test` installs is what the deployables need."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    own = re.findall(r"milepost\[([a-z0-9,-]+)\]", " ".join(extras["dev"]))
    assert set(",".join(own).split(",")) | {"standalone"} == set(extras) - {"dev"}  # standalone is another name of box


def test_the_repository_needs_nothing_beside_it() -> None:
    """A fresh clone in an empty folder has everything: recordings are under tests/recordings."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    outside = re.compile(r"\.\./shared|shared/(?:data|cases)")
    found = [name for name in listed.rstrip("\0").split("\0") if outside.search((ROOT / name).read_text("latin-1"))]
    assert [name for name in found if name != "tests/test_house.py"] == []


def test_no_module_is_over_400_lines() -> None:
    """What is longer is two things (CONTRIBUTING.md)."""
    tracked = subprocess.run(["git", "ls-files", "-z", "*.py"], cwd=ROOT, capture_output=True, check=True).stdout
    paths = [ROOT / name for name in tracked.decode().rstrip("\0").split("\0")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths if path.is_file()}
    assert len(lengths) > 500
    assert {name: length for name, length in lengths.items() if length > 400} == {}
