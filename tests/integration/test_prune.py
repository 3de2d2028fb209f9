# SPDX-License-Identifier: PostgreSQL
"""Base backups that are registered, and WAL that goes: what is promised can be restored."""

import json
import os
import random
import shlex
import shutil
import subprocess
import time

import pytest
from harness import archive as ar
from harness.postgres import Load, Postgres, copy_cluster
from harness.util import SERVER_USER, clean_env, lsn, run, wait_until

CODECS = [None, "zstd:1"]


def call(walrx, world, *args):
    return run([walrx.command[0], *args], env=clean_env(world.base), check=False, timeout=60)


def must(walrx, world, *args):
    done = call(walrx, world, *args)
    assert done.returncode == 0, done
    return done


def register(walrx, world, directory, label, backup):
    return must(walrx, world, "backup", "register", label, backup, "-D", directory)


def backups(walrx, world, directory):
    return json.loads(must(walrx, world, "backup", "list", "-D", directory, "--json").stdout)["backups"]


def prune(walrx, world, directory, *args):
    return json.loads(must(walrx, world, "prune", "-D", directory, "--json", *args).stdout)


def numbers(directory, segsize):
    """Of the complete segments; while a receiver compresses, one may be there in two forms."""
    found = {ar.SEGMENT.fullmatch(path.name) for path in directory.iterdir()} - {None}
    return sorted({ar.segment_number(name[1], segsize) for name in found})


def unbroken(directory, segsize):
    have = numbers(directory, segsize)
    return have == list(range(have[0], have[-1] + 1)) if have else True


def whole(walrx, world, directory, server):
    """Without a hole, each file as it should be."""
    have = numbers(directory, server.segsize)
    assert have == list(range(have[0], have[-1] + 1)), have
    must(walrx, world, "verify", "-D", directory)


def restored(walrx, world, primary, backup, directory, **settings):
    """A server recovered from the backup, by what the archive has; ended on a timeline of its own."""
    words = [str(walrx.command[0]), "restore", "-D", str(directory)]
    server = Postgres(world.base, f"new{len(world.servers)}", world.templates, segsize_mb=primary.segsize >> 20,
                      data_from=lambda data: copy_cluster(backup, data))
    world.servers.append(server)
    (server.data / "standby.signal").unlink(missing_ok=True)  # a standby's backup has it
    server.recover(restore_command=" ".join(shlex.quote(word) for word in words) + " %f %p",
                   wal_retrieve_retry_interval="100ms", **settings)
    server.start()
    wait_until(lambda: server.sql("select pg_is_in_recovery()") == "f", "the end of recovery", 60)
    return server


def rows(server):
    return server.number("select count(*) from load")


def durable(primary, slot="arch"):
    wait_until(lambda: primary.sql("select restart_lsn >= pg_current_wal_flush_lsn() from pg_replication_slots "
                                   f"where slot_name = '{slot}'") == "t", "everything is durable", 60)


@pytest.fixture
def primary(world):
    server = world.server()
    server.create_slot("arch")
    return server


