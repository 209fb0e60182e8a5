"""A change of the CA: two are trusted while trucks move, and nobody who has moved is ever shut out."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contract.errors import Misconfigured
from provisioning import certificate_authority
from provisioning.errors import AuthorityEnds
from provisioning.registry import authority_files
from provisioning.registry.site import Wish
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings


def issued(registry: LocalRegistry, truck_id: str) -> str:
    registry.add(truck_id, {})
    pem = registry.issue(truck_id, certificate_authority.new_key()[1]).pem
    assert pem
    return pem


def test_while_it_is_changed_both_are_trusted_and_the_server_stays_known_to_all(registry: LocalRegistry) -> None:
    old_root = registry.authority()
    before = issued(registry, "OLD")
    assert registry.rotate_authority()
    assert not registry.rotate_authority()
    after, roots = issued(registry, "NEW"), registry.authority()
    assert certificate_authority.vouches_for(roots, before)
    assert certificate_authority.vouches_for(roots, after)
    assert not certificate_authority.vouches_for(old_root, after)
    assert (registry.folder / "roots.pem").read_text() == roots
    assert certificate_authority.vouches_for(old_root, registry.files.server_certificate())
    assert registry.behind() == ["OLD"]
    assert any("that have not moved: 1" in one for one in registry.warnings(20))


def test_finished_the_new_one_alone_is_trusted_and_the_old_key_is_gone(registry: LocalRegistry) -> None:
    before = issued(registry, "OLD")
    registry.rotate_authority()
    registry.finish_rotation()
    assert not certificate_authority.vouches_for(registry.authority(), before)
    assert certificate_authority.vouches_for(registry.authority(), registry.files.server_certificate())
    assert not (registry.folder / "ca.key").exists()
    assert registry.init() == []
    assert [one.action for one in registry.log(limit=3)] == ["finish_ca", "rotate_ca", "issue"]
    assert registry.rotate_authority()  # and once more
    assert registry.files.numbers == [2, 3]


def test_what_was_revoked_stays_revoked_by_every_ca(registry: LocalRegistry) -> None:
    issued(registry, "GONE")
    (serial,) = [one.id for one in registry.get("GONE").certificates]
    registry.retire("GONE")
    registry.rotate_authority()
    text = registry.write_revocations().read_text()
    for number in registry.files.numbers:
        root = registry.files.certificate_file(number).read_text()
        assert [one.serial for one in certificate_authority.revoked_by(root, text)] == [serial]
    registry.finish_rotation()
    text = registry.write_revocations().read_text()
    assert [one.serial for one in certificate_authority.revoked_by(registry.authority(), text)] == [serial]


def test_no_truck_gets_a_certificate_that_outlives_its_ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_authority, "AUTHORITY_DAYS", 60)
    registry = LocalRegistry(tmp_path, ProvisioningSettings(certificate_days=90))
    registry.init()
    registry.add("T1", {})
    with pytest.raises(AuthorityEnds, match="ca rotate"):
        registry.issue("T1", certificate_authority.new_key()[1])
    assert registry.get("T1").certificates == ()
    assert any("the CA ends on" in one for one in registry.warnings(20))
    assert registry.init() == []  # the server's certificate ends with the CA, and is not made anew each time
    monkeypatch.undo()
    registry.rotate_authority()
    assert registry.issue("T1", certificate_authority.new_key()[1]).pem
    registry.close()


def test_a_certificate_for_as_long_as_the_ca_ends_with_it(tmp_path: Path) -> None:
    registry = LocalRegistry(tmp_path, ProvisioningSettings(certificate_days=3650))
    registry.init()
    registry.add("T1", {})
    end = certificate_authority.ends_at(registry.files.newest())
    assert datetime.fromisoformat(registry.issue("T1", certificate_authority.new_key()[1]).not_after) == end
    registry.close()


@pytest.mark.parametrize("year", [1970, 2060])
def test_a_clock_that_cannot_be_right_makes_no_ca_unless_it_is_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, year: int
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime(year, 6, 1, tzinfo=UTC)

    monkeypatch.setattr("provisioning.registry.sqlite_certificate_authority.datetime", Clock)
    monkeypatch.setattr("provisioning.registry.authority_files.datetime", Clock)
    with pytest.raises(Misconfigured, match=f"{year}-06-01.*--clock-is-right"):
        LocalRegistry(tmp_path, ProvisioningSettings()).init()
    assert not (tmp_path / "provisioning").exists()
    sure = LocalRegistry(tmp_path, ProvisioningSettings(), wish=Wish(clock_is_right=True))
    assert sure.init()
    sure.close()


def test_the_server_certificate_is_renewed_when_it_is_time_and_keeps_its_key(
    registry: LocalRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, before = (registry.folder / "server.key").read_bytes(), registry.files.server_certificate()
    assert not registry.renew_server()
    monkeypatch.setattr(authority_files, "RENEWED_BEFORE", timedelta(days=authority_files.SERVER_DAYS + 1))
    assert registry.renew_server()
    assert registry.files.server_certificate() != before
    assert (registry.folder / "server.key").read_bytes() == key
    assert certificate_authority.matches(key, registry.files.server_certificate())


def test_the_log_is_only_ever_added_to(registry: LocalRegistry) -> None:
    registry.add("T1", {"group": "north"})
    registry.retire("T1")
    lines = registry.log(truck_id="T1")
    assert [one.action for one in lines] == ["retire", "add"]
    assert lines[0].who
    with registry.transaction() as database:
        for change in ("UPDATE log SET who = 'nobody'", "DELETE FROM log"):
            with pytest.raises(Exception, match="append-only"):
                database.execute(change)
    assert registry.log(truck_id="T1") == lines


def test_a_registry_of_the_release_before_is_migrated_and_kept_beside(tmp_path: Path) -> None:
    registry = LocalRegistry(tmp_path, ProvisioningSettings())
    registry.init()
    registry.add("T1", {"group": "north"})
    registry.close()
    file = registry.folder / "registry.db"
    with sqlite3.connect(file) as old:
        old.executescript("DROP TABLE log; ALTER TABLE trucks DROP COLUMN renewal_asked_at; PRAGMA user_version = 1;")
    (registry.folder / "roots.pem").unlink()
    assert registry.init() == []
    assert registry.get("T1").attributes == {"group": "north"}
    registry.ask_renewal("T1")
    assert [one.action for one in registry.log()] == ["ask_renewal"]
    assert (registry.folder / "roots.pem").read_text() == registry.authority()
    kept = registry.folder / "registry.db.v1"
    assert kept.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(kept) as before:
        assert before.execute("SELECT truck_id FROM trucks").fetchall() == [("T1",)]
    registry.close()
