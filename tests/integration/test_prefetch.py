# SPDX-License-Identifier: PostgreSQL
"""Reading ahead for restore_command: segments are ready before a server asks, whatever happens to the helper, and
nothing of it is left."""

import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest
from harness import archive as ar
from harness import helpers
from harness.disk import unavailable
from harness.helpers import Restoring
from harness.small_disk import SmallDisk
from harness.util import clean_env, give_to_server, make_dir, run, wait_until
from harness.world import World
from test_restore_command import CODECS, recovered, recovering, rows, stopped_with_fatal

MB = 1 << 20
SEGMENTS = 30


class Scene:
    """A stopped primary's backup without WAL, and all its WAL since in archives of each codec."""

    def __init__(self, world, walrx):
        self.world = world
        self.primary = world.server()
        self.backup = world.base / "backup"
        self.archives = {}
        for name in CODECS:
            self.primary.create_slot(name)
        self.primary.base_backup(self.backup, wal="none")
        self.primary.fill_segments(SEGMENTS // 2)
        self.primary.sql("select pg_create_restore_point('middle')")
        self.primary.fill_segments(SEGMENTS // 2)
        self.rows = rows(self.primary)
        for name, compress in CODECS.items():
            self.archives[name] = world.archive(name)
            receiver = world.receive(walrx, self.archives[name], self.primary, slot=name, compress=compress)
            wait_until(lambda n=name: self.primary.sql("select restart_lsn >= pg_current_wal_flush_lsn() from "
                                                       f"pg_replication_slots where slot_name = '{n}'") == "t",
                       "everything is durable")
            assert receiver.stop() == 0

    def copy(self, name, to):
        run(["cp", "-a", self.archives[name], to])
        return to


@pytest.fixture(scope="module")
def scene(temp_root, templates, programs):
    world = World(make_dir(Path(tempfile.mkdtemp(prefix="prefetch-", dir=temp_root)) / "w", 0o755), templates)
    world.base.parent.chmod(0o755)
    try:
        yield Scene(world, programs("walrx"))
    finally:
        world.close()


def by_hand(world, walrx, directory, name, target, *options):
    return run([walrx.command[0], "restore", "-D", directory, *options, name, target], env=clean_env(world.base),
               check=False)


@pytest.mark.parametrize("codec", CODECS)
def test_segments_are_ready_before_they_are_asked_for(world, scene, walrx, codec):
    restoring = Restoring(world, walrx, scene.archives[codec])
    new = recovered(world, scene.primary, scene.backup, restoring.command)
    assert rows(new) == scene.rows
    assert len(restoring.segments()) >= SEGMENTS
    assert len(restoring.handed_over()) >= SEGMENTS // 2, restoring.record()
    helpers.wait_gone(new.wal_dir)


def test_it_can_be_turned_off(world, scene, walrx):
    restoring = Restoring(world, walrx, scene.archives["zstd"], "--prefetch=0", after="sleep 0.02; ls pg_wal >&2")
    new = recovered(world, scene.primary, scene.backup, restoring.command)
    assert rows(new) == scene.rows
    assert restoring.handed_over() == []
    assert "xlogtemp.walrx" not in new.log_path.read_text()


def test_no_more_is_ready_than_asked_for(world, scene, walrx):
    restoring = Restoring(world, walrx, scene.archives["lz4"], "--prefetch=3MB",
                          after=f"sleep 0.05; ls pg_wal | grep -c 'walrx[.][0-9a-f]*[.]' >>{world.base}/most")
    give_to_server(world.base)
    new = recovered(world, scene.primary, scene.backup, restoring.command)
    assert rows(new) == scene.rows
    assert max(map(int, (world.base / "most").read_text().split())) == 3
    helpers.wait_gone(new.wal_dir)


def pass_on(old, new):
    """new takes over from old, which goes on: three segments on a dead branch."""
    wait_until(lambda: new.sql(f"select pg_last_wal_replay_lsn() >= '{old.sql('select pg_current_wal_flush_lsn()')}'")
               == "t", "it is replayed")
    new.promote()
    old.fill_segments(3)


class Branches:
    """An archive of three timelines, with the dead ends of the first two."""

    def __init__(self, world, walrx):
        self.world = world
        self.archive = world.archive()
        self.backup = world.base / "backup"
        self.rows = {}
        self.primary = world.server()
        b = world.standby(self.primary)
        run_ = self.receive(walrx, self.primary)
        self.primary.base_backup(self.backup, wal="none")
        self.primary.fill_segments(8)
        c = world.standby(b)
        pass_on(self.primary, b)
        self.end(run_, self.primary, "1")
        run_ = self.receive(walrx, b)
        b.fill_segments(8)
        pass_on(b, c)
        self.end(run_, b, "2")
        run_ = self.receive(walrx, c)
        c.fill_segments(8)
        self.end(run_, c, "latest")

    def receive(self, walrx, server):
        run_ = self.world.receive(walrx, self.archive, server, "--synchronous", compress="zstd")
        run_.wait_streaming(server)
        return run_

    def end(self, run_, server, name):
        server.insert(rows=5)
        run_.wait_received(server, column="flush_lsn")
        self.rows[name] = rows(server)
        assert run_.stop() == 0


@pytest.fixture(scope="module")
def branches(temp_root, templates, programs):
    world = World(make_dir(Path(tempfile.mkdtemp(prefix="branches-", dir=temp_root)) / "w", 0o755), templates)
    world.base.parent.chmod(0o755)
    try:
        yield Branches(world, programs("walrx"))
    finally:
        world.close()


@pytest.mark.parametrize("target", ["latest", "2", "1"])
def test_over_timelines(world, branches, walrx, target):
    """A recovery to an older timeline is followed, too; its dead end is not given up for the newest."""
    restoring = Restoring(world, walrx, branches.archive, "--partial=always", after="sleep 0.02")
    server = recovered(world, branches.primary, branches.backup, restoring.command, recovery_target_timeline=target)
    assert rows(server) == branches.rows[target], branches.rows
    handed = restoring.handed_over()
    timelines = {"latest": [1, 2, 3], "2": [1, 2], "1": [1]}[target]
    assert {name[:8] for name in handed} == {f"{n:08X}" for n in timelines}, restoring.record()
    assert len(handed) >= len(restoring.segments()) // 2, restoring.record()
    helpers.wait_gone(server.wal_dir)


def test_helpers_are_killed_at_any_moment(world, scene, walrx, seed):
    """The result is the same, each status is right, and at the end nothing is left."""
    chance = random.Random(seed)
    restoring = Restoring(world, walrx, scene.archives["zstd"], "--prefetch=4MB", after="sleep 0.02")
    new = recovering(world, scene.primary, scene.backup, restoring.command, wait=False)
    killed = 0
    end = time.monotonic() + 60
    while time.monotonic() < end and "archive recovery complete" not in new.log_path.read_text():
        for pid in helpers.alive(new.wal_dir):
            time.sleep(chance.random() * 0.06)
            try:
                os.kill(pid, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                pass
    wait_until(new.ready, "it is up", 60)
    assert rows(new) == scene.rows
    assert killed >= 5, killed
    assert {status for _, status, _ in restoring.record()} <= {0, 1}
    assert restoring.handed_over()
    helpers.wait_gone(new.wal_dir)


def spoil(path, how, other):
    """The file is not what it was made to be; times are kept, as a copy of a folder keeps them."""
    status = path.stat()
    if how == "truncated":
        os.truncate(path, status.st_size // 2)
    elif how == "zeros":
        path.write_bytes(bytes(status.st_size))
    elif how == "other":
        path.unlink()
        path.write_bytes(other)
    elif how == "copied":
        copy = path.with_suffix(".copy")
        shutil.copy2(path, copy)
        with open(copy, "r+b") as file:
            file.write(bytes(8192))
        path.unlink()
        copy.rename(path)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif how == "link":
        path.rename(path.with_suffix(".real"))
        path.symlink_to(path.with_suffix(".real").name)
    if path.exists() and not path.is_symlink():
        give_to_server(path)


@pytest.mark.parametrize("how", ["truncated", "zeros", "other", "copied", "link"])
def test_what_was_changed_since_is_not_handed_out(world, scene, walrx, how):
    directory = scene.archives["zstd"]
    wal = make_dir(make_dir(world.base / "place") / "pg_wal")
    names = list(ar.segments(directory))
    assert by_hand(world, walrx, directory, names[0], wal / "X", "--prefetch=6MB").returncode == 0
    wait_until(lambda: len(helpers.ready(wal)) == 6, "six are ready")
    helpers.kill(wal)
    for name in names[1:7]:
        spoil(next(wal.glob(f"xlogtemp.walrx.*.{name}")), how, (scene.primary.wal_dir / names[0]).read_bytes())
        assert by_hand(world, walrx, directory, name, wal / "X", "--prefetch=6MB").returncode == 0
        assert (wal / "X").read_bytes() == ar.content(ar.segments(directory)[name]), name
        helpers.kill(wal)
    assert by_hand(world, walrx, directory, "00000009.history", wal / "X", "--prefetch=6MB").returncode == 1
    assert [n for n in helpers.left(wal) if not n.endswith(".real")] == []


def test_what_belongs_to_another_archive_is_not_handed_out(world, scene, walrx):
    """The same names and the same system, but an archive that is older or elsewhere."""
    first, second = scene.copy("zstd", world.base / "first"), scene.copy("zstd", world.base / "second")
    names = list(ar.segments(first))
    wal = make_dir(make_dir(world.base / "place") / "pg_wal")

    def handed_over(directory, name):
        """While the file is open, no other one gets its number."""
        with open(next(wal.glob(f"xlogtemp.walrx.*.{name}")), "rb") as ready:
            assert by_hand(world, walrx, directory, name, wal / "X", "--prefetch=4MB").returncode == 0
            return os.fstat(ready.fileno()).st_ino == (wal / "X").stat().st_ino
    assert by_hand(world, walrx, first, names[0], wal / "X", "--prefetch=4MB").returncode == 0
    wait_until(lambda: len(helpers.ready(wal)) == 4, "four are ready")
    # An older form of the archive comes back in place: same name, same size, another file.
    path = ar.segments(first)[names[1]]
    run(["cp", "-a", path, path.with_suffix(".new")])
    path.with_suffix(".new").rename(path)
    assert not handed_over(first, names[1])
    wait_until(lambda: names[2] in helpers.ready(wal), "the next is ready")
    assert not handed_over(second, names[2])
    wait_until(lambda: not helpers.alive(wal), "the helper of the first archive gives way")
    assert by_hand(world, walrx, second, names[3], wal / "X", "--prefetch=4MB").returncode == 0
    wait_until(lambda: names[4] in helpers.ready(wal), "the next is ready")
    assert handed_over(second, names[4])
    helpers.wait_gone(wal, 15)  # nobody asks any more


def test_a_damaged_segment_stops_recovery_where_it_is(world, scene, walrx):
    directory = scene.copy("zstd", world.base / "copy")
    path = list(ar.segments(directory).values())[SEGMENTS // 2]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    restoring = Restoring(world, walrx, directory)
    new = recovering(world, scene.primary, scene.backup, restoring.command, wait=False)
    stopped_with_fatal(new, f'{path}" is damaged: ', "child process exited with exit code 201")
    assert restoring.segments()[-1] < path.name[:24]
    assert restoring.record()[-1][:2] == (path.name[:24], 201)
    helpers.wait_gone(new.wal_dir)


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
def test_a_server_that_stops_leaves_no_helper(world, scene, walrx, mode):
    restoring = Restoring(world, walrx, scene.archives["zstd"], "--prefetch=8MB", after="sleep 0.2")
    new = recovering(world, scene.primary, scene.backup, restoring.command, wait=False)
    wait_until(lambda: len(helpers.ready(new.wal_dir)) >= 4, "some are ready")
    assert helpers.alive(new.wal_dir)
    if mode == "kill":
        os.kill(new.process.pid, signal.SIGKILL)
        new.process.wait(30)
        new.process = None
    else:
        new.stop(mode)
    helpers.wait_gone(new.wal_dir, 3)


def test_nothing_is_left_after_recovery_to_a_point(world, scene, walrx):
    """Segments beyond the point are ready when it ends."""
    restoring = Restoring(world, walrx, scene.archives["lz4"], "--prefetch=8MB", after="sleep 0.05")
    new = recovered(world, scene.primary, scene.backup, restoring.command, recovery_target_name="middle",
                    recovery_target_action="promote")
    assert 0 < rows(new) < scene.rows
    assert restoring.handed_over()
    helpers.wait_gone(new.wal_dir, 3)


def test_a_standby_that_waits_has_no_helper(world, scene, walrx):
    """It asks for the next segment ten times a second."""
    restoring = Restoring(world, walrx, scene.archives["zstd"], "--partial=never")
    new = recovering(world, scene.primary, scene.backup, restoring.command, "standby.signal", hot_standby="on")
    last = list(ar.segments(scene.archives["zstd"]))[-1]
    wait_until(lambda: last in restoring.segments(), "all is replayed")
    helpers.wait_gone(new.wal_dir)
    calls = len(restoring.record())
    time.sleep(1)
    assert len(restoring.record()) >= calls + 3
    assert not helpers.alive(new.wal_dir)
    new.promote()
    helpers.wait_gone(new.wal_dir)


@pytest.fixture
def disk(world):
    if unavailable("ext4") is not None:
        pytest.skip(unavailable("ext4"))
    made = SmallDisk(world.base, 64)
    yield made
    for server in world.servers:
        server.cleanup()
    made.close()


def test_a_disk_that_has_room_for_the_server_alone_is_enough(world, scene, walrx, disk):
    """pg_wal lies on it. The server keeps what was restored."""
    restoring = Restoring(world, walrx, scene.archives["zstd"], "--prefetch=10MB", after="sleep 0.05")
    new = recovering(world, scene.primary, scene.backup, "false", wait=False)
    wait_until(lambda: new.process.poll() is not None, "it ends without WAL", 60)
    new.process = None
    wal = disk.make_dir("pg_wal")
    shutil.rmtree(new.data / "pg_wal")
    (new.data / "pg_wal").symlink_to(wal)
    make_dir(wal / "archive_status")
    disk.leave_free((SEGMENTS + 5) * MB)
    new.configure(restore_command=restoring.command, checkpoint_timeout="1h", max_wal_size="1GB", min_wal_size="2MB")
    new.start(wait=False)
    wait_until(lambda: len(helpers.ready(wal)) == 10, "ten are ready")
    wait_until(new.ready, "it is up", 60)
    wait_until(lambda: new.sql("select pg_is_in_recovery()") == "f", "the end of recovery", 60)
    assert rows(new) == scene.rows
    assert disk.free() < 10 * MB
    helpers.wait_gone(wal)


def test_what_a_killed_helper_has_left_makes_room(world, scene, walrx, disk):
    directory = scene.archives["zstd"]
    names = list(ar.segments(directory))
    wal = disk.make_dir("pg_wal")
    assert by_hand(world, walrx, directory, names[0], wal / "X", "--prefetch=8MB").returncode == 0
    wait_until(lambda: len(helpers.ready(wal)) == 8, "eight are ready")
    helpers.kill(wal)
    disk.leave_free(MB // 2)
    assert by_hand(world, walrx, directory, names[20], wal / "X", "--prefetch=0").returncode == 200
    assert len(helpers.ready(wal)) == 8
    assert by_hand(world, walrx, directory, names[20], wal / "X", "--prefetch=8MB").returncode == 0
    assert helpers.left(wal) == []