def test_each_kind_of_backup_is_registered_and_read_alike(world, walrx, primary):
    """pg_control, the manifest, the label and the WAL agree on start and stop."""
    directory = world.archive()
    it = world.receive(walrx, directory, primary, slot="arch")
    it.wait_streaming(primary)
    plain, tar, packed = (world.base / name for name in ("plain", "tar", "packed"))
    primary.base_backup(plain, wal="none")
    primary.fill_segments(1)
    for target, more in ((tar, ["-Ft"]), (packed, ["-Ft", "-z"])):
        run([primary.tools / "pg_basebackup", "-D", target, "-X", "none", "-c", "fast", "--no-sync", *more, "-d",
             primary.conninfo()], env=primary.env)
        primary.insert()
    durable(primary)
    assert 'registered base backup "plain"' in register(walrx, world, directory, "plain", plain).stdout
    assert 'already registered base backup "plain"' in register(walrx, world, directory, "plain", plain).stdout
    register(walrx, world, directory, "tar", tar)
    register(walrx, world, directory, "packed", packed)
    found = {backup["label"]: backup for backup in backups(walrx, world, directory)}
    assert list(found) == ["plain", "tar", "packed"]
    for backup in found.values():
        assert backup["consistent"] and backup["current"] and backup["start_archived"]
        assert lsn(backup["start"]) < lsn(backup["stop"]) <= lsn(backup["recovers_to"])
        assert backup["start_time"] and (directory / backup["file"]).is_file()
    # The label by itself: where the backup ends, the WAL tells.
    must(walrx, world, "backup", "remove", "plain", "-D", directory)
    register(walrx, world, directory, "label", plain / "backup_label")
    again = backups(walrx, world, directory)[0]
    assert again["label"] == "label" and again["stop"] == found["plain"]["stop"]
    must(walrx, world, "backup", "remove", again["file"], "-D", directory)
    register(walrx, world, directory, "manifest", plain / "backup_manifest")
    assert backups(walrx, world, directory)[0]["stop"] == found["plain"]["stop"]
    assert call(walrx, world, "backup", "register", "other", plain, "-D", directory).returncode == 2
    # pg_archivecleanup takes the name.
    cleanup = run([primary.tools / "pg_archivecleanup", "-n", directory, found["tar"]["file"]])
    assert cleanup.stdout
    assert it.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_leaves_nothing_that_the_archives_user_cannot_read(world, walrx, primary):
    directory = world.archive()
    it = world.receive(walrx, directory, primary, slot="arch")
    it.wait_streaming(primary)
    backup = world.base / "backup"
    primary.base_backup(backup, wal="none")
    primary.fill_segments(1)
    durable(primary)
    assert it.stop() == 0
    before = ar.tree(directory)
    for args in (("backup", "register", "x", backup), ("backup", "remove", "x"), ("prune", "--keep-size=1")):
        done = subprocess.run([walrx.command[0], *map(str, args), "-D", directory], env=clean_env(world.base),
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1 and "this is root" in done.stderr, done
        assert f"runuser -u {SERVER_USER} -- walrx" in done.stderr
    assert ar.tree(directory) == before
    register(walrx, world, directory, "x", backup)


def test_a_backup_of_a_standby_is_registered(world, walrx, primary):
    directory = world.archive()
    it = world.receive(walrx, directory, primary, slot="arch")
    it.wait_streaming(primary)
    standby = world.standby(primary)
    primary.fill_segments(2)
    primary.sql("checkpoint")
    wait_until(lambda: standby.sql("select pg_last_wal_replay_lsn() >= '" + primary.sql("select pg_current_wal_lsn()")
                                   + "'") == "t", "the standby follows")
    backup = world.base / "backup"
    standby.base_backup(backup, wal="none")
    primary.fill_segments(2)
    durable(primary)
    register(walrx, world, directory, "standby", backup)
    [found] = backups(walrx, world, directory)
    assert found["from_standby"] and found["consistent"]
    result = prune(walrx, world, directory, "--keep-size=1")
    assert result["horizon"]["held_by_backup"] == "standby"
    primary.insert(rows=5)
    durable(primary)
    new = restored(walrx, world, primary, backup, directory)
    assert rows(new) == rows(primary)
    assert it.stop() == 0


def test_what_is_no_backup_of_this_archive_is_refused(world, walrx, primary):
    directory = world.archive()
    it = world.receive(walrx, directory, primary, slot="arch")
    it.wait_streaming(primary)
    primary.fill_segments(3)
    durable(primary)
    before = ar.listing(directory)
    other = world.server(fresh=True)
    foreign = world.base / "foreign"
    other.base_backup(foreign, wal="none")
    refused = call(walrx, world, "backup", "register", "x", foreign, "-D", directory)
    assert refused.returncode == 2 and "another cluster" in refused.stderr
    # The label alone does not name its cluster, but its checkpoint is not in this WAL.
    label = call(walrx, world, "backup", "register", "x", foreign / "backup_label", "-D", directory)
    assert label.returncode == 2, label
    running = call(walrx, world, "backup", "register", "x", primary.data, "-D", directory)
    assert running.returncode == 1 and "A server has been started on it" in running.stderr
    missing = call(walrx, world, "backup", "register", "x", world.base / "nothing", "-D", directory)
    assert missing.returncode == 1
    assert ar.listing(directory) == before
    late = world.base / "late"
    primary.base_backup(late, wal="none")
    primary.fill_segments(4)
    durable(primary)
    prune(walrx, world, directory, "--keep-size=1")
    gone = call(walrx, world, "backup", "register", "late", late, "-D", directory)
    assert gone.returncode == 2 and "does not have the WAL" in gone.stderr
    assert it.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS)
