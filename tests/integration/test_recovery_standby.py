# SPDX-License-Identifier: PostgreSQL
"""Servers that live on restore_command: a standby without a connection to anybody, an old primary that is rewound,
and recoveries of the oldest and the newest major version."""

import pytest
from harness import archive as ar
from harness import majors
from harness.chain import all_of, replayed
from harness.postgres import Load
from harness.recovery import Moment, assert_moments, assert_same_rows, command, recovering, rows
from harness.util import clean_env, lsn, run, wait_until


def position(server):
    return lsn(server.sql("select pg_last_wal_replay_lsn()"))


def catches_up(standby, primary):
    """With the newest complete segment of the primary: to the switch at its end, or to what follows it there."""
    primary.insert(rows=1)
    end = primary.sql("select pg_switch_wal()")
    primary.insert(rows=1)
    wait_until(lambda: position(standby) >= lsn(end), f"the standby has the WAL up to {end}", 30)


@pytest.mark.slow
def test_a_standby_without_a_connection_follows_the_archive(world, walrx):
    """The primary is under load, dies, another takes over; the receiver is killed and started again."""
    a = world.server("a")
    b = world.standby(a, "b")
    directory = world.archive()
    it = world.receive(walrx, directory, all_of(a, b), "--synchronous", compress="zstd:1")
    it.wait_streaming(a)
    backup = world.base / "backup"
    a.base_backup(backup, wal="none")
    standby = recovering(world, a, backup, command(walrx, directory), "standby.signal",
                         recovery_target_timeline="latest")
    assert standby.sql("show primary_conninfo") == ""
    with Load(a) as load:
        load.run_rounds(6)
        for _ in range(3):
            catches_up(standby, a)
        it.kill9()
        load.run_rounds(6)
        it.start()
        it.wait_streaming(a)
        catches_up(standby, a)
    replayed(a, b)
    a.kill9()
    b.promote()
    it.wait_streaming(b)
    with Load(b) as load:
        load.run_rounds(6)
        for _ in range(3):
            catches_up(standby, b)
    assert "new target timeline is 2" in standby.log_path.read_text()
    # Before it is promoted the receiver is stopped, so that it gets the open segment.
    b.insert(rows=20)
    want = rows(b)
    it.wait_received(b, column="flush_lsn")
    assert it.stop() == 0
    wait_until(lambda: rows(standby) == want, "the standby has the last commits")
    b.kill9()
    standby.promote()
    assert_same_rows(standby, want)
    assert standby.timeline() == 3
    standby.insert()
    for name, path in ar.segments(directory).items():  # nothing was put into the archive
        assert path.suffix == ".zst" and int(name[:8], 16) <= 2


def test_an_old_primary_is_rewound_with_wal_from_the_archive(world, walrx):
    """What pg_rewind wants to read lies before the old primary's last checkpoint and is gone from its pg_wal."""
    frugal = {"wal_keep_size": "0", "max_wal_size": "2MB", "min_wal_size": "2MB", "wal_log_hints": "on"}
    a = world.server("a", conf=frugal)
    b = world.standby(a, "b", wal_keep_size="2GB")
    directory = world.archive()
    it = world.receive(walrx, directory, all_of(a, b), "--synchronous", compress="lz4")
    it.wait_streaming(a)
    a.insert(rows=100)
    a.sql("checkpoint")  # the last one both have
    common = a.segment()
    a.fill_segments(2)
    replayed(a, b)
    b.promote()
    for _ in range(3):
        a.fill_segments(2)  # on a branch of its own
        a.sql("checkpoint")
    it.wait_received(a, column="flush_lsn")
    assert not (a.wal_dir / common).exists()
    a.stop("fast")
    it.wait_streaming(b)
    b.insert(rows=50)
    b.sql("checkpoint")
    a.configure(restore_command=command(walrx, directory))

    def rewind(*options):
        return run([a.bindir / "pg_rewind", "-D", a.data, "--source-server", b.conninfo(dbname="postgres"), *options],
                   env=clean_env(a.base), check=False)
    alone = rewind("--dry-run")
    assert alone.returncode != 0 and "could not open file" in alone.stderr, alone.stderr
    done = rewind("--restore-target-wal")
    assert done.returncode == 0 and "Done!" in done.stderr, done.stderr
    config = (b.data / "postgresql.conf").read_text().replace(f"port = '{b.port}'", f"port = '{a.port}'")
    (a.data / "postgresql.conf").write_text(config.replace(str(b.base), str(a.base)))
    a.follow(b)
    a.start()
    replayed(b, a)
    assert_same_rows(a, rows(b))
    assert it.stop() == 0


@pytest.mark.network
@pytest.mark.parametrize("number", [13, max(majors.USUAL)])
def test_the_oldest_and_the_newest_major_recover_to_the_newest_commit_and_to_a_time(world, walrx, fetched, number):
    bindir = fetched(majors.programs_of, number)
    primary = world.server(bindir=bindir, tools=fetched(majors.tools_of, number, bindir), conf=majors.CHEAP)
    assert primary.major == number
    primary.create_slot("arch")
    directory = world.archive()
    it = world.receive(walrx, directory, primary, "--synchronous", slot="arch", compress="zstd:1")
    it.wait_streaming(primary)
    backup = world.base / "backup"
    primary.base_backup(backup, wal="none")
    primary.fill_segments(2)
    then, at = rows(primary), primary.sql("select clock_timestamp()")
    primary.sql("select pg_sleep(0.002)")
    primary.fill_segments(1)
    primary.insert(rows=20)
    it.wait_received(primary, column="flush_lsn")
    assert it.stop() == 0
    assert_moments(world, primary, backup, walrx, directory, [
        Moment("latest", {}, rows(primary), timeline=2),
        Moment("a time", {"recovery_target_time": at}, then, timeline=2)])
