# SPDX-License-Identifier: PostgreSQL
"""`walrx restore` as the restore_command of real servers: what is there is restored, what is not ends recovery,
and trouble stops it."""

import shlex
import tempfile
from pathlib import Path

import pytest
from harness import archive as ar
from harness.postgres import Postgres, copy_cluster
from harness.util import clean_env, lsn, make_dir, run, stays_true, wait_until
from harness.world import World

CODECS = {"raw": None, "gzip": "gzip:1", "lz4": "lz4", "zstd": "zstd:1"}


def command(walrx, directory, *options):
    words = [str(walrx.command[0]), "restore", "-D", str(directory), *options]
    return " ".join(shlex.quote(word) for word in words) + " %f %p"


def recovering(world, primary, backup, restore_command, signal_file="recovery.signal", wait=True, **settings):
    """A server that recovers from a copy of the backup; started."""
    server = Postgres(world.base, f"new{len(world.servers)}", world.templates, segsize_mb=primary.segsize >> 20,
                      data_from=lambda data: copy_cluster(backup, data))
    world.servers.append(server)
    server.recover(signal_file, restore_command=restore_command, wal_retrieve_retry_interval="100ms", **settings)
    return server.start(wait)


def recovered(*args, **settings):
    server = recovering(*args, **settings)
    wait_until(lambda: server.sql("select pg_is_in_recovery()") == "f", "the end of recovery", 60)
    return server


def rows(server):
    return server.number("select count(*) from load")


def newest(directory):
    return list(ar.segments(directory).values())[-1]


def stopped_with_fatal(server, *words):
    wait_until(lambda: server.process.poll() is not None, "the server ends", 60)
    log = server.log_path.read_text()
    assert server.process.returncode != 0
    assert "FATAL:  could not restore file" in log and "database system is ready to accept connections" not in log
    for word in words:
        assert word in log, log
    server.process = None


class Scene:
    """A primary, its backup without WAL, and what receivers with each codec have archived since."""

    def __init__(self, world, walrx):
        self.world = world
        self.primary = world.server()
        self.archives = {}
        self.receivers = {}
        for name, compress in CODECS.items():
            self.primary.create_slot(name)
            self.archives[name] = world.archive(name)
            self.receivers[name] = world.receive(walrx, self.archives[name], self.primary, slot=name, compress=compress)
        for run_ in self.receivers.values():
            run_.wait_streaming(self.primary)
        self.backup = world.base / "backup"
        self.primary.base_backup(self.backup, wal="none")
        self.primary.fill_segments(4)
        self.primary.insert(rows=20)
        self.rows = rows(self.primary)
        for name, run_ in self.receivers.items():
            wait_until(lambda n=name: self.primary.sql(
                f"select restart_lsn >= pg_current_wal_flush_lsn() from pg_replication_slots where slot_name = '{n}'")
                == "t", "everything is durable")
            if name != "raw":
                assert run_.stop() == 0

    def copy(self, name, to):
        run(["cp", "-a", self.archives[name], to])
        return to


@pytest.fixture(scope="module")
def scene(temp_root, templates, programs):
    world = World(make_dir(Path(tempfile.mkdtemp(prefix="restore-command-", dir=temp_root)) / "w", 0o755), templates)
    world.base.parent.chmod(0o755)
    try:
        yield Scene(world, programs("walrx"))
    finally:
        world.close()


@pytest.mark.parametrize("codec", CODECS)
def test_the_newest_commit_is_restored(world, scene, walrx, codec):
    """The receiver of the raw archive still runs, and the primary too."""
    directory = scene.archives[codec]
    assert {p.suffix for p in ar.segments(directory).values()} == {ar.suffix_of(CODECS[codec])}
    assert len(ar.partials(directory)) == 1
    before = ar.tree(directory) if codec != "raw" else None
    new = recovered(world, scene.primary, scene.backup, command(walrx, directory))
    assert rows(new) == scene.rows
    assert new.timeline() == 2
    assert before is None or ar.tree(directory) == before
    assert not [p.name for p in new.wal_dir.iterdir() if "walrx" in p.name]


