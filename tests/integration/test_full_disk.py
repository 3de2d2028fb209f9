# SPDX-License-Identifier: PostgreSQL
"""A disk that fills up, and one that fails: what was acknowledged is there, nothing else is said."""

import os
import re
import signal
import socket
import time

import pytest
from harness import archive as ar
from harness.disk import unavailable
from harness.small_disk import SmallDisk
from harness.util import lsn, lsn_text, stays_true, wait_until
from harness.util import run as run_program

MB = 1 << 20
# That the state could not be written is told on its own.
PAUSED = r"are free on the filesystem of|(?<!state\.json\.next\": )No space left on device"
RESUMED = "there is room again"


@pytest.fixture
def disk(world):
    if unavailable("ext4") is not None:
        pytest.skip(unavailable("ext4"))
    made = SmallDisk(world.base, 64)
    yield made
    for receiver in world.receivers:
        receiver.cleanup()
    made.close()


def begin(world, program, disk, *args, **options):
    """A server that gives silent receivers up after 3 s, and a receiver on the small disk."""
    server = world.server(conf={"wal_sender_timeout": "3s"})
    server.create_slot("arch")
    run = world.receive(program, disk.archive, server, *args, slot="arch", **options)
    run.wait_streaming(server)
    server.fill_segments(1)
    run.wait_received(server)
    return server, run


def write_wal(server, megabytes):
    """At once, and nothing that can be compressed."""
    server.sql("select pg_logical_emit_message(true, 'x', (select string_agg(md5(random()::text || g), '') "
               f"from generate_series(1, {megabytes << 15}) g))")


def pid_of(server):
    return server.sender("pid")


def told(run, pattern):
    return len(re.findall(pattern, run.log()))


def expect_all(server, run, disk):
    """What was held back has come, over the same connection; nothing was told twice."""
    last = server.switch()
    server.insert()
    run.wait_received(server, column="flush_lsn")
    ar.wait_complete(disk.archive, last, ar.suffix_of(run_compress(run)))
    ar.assert_equals_primary(disk.archive, server, last=last)
    assert told(run, PAUSED) == 1 and told(run, RESUMED) == 1, run.log()
    assert "terminating walsender" not in server.log_tail(400)


def run_compress(run):
    return run.argv[run.argv.index("-Z") + 1] if "-Z" in run.argv else None


@pytest.mark.parametrize("compress", [None, "lz4"])
def test_pause_before_the_disk_is_full(world, walrx, disk, compress):
    """Two segments stay free; the connection outlives wal_sender_timeout, with WAL in the socket that
    nobody reads and the server's requests behind it; it goes on by itself."""
    server, run = begin(world, walrx, disk, "--memory=8MB", compress=compress)
    pid = pid_of(server)
    disk.leave_free(6 * MB)
    write_wal(server, 30)
    run.wait_log(PAUSED)
    wait_until(lambda: server.sender("flush_lsn") == server.sender("write_lsn"), "all is durable that can be")
    flushed = server.sender("flush_lsn")
    # Megabytes lie in the ring, in the sockets and, where those are not larger still, on the server.
    assert lsn(flushed[0]) + 8 * MB < lsn(server.sql("select pg_current_wal_flush_lsn()"))
    stays_true(lambda: pid_of(server) == pid and disk.free() >= 2 * MB, "connected, with 2 MB free", 4.5)
    assert server.sender("flush_lsn") == flushed
    assert told(run, PAUSED) == 1 and told(run, RESUMED) == 0
    disk.make_room()
    run.wait_log(RESUMED)
    expect_all(server, run, disk)
    assert pid_of(server) == pid
    assert run.stop() == 0


def test_service_manager_sees_the_pause(world, walrx, disk):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(world.base / "notify"))
        os.chmod(world.base / "notify", 0o777)
        manager.settimeout(20)
        server, run = begin(world, walrx, disk, NOTIFY_SOCKET=world.base / "notify")
        if "READY=1" not in manager.recv(4096).decode():
            pytest.skip("built without libsystemd")
        disk.leave_free(4 * MB)
        write_wal(server, 5)
        for expected in ("paused, no room on the filesystem of", "streaming timeline 1 from"):
            while "STATUS=" + expected not in manager.recv(4096).decode():
                pass
            disk.ballast.unlink(missing_ok=True)
        run.wait_log(RESUMED)
        assert run.stop() == 0


@pytest.mark.parametrize("compress", [None, "lz4"])
def test_full_disk_in_spite_of_the_limit(world, walrx, disk, compress):
    """Another program takes the last block: nothing is lost, and it goes on by itself."""
    server, run = begin(world, walrx, disk, "--min-free=0", compress=compress)
    pid = pid_of(server)
    disk.fill()
    write_wal(server, 6)
    run.wait_log("No space left on device")
    stays_true(lambda: pid_of(server) == pid, "connected", 1)
    disk.make_room()
    run.wait_log(RESUMED)
    expect_all(server, run, disk)
    assert pid_of(server) == pid
    assert not list((disk.archive / ".walrx").glob("*.lz4.tmp"))
    assert run.stop() == 0


