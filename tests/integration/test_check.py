# SPDX-License-Identifier: PostgreSQL
"""`walrx check` beside real servers: idle is OK without options; what goes wrong is told, and over again."""

import re
import signal
import time

import pytest
from harness.disk import unavailable
from harness.small_disk import SmallDisk
from harness.util import clean_env, run, wait_until

OK, WARNING, CRITICAL, UNKNOWN = range(4)
MB = 1 << 20
# The disk of whoever runs the tests is not what is tested.
NO_DISK = ("-w", "free-disk=off", "-c", "free-disk=off")


def check(world, walrx, directory, *args):
    done = run([walrx.command[0], "check", "-D", directory, *args], env=clean_env(world.base), check=False)
    assert done.stderr == "" and done.stdout.count("\n") == 1, done
    return done.returncode, done.stdout


def wait_for(world, walrx, directory, code, words, *args, seconds=20):
    def seen():
        found = check(world, walrx, directory, *NO_DISK, *args)
        return found if found[0] == code and re.search(words, found[1]) else None
    return wait_until(seen, f"status {code}: {words}", seconds)[1]


def begin(world, walrx, *args, **conf):
    server = world.server(conf=conf)
    server.create_slot("arch")
    directory = world.archive()
    it = world.receive(walrx, directory, server, *args, slot="arch")
    it.wait_streaming(server)
    return server, directory, it


def test_idle_is_ok_without_options(world, walrx):
    """Nobody writes for longer than the timeouts: the server is asked, and there is no alarm."""
    server, directory, it = begin(world, walrx, "--status-interval=1s", "--receive-timeout=6s")
    server.insert()
    it.wait_received(server, column="flush_lsn")
    wait_for(world, walrx, directory, OK, "durable WAL is 0 bytes and 0 s behind")
    end = time.monotonic() + 9
    while time.monotonic() < end:
        code, line = check(world, walrx, directory, *NO_DISK)
        assert code == OK, line
        age = float(re.search(r"message-age=([0-9.]+)s;", line)[1])
        assert age < 6, line
        time.sleep(0.5)
    assert re.search(r"free-disk=[1-9]\d*B;;;0", line)
    assert it.stop() == 0
    assert "with exit status 0" in wait_for(world, walrx, directory, CRITICAL, "does not run")


def test_an_archive_where_none_ran_is_unknown(world, walrx):
    assert check(world, walrx, world.archive())[0] == UNKNOWN


def test_lag_warns_and_passes(world, walrx):
    """A flush that is put off for 4 s."""
    server, directory, it = begin(world, walrx, "--flush-interval=4s")
    limits = ("-w", "flushed-lag=64kB,flushed-lag-time=off", "-c", "flushed-lag-time=1s")
    wait_for(world, walrx, directory, OK, "streaming", *limits)
    server.insert(rows=2000)
    wait_for(world, walrx, directory, WARNING, r"flushed-lag is \d+\.\d kB, more than 64\.0 kB", *limits)
    wait_for(world, walrx, directory, CRITICAL, r"flushed-lag-time is \d\.\d s, more than 1\.0 s", *limits)
    wait_for(world, walrx, directory, OK, "durable WAL is 0 bytes", *limits)
    assert it.stop() == 0


def test_a_killed_primary_warns_then_is_critical_then_well(world, walrx):
    server, directory, it = begin(world, walrx, "--status-interval=1s")
    wait_for(world, walrx, directory, OK, "streaming")
    server.stop("immediate")
    limits = ("-c", "message-age=4s")
    line = wait_for(world, walrx, directory, WARNING, "no WAL is received: the connection is gone, since", *limits)
    assert "last error" in line
    wait_for(world, walrx, directory, CRITICAL, "no WAL is received", *limits)
    server.start()
    wait_for(world, walrx, directory, OK, "streaming", seconds=60)
    assert it.stop() == 0


def test_a_killed_receiver_is_critical(world, walrx):
    server, directory, it = begin(world, walrx)
    wait_for(world, walrx, directory, OK, "streaming")
    it.kill9()
    code, line = check(world, walrx, directory)
    assert code == CRITICAL and "it was killed, last seen" in line and "|" not in line


def test_a_stopped_receiver_is_told_by_its_old_state(world, walrx):
    server, directory, it = begin(world, walrx, "--status-interval=1s")
    wait_for(world, walrx, directory, OK, "streaming")
    it.process.send_signal(signal.SIGSTOP)
    wait_for(world, walrx, directory, WARNING, "has not written its state for")
    wait_for(world, walrx, directory, CRITICAL, "has not written its state for")
    it.process.send_signal(signal.SIGCONT)
    wait_for(world, walrx, directory, OK, "streaming")
    assert it.stop() == 0


@pytest.fixture
def disk(world):
    if unavailable("ext4") is not None:
        pytest.skip(unavailable("ext4"))
    made = SmallDisk(world.base, 64)
    yield made
    for receiver in world.receivers:
        receiver.cleanup()
    made.close()


def test_a_pause_for_room_is_critical(world, walrx, disk):
    """Also where the ring has room for what comes, and the connection stands."""
    server = world.server()
    server.create_slot("arch")
    it = world.receive(walrx, disk.archive, server, slot="arch")
    it.wait_streaming(server)
    server.fill_segments(1)
    it.wait_received(server)
    wait_for(world, walrx, disk.archive, OK, "streaming")
    code, line = check(world, walrx, disk.archive)
    assert code == CRITICAL and "free-disk is" in line and "less than 512.0 MB" in line
    # The limit is two segments of 1 MB.
    disk.leave_free(3 * MB)
    server.fill_segments(3)
    wait_for(world, walrx, disk.archive, CRITICAL, "receiving is paused: no room on the archive's disk")
    status = run([walrx.command[0], "status", "-D", disk.archive], env=clean_env(world.base)).stdout
    assert "PAUSED until there is room on the disk" in status and ", of which 2.0 MB stay free" in status
    disk.make_room()
    wait_for(world, walrx, disk.archive, OK, "streaming", seconds=40)
    assert it.stop() == 0