def test_retention_under_load_keeps_what_the_oldest_backup_needs(world, walrx, primary, codec):
    """The receiver removes WAL by itself, and the oldest backup that is kept is restored to the newest commit."""
    directory = world.archive()
    first, second = world.base / "first", world.base / "second"
    it = world.receive(walrx, directory, primary, "--keep-size=3MB", "--keep-time=2s", slot="arch", compress=codec)
    it.wait_streaming(primary)
    it.wait_log("no base backup is registered")
    with Load(primary) as load:
        load.run_rounds(6)
        primary.base_backup(first, wal="none")
        load.run_rounds(2)
        register(walrx, world, directory, "first", first)
        start = lsn(backups(walrx, world, directory)[0]["start"]) // primary.segsize
        load.run_rounds(8)
        primary.base_backup(second, wal="none")
        load.run_rounds(2)
        register(walrx, world, directory, "second", second)
        wait_until(lambda: numbers(directory, primary.segsize)[0] == start, "WAL before the first backup is gone", 60)
        assert 'kept for the registered base backup "first"' in it.log()
        must(walrx, world, "backup", "remove", "first", "-D", directory)
        later = lsn(backups(walrx, world, directory)[0]["start"]) // primary.segsize
        load.run_rounds(8)
        wait_until(lambda: numbers(directory, primary.segsize)[0] == later, "WAL before the second one too", 60)
        load.run_rounds(2)
    durable(primary)
    state = json.loads(must(walrx, world, "status", "-D", directory, "--json").stdout)["receiver"]["retention"]
    assert state["removed_files"] > 0 and state["failing"] == 0 and state["problem"] is None
    new = restored(walrx, world, primary, second, directory)
    assert rows(new) == rows(primary)
    assert it.stop() == 0
    whole(walrx, world, directory, primary)
    assert "error" not in it.log().lower().replace("no error", "")


def test_the_file_of_options_changes_retention(world, walrx, primary):
    directory = world.archive()
    config = world.base / "walrx.conf"
    config.write_text("keep-size = 0\n")
    config.chmod(0o644)
    it = world.receive(walrx, directory, primary, f"--config={config}", slot="arch")
    it.wait_streaming(primary)
    primary.fill_segments(8)
    durable(primary)
    assert len(ar.segments(directory)) >= 8
    assert json.loads(must(walrx, world, "status", "-D", directory, "--json").stdout)["receiver"]["retention"] is None
    config.write_text("keep-size = 3MB\n")
    it.process.send_signal(1)
    it.wait_log("options reloaded")
    wait_until(lambda: len(ar.segments(directory)) <= 3, "the size is kept")
    it.wait_log("of old WAL; WAL stays from")
    assert it.stop() == 0
    whole(walrx, world, directory, primary)


@pytest.mark.slow
def test_prunes_beside_a_compressing_receiver(world, walrx, primary, seed):
    """Again and again, and the receiver killed in between: no hole, no file left behind, no error of a worker."""
    pick = random.Random(seed)
    directory = world.archive()
    it = world.receive(walrx, directory, primary, slot="arch", compress="zstd:9")
    it.wait_streaming(primary)
    with Load(primary) as load:
        for i in range(30):
            load.run_rounds(2)
            size = pick.choice(["1", "2MB", "500kB"])
            done = call(walrx, world, "prune", "-D", directory, f"--keep-size={size}", "--json")
            if done.returncode == 1:
                assert "there is no WAL" in done.stderr or "is empty" in done.stderr, done
            else:
                assert done.returncode == 0, done
            if i % 6 == 5:
                it.kill9()
                if pick.random() < 0.5:
                    call(walrx, world, "prune", "-D", directory, "--keep-size=1")
                it.start()
                it.wait_streaming(primary)
            # Names that change while they are listed may hide a segment, but not twice.
            wait_until(lambda: unbroken(directory, primary.segsize), "no hole", 5)
    durable(primary)
    assert it.stop() == 0
    whole(walrx, world, directory, primary)
    result = prune(walrx, world, directory, "--keep-size=1")
    assert result["kept_files"] >= 1
    assert len(ar.segments(directory)) == 1