@pytest.mark.receivers("walrx", "front")
def test_stop_during_the_pause(world, receiver, disk):
    """It ends at once with status 0; what was acknowledged is there; a later run has the rest."""
    server, run = begin(world, receiver, disk)
    disk.leave_free(4 * MB)
    write_wal(server, 5)
    run.wait_log(PAUSED)
    began = time.monotonic()
    assert run.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < 4
    acknowledged = lsn(server.slot("arch"))
    complete = ar.segments(disk.archive)
    assert acknowledged <= (ar.segment_number(max(complete), MB) + 1) * MB
    ar.assert_equals_primary(disk.archive, server)
    disk.make_room()
    run.start()
    run.wait_received(server, column="flush_lsn")
    ar.assert_equals_primary(disk.archive, server, last=max(complete))
    assert run.stop(signal.SIGTERM) == 0


def test_start_on_a_full_disk_waits(world, walrx, disk):
    """A new archive: nothing can be made, which is told once; then it begins."""
    server = world.server()
    server.create_slot("arch")
    disk.fill()
    run = world.receive(walrx, disk.archive, server, "--log-format=json", slot="arch")
    run.wait_log("No space left on device")
    stays_true(run.running, "it waits", 2)
    assert told(run, "No space left on device") == 1
    disk.make_room()
    run.wait_streaming(server)
    server.fill_segments(1)
    run.wait_received(server, column="flush_lsn")
    assert run.stop() == 0
    assert {line["level"] for line in run.json_lines()} <= {"info", "warning"}


def test_server_goes_away_during_the_pause(world, walrx, disk):
    """The ring's WAL is dropped and asked for again; the pause is not told again."""
    server, run = begin(world, walrx, disk)
    disk.leave_free(4 * MB)
    write_wal(server, 5)
    run.wait_log(PAUSED)
    server.stop("immediate")
    server.start()
    run.wait_streaming(server)
    wait_until(lambda: server.sender("sent_lsn")[0] == server.sql("select pg_current_wal_lsn()"), "all is sent")
    disk.make_room()
    run.wait_log(RESUMED)
    expect_all(server, run, disk)
    assert run.stop() == 0


def test_end_position_is_waited_for(world, walrx, disk):
    """The end position counts once it is in the archive."""
    server, run = begin(world, walrx, disk)
    assert run.stop() == 0
    disk.leave_free(4 * MB)
    write_wal(server, 5)
    goal = server.sql("select pg_current_wal_flush_lsn()")
    ending = world.receive(walrx, disk.archive, server, "-E", goal, slot="arch")
    ending.wait_log(PAUSED + "|no room")
    stays_true(ending.running, "it waits", 1)
    disk.make_room()
    assert ending.wait(60) == 0
    ar.assert_equals_primary(disk.archive, server)
    disk.leave_free(1 * MB)
    write_wal(server, 3)
    goal = server.sql("select pg_current_wal_flush_lsn()")
    refused = world.receive(walrx, disk.archive, server, "-n", "-E", goal, slot="arch")
    assert refused.wait(30) == 3
    assert "there is no room on the filesystem" in refused.log()


def test_bench_does_not_fill_the_disk(world, walrx, disk, bin_dir):
    server = world.server()
    begin_at = server.sql("select pg_current_wal_flush_lsn()")
    disk.leave_free(2 * MB)
    write_wal(server, 4)
    done = run_program([bin_dir / "walrx", "bench", "--sink=disk", "-D", disk.archive, "--from", begin_at,
                        "-d", server.conninfo(), "--duration=20s"], env=server.env, check=False)
    assert done.returncode == 3, done.stderr
    assert "on the filesystem of" in done.stderr
    assert not list(disk.archive.iterdir())


@pytest.mark.parametrize("synchronous", [False, True])
def test_failing_disk_ends_with_status_3(world, walrx, disk, synchronous):
    """Reads, writes and syncs end with EIO: nothing is acknowledged that is not there afterwards."""
    args = ["--synchronous"] if synchronous else []
    server, run = begin(world, walrx, disk, *args)
    for _ in range(5):
        server.insert(rows=20)
    disk.cut()
    server.insert(rows=200)
    assert run.wait(20) == 3
    assert "Input/output error" in run.log()
    acknowledged = lsn(server.slot("arch"))
    disk.remount()
    name = server.segment(lsn_text(acknowledged - 1))
    path = disk.archive / name
    if not path.exists():
        path = disk.archive / (name + ".partial")
    length = (acknowledged - 1) % MB + 1
    ar.assert_same_bytes(name, path.read_bytes()[:length], (server.wal_dir / name).read_bytes()[:length])
    run.start()
    run.wait_received(server, column="flush_lsn")
    ar.assert_equals_primary(disk.archive, server)
    assert run.stop() == 0