def test_without_the_partial_the_open_segment_is_missing(world, scene, walrx):
    new = recovered(world, scene.primary, scene.backup, command(walrx, scene.archives["lz4"], "--partial=never"))
    assert 0 < rows(new) < scene.rows


def test_a_missing_segment_is_the_end_of_recovery(world, scene, walrx):
    directory = scene.copy("zstd", world.base / "copy")
    newest(directory).unlink()
    ar.partials(directory)[0].unlink()
    new = recovered(world, scene.primary, scene.backup, command(walrx, directory))
    assert 0 < rows(new) < scene.rows


@pytest.mark.parametrize("codec", ["raw", "gzip"])
def test_a_damaged_segment_stops_recovery(world, scene, walrx, codec):
    directory = scene.copy(codec, world.base / "copy")
    path = newest(directory)
    data = bytearray(path.read_bytes())
    data[len(data) // 50] ^= 0x10  # the rest of a raw one may lie behind a switch
    path.write_bytes(data)
    new = recovering(world, scene.primary, scene.backup, command(walrx, directory), wait=False)
    stopped_with_fatal(new, f'{path}" is damaged: ', "child process exited with exit code 201")
    assert "starting archive recovery" in new.log_path.read_text()


@pytest.mark.parametrize("what", ["segment", "partial", "directory", "disk"])
def test_an_archive_that_cannot_be_read_stops_recovery(world, scene, walrx, what):
    """Also where it is only the open segment: its commits were acknowledged."""
    directory = scene.copy("raw", world.base / "copy")
    if what == "segment":
        newest(directory).chmod(0)
    elif what == "partial":
        ar.partials(directory)[0].chmod(0)
    elif what == "directory":
        directory.chmod(0)
    else:
        directory.rename(world.base / "unmounted")
        make_dir(directory)
    new = recovering(world, scene.primary, scene.backup, command(walrx, directory), wait=False)
    stopped_with_fatal(new, "no WAL of any cluster" if what == "disk" else "Permission denied", "exit code 200")


def test_a_wrong_option_or_archive_stops_recovery(world, scene, walrx):
    new = recovering(world, scene.primary, scene.backup, command(walrx, scene.archives["raw"], "--bogus"), wait=False)
    stopped_with_fatal(new, 'unrecognized option "--bogus"', "exit code 202")
    other = world.server(name="other", fresh=True)
    directory = world.archive()
    run_ = world.receive(walrx, directory, other, "--synchronous")
    run_.wait_streaming(other)
    new = recovering(world, scene.primary, scene.backup, command(walrx, directory), wait=False)
    stopped_with_fatal(new, "belongs to another cluster", "exit code 201")


@pytest.mark.receivers("walrx")
def test_a_chain_of_timelines_is_restored(world, receiver):
    """The old primary goes on after the standby has been promoted: what it wrote is on no branch that counts."""
    a = world.server()
    a.create_slot("arch")
    old, directory = world.archive(), world.archive()
    b = world.standby(a)
    run_ = world.receive(receiver, old, a, "--synchronous", slot="arch")
    run_.wait_streaming(a)
    backup = world.base / "backup"
    a.base_backup(backup, wal="none")
    a.fill_segments(1)
    a.insert(rows=20)
    wait_until(lambda: b.sql(f"select pg_last_wal_replay_lsn() >= '{a.sql('select pg_current_wal_flush_lsn()')}'") == "t",
               "the standby has everything")
    b.promote()
    a.insert(rows=7)  # dead
    run_.wait_received(a, column="flush_lsn")
    assert run_.stop() == 0
    a.stop("immediate")
    assert len(ar.partials(old)) == 1
    b.insert(rows=20)
    want = rows(b)
    run(["cp", "-a", f"{old}/.", directory])
    run_ = world.receive(receiver, directory, b, "--synchronous")
    run_.wait_streaming(b)
    run_.wait_received(b, column="flush_lsn")
    assert run_.stop() == 0
    assert [p.name[:8] for p in ar.partials(directory)] == ["00000001", "00000002"]
    new = recovered(world, a, backup, command(receiver, directory), recovery_target_timeline="latest")
    assert rows(new) == want
    assert new.timeline() == 3
    # The newer branch is known, but its WAL is lost: nothing of the dead one takes its place.
    ar.partials(directory)[1].unlink()
    new = recovered(world, a, backup, command(receiver, directory), recovery_target_timeline="2")
    assert rows(new) == want - 20
    assert "left timeline 1" in new.log_path.read_text()
    # Who wants the dead branch can have it.
    new = recovered(world, a, backup, command(receiver, directory, "--partial=always"), recovery_target_timeline="1")
    assert rows(new) == want - 20 + 7


def test_a_standby_gets_no_partial_while_the_receiver_lives(world, walrx):
    primary = world.server()
    primary.create_slot("arch")
    directory = world.archive()
    run_ = world.receive(walrx, directory, primary, "--synchronous", slot="arch", compress="lz4")
    run_.wait_streaming(primary)
    backup = world.base / "backup"
    primary.base_backup(backup, wal="none")
    primary.fill_segments(2)
    complete = rows(primary)
    standby = recovering(world, primary, backup, command(walrx, directory), "standby.signal", hot_standby="on")
    wait_until(lambda: rows(standby) == complete, "the standby follows")
    primary.insert(rows=20)
    run_.wait_received(primary, column="flush_lsn")
    partial = ar.partials(directory)[0].name
    stays_true(lambda: rows(standby) == complete, "the standby waits", 1.5)
    assert f'restored log file "{partial[:24]}"' not in standby.log_path.read_text()
    primary.fill_segments(1)
    wait_until(lambda: rows(standby) == rows(primary), "the standby follows")
    primary.insert(rows=20)
    run_.wait_received(primary, column="flush_lsn")
    want = rows(primary)
    assert run_.stop() == 0
    wait_until(lambda: rows(standby) == want, "the standby has the open segment's commits, too")
    run_.start()  # and nothing is lost when one comes back
    primary.fill_segments(2)
    primary.insert(rows=20)
    run_.wait_received(primary, column="flush_lsn")
    assert run_.stop() == 0
    want = rows(primary)
    wait_until(lambda: rows(standby) == want, "the standby goes on")
    standby.promote()
    assert rows(standby) == want


def test_what_a_live_receiver_has_not_written_yet_is_waited_for(world, scene, walrx):
    """It is not synchronous: what has just arrived is in its memory, for a second at most."""
    target = make_dir(world.base / "pg_wal") / "RECOVERYXLOG"
    primary, run_ = scene.primary, scene.receivers["raw"]
    for _ in range(3):
        primary.sql("create table if not exists later(n int); insert into later values (1)")
        name, end = primary.segment(), primary.flush_lsn()
        wait_until(lambda e=end: lsn(primary.sender("sent_lsn")[0]) >= e, "it is sent", interval=0.001)
        assert run_.running()
        run([walrx.command[0], "restore", "-D", scene.archives["raw"], name, target], env=clean_env(world.base))
        length = end % primary.segsize
        assert length > 0
        assert target.read_bytes()[:length] == (primary.wal_dir / name).read_bytes()[:length]


def test_by_hand(world, scene, walrx):
    """What an administrator sees."""
    target = make_dir(world.base / "pg_wal") / "RECOVERYXLOG"

    def call(*args):
        return run([walrx.command[0], "restore", "-D", scene.archives["gzip"], *args], env=clean_env(world.base),
                   check=False)
    name = next(iter(ar.segments(scene.archives["gzip"])))
    done = call(name, target)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert target.stat().st_size == scene.primary.segsize
    done = call("00000002.history", target)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    partial = ar.partials(scene.archives["gzip"])[0].name
    assert call("--partial=never", partial, target).returncode == 0
    assert target.stat().st_size == scene.primary.segsize
    assert call(name, target, target).returncode == 202
    assert call(f"../{scene.archives['raw'].name}/{name}", target).returncode == 202