def test_a_failover_does_not_confuse_a_prune(world, walrx, primary):
    """The backup is of the old timeline, the newest WAL of the new one; the dead end goes by position."""
    directory = world.archive()
    backup = world.base / "backup"
    it = world.receive(walrx, directory, primary, slot="arch")
    it.wait_streaming(primary)
    primary.fill_segments(3)
    primary.base_backup(backup, wal="none")
    primary.fill_segments(2)
    durable(primary)
    register(walrx, world, directory, "old", backup)
    standby = world.standby(primary)
    primary.insert(rows=10)
    durable(primary)
    wait_until(lambda: standby.sql("select pg_last_wal_replay_lsn() >= '" + primary.sql("select pg_current_wal_lsn()")
                                   + "'") == "t", "the standby follows")
    primary.stop("immediate")
    assert it.stop() == 0
    standby.promote()
    standby.create_slot("arch")
    it = world.receive(walrx, directory, standby, slot="arch", compress="zstd:1")
    it.wait_streaming(standby)
    standby.fill_segments(3)
    durable(standby)
    [found] = backups(walrx, world, directory)
    assert found["current"] and found["consistent"]
    result = prune(walrx, world, directory, "--keep-size=1")
    assert result["horizon"]["held_by_backup"] == "old" and result["removed_files"] >= 3
    assert ar.histories(directory)
    new = restored(walrx, world, standby, backup, directory)
    assert rows(new) == rows(standby)
    must(walrx, world, "backup", "remove", "old", "-D", directory)
    result = prune(walrx, world, directory, "--keep-size=1")
    assert result["horizon"]["held_by"] in ("newest", "receiver")
    assert {name[:8] for name in ar.segments(directory)} == {"00000002"}
    assert [p.name for p in ar.histories(directory)] == ["00000002.history"]
    primary.start()
    assert it.stop() == 0
    whole(walrx, world, directory, standby)


def test_times_are_those_of_commits(world, walrx, primary):
    directory = world.archive()
    it = world.receive(walrx, directory, primary, slot="arch")
    it.wait_streaming(primary)
    old = world.base / "old"
    primary.fill_segments(2)
    primary.base_backup(old, wal="none")
    primary.fill_segments(3)
    time.sleep(9)  # what follows takes less, on a slow machine too
    edge = primary.segment()
    young = world.base / "young"
    primary.fill_segments(2)
    primary.base_backup(young, wal="none")
    primary.fill_segments(2)
    durable(primary)
    # By commit times alone: up to one segment before the first that is recent.
    result = prune(walrx, world, directory, "--keep-time=8s", "--dry-run")
    assert result["dry_run"] and result["horizon"]["asked_by"] == "keep-time"
    assert lsn(result["horizon"]["lsn"]) // primary.segsize == ar.segment_number(edge, primary.segsize) - 1
    register(walrx, world, directory, "young", young)
    result = prune(walrx, world, directory, "--keep-time=8s", "--dry-run")
    assert result["horizon"]["base_backup"] is None
    register(walrx, world, directory, "old", old)
    result = prune(walrx, world, directory, "--keep-time=8s", "--keep-from=young")
    assert result["horizon"]["base_backup"] == "old" and result["horizon"]["asked_by"] == "keep-time"
    start = lsn(backups(walrx, world, directory)[0]["start"])
    assert lsn(result["horizon"]["lsn"]) == start // primary.segsize * primary.segsize
    assert numbers(directory, primary.segsize)[0] == start // primary.segsize
    assert it.stop() == 0
    new = restored(walrx, world, primary, old, directory)
    assert rows(new) == rows(primary)


def test_time_without_commits_takes_nothing_away(world, walrx, primary):
    """As with a clock that jumped ahead; by hand and by the receiver itself, with and without its index."""
    directory = world.archive()
    it = world.receive(walrx, directory, primary, "--keep-time=1s", slot="arch")
    it.wait_streaming(primary)
    primary.fill_segments(6)
    durable(primary)
    it.wait_log("no commit lies within the time that WAL is kept")
    time.sleep(2)
    kept = numbers(directory, primary.segsize)
    # All of it was written within moments, and then nothing: it stays, however long ago that was.
    newest = prune(walrx, world, directory, "--keep-time=60s", "--dry-run")["horizon"]["newest_commit"]
    result = prune(walrx, world, directory, "--keep-time=60s")
    assert result["removed_files"] == 0 and result["horizon"]["newest_commit"] == newest
    time.sleep(2)
    first = prune(walrx, world, directory, "--keep-time=1s", "--dry-run")
    time.sleep(2)
    done = call(walrx, world, "prune", "-D", directory, "--keep-time=1s", "--dry-run")
    assert "counted back from the newest commit" in done.stdout and "no commit lies within the time" in done.stderr
    assert prune(walrx, world, directory, "--keep-time=1s", "--dry-run")["horizon"] == first["horizon"]
    assert numbers(directory, primary.segsize) == kept
    assert it.stop() == 0
    shutil.rmtree(directory / ".walrx" / "index")
    assert prune(walrx, world, directory, "--keep-time=1s", "--dry-run")["horizon"] == first["horizon"]


def test_recovery_to_an_earlier_point_leaves_a_longer_dead_branch(world, walrx, primary):
    """The new timeline's WAL has lower positions than the end of the one it left: it is what is kept."""
    directory = world.archive()
    backup, young = world.base / "backup", world.base / "young"
    it = world.receive(walrx, directory, primary, slot="arch")
    it.wait_streaming(primary)
    primary.fill_segments(2)
    primary.base_backup(backup, wal="none")
    primary.fill_segments(1)
    primary.sql("select pg_create_restore_point('here')")
    fork = ar.segment_number(primary.segment(), primary.segsize)
    primary.fill_segments(16)
    durable(primary)
    register(walrx, world, directory, "old", backup)
    assert it.stop() == 0
    primary.stop("immediate")
    new = restored(walrx, world, primary, backup, directory, recovery_target_name="here",
                   recovery_target_action="promote")
    new.create_slot("arch")
    it = world.receive(walrx, directory, new, "--keep-time=1s", slot="arch", compress="zstd:19")
    it.wait_streaming(new)
    new.fill_segments(3)
    new.base_backup(young, wal="none")
    new.fill_segments(5)
    durable(new)
    register(walrx, world, directory, "young", young)
    must(walrx, world, "backup", "remove", "old", "-D", directory)
    ends = {name[:8]: ar.segment_number(name, new.segsize) for name in ar.segments(directory)}
    assert ends["00000001"] > ends["00000002"] > fork
    # Of the dead branch alone there is more than this.
    result = prune(walrx, world, directory, "--keep-size=6MB")
    assert lsn(result["horizon"]["lsn"]) // new.segsize <= lsn(backups(walrx, world, directory)[0]["start"]) // new.segsize
    it.kill9()
    must(walrx, world, "backup", "remove", "young", "-D", directory)
    result = prune(walrx, world, directory, "--keep-size=4500kB")
    stays = numbers(directory, new.segsize)
    assert lsn(result["horizon"]["lsn"]) // new.segsize < ends["00000002"] and result["horizon"]["held_by"] is None
    assert stays == list(range(stays[0], stays[-1] + 1))
    assert [p.name for p in ar.histories(directory)] == ["00000002.history"]
    it.start()
    it.wait_streaming(new)
    new.fill_segments(2)
    durable(new)
    assert it.stop() == 0
    must(walrx, world, "verify", "-D", directory)


@pytest.mark.slow
def test_a_backup_is_registered_while_the_receiver_removes_much(world, walrx, primary):
    directory = world.archive()
    config = world.base / "walrx.conf"
    config.write_text("keep-size = 0\n")
    config.chmod(0o644)
    it = world.receive(walrx, directory, primary, f"--config={config}", slot="arch")
    it.wait_streaming(primary)
    primary.sql("do $$ begin for i in 1..700 loop perform pg_logical_emit_message(false, 'a', 'b'); "
                "perform pg_switch_wal(); end loop; end $$")
    backup = world.base / "backup"
    primary.base_backup(backup, wal="none")
    primary.fill_segments(1)
    durable(primary)
    config.write_text("keep-size = 3MB\n")
    it.process.send_signal(1)
    wait_until(lambda: len(ar.segments(directory)) < 690, "the removal has begun")
    register(walrx, world, directory, "late", backup)
    assert len(ar.segments(directory)) > 50, "there was no removal to wait for"
    wait_until(lambda: len(ar.segments(directory)) <= 5, "all goes", 60)
    it.wait_log("of old WAL; WAL stays from")
    assert it.stop() == 0
    whole(walrx, world, directory, primary)
