# SPDX-License-Identifier: PostgreSQL
"""Start, stop, end position, reconnect, time-outs, configuration file."""

import json
import os
import re
import signal
import time

import pytest
from harness import archive as ar
from harness.receiver import Receiver, run_receiver
from harness.util import free_port, lsn, lsn_text, stays_true, wait_until, write_file


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_clean_stop_reports_what_is_durable(world, receiver, sig):
    if not receiver.is_walrx and sig == signal.SIGTERM:
        pytest.skip("pg_receivewal 15 does not handle SIGTERM")
    server = world.server()
    server.create_slot("arch")
    directory = world.archive()
    args = ["--flush-interval=1h"] if receiver.is_walrx else []
    run = world.receive(receiver, directory, server, *args, slot="arch")
    run.wait_streaming(server)
    server.insert(rows=50)
    run.wait_received(server)
    upto = server.flush_lsn()
    began = time.monotonic()
    assert run.stop(sig) == 0
    assert time.monotonic() - began < 5
    ar.assert_partial(directory, server, upto)
    wait_until(lambda: server.sender("pid") is None, "the walsender is gone")
    if receiver.is_walrx:
        assert lsn(server.slot("arch")) == upto


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_stop_while_the_server_is_away(world, walrx, sig):
    """The pause between two tries must not hold the end up."""
    run = world.receive(walrx, world.archive(), f"host=127.0.0.1 port={free_port()} user=postgres")
    run.wait_log("could not connect|connection to server|refused")
    began = time.monotonic()
    assert run.stop(sig) == 0
    assert time.monotonic() - began < 3


@pytest.mark.receivers("walrx", "front", "pg_receivewal")
def test_end_position(world, receiver):
    server = world.server()
    server.create_slot("arch")
    server.fill_segments(2)
    server.insert(rows=20)
    goal = server.sql("select pg_current_wal_flush_lsn()")
    server.insert(rows=5)
    directory = world.archive()
    run = world.receive(receiver, directory, server, "-n", "-E", goal, slot="arch")
    assert run.wait(20) == 0
    ar.assert_partial(directory, server, lsn(goal))
    assert len(ar.segments(directory)) >= 2


def test_end_position_already_in_the_archive(world, receiver):
    """A second run to the same end position ends as well, and changes nothing."""
    server = world.server()
    server.create_slot("arch")
    server.fill_segments(1)
    server.insert(rows=20)
    goal = server.sql("select pg_current_wal_flush_lsn()")
    server.insert(rows=5)
    directory = world.archive()
    for _ in range(2):
        run = world.receive(receiver, directory, server, "-n", "-E", goal, slot="arch")
        assert run.wait(20) == 0
        ar.assert_partial(directory, server, lsn(goal))


def test_end_position_at_a_segment_boundary(world, receiver):
    """Everything before the boundary is complete."""
    server = world.server()
    server.create_slot("arch")
    server.fill_segments(1)
    last = server.switch()
    goal = lsn_text(server.flush_lsn() // server.segsize * server.segsize)
    server.insert(rows=10)
    directory = world.archive()
    run = world.receive(receiver, directory, server, "-n", "-E", goal, slot="arch")
    assert run.wait(20) == 0
    ar.assert_equals_primary(directory, server, last=last)


@pytest.mark.receivers("walrx", "front", "pg_receivewal")
def test_no_loop_ends_with_the_connection(world, receiver):
    server = world.server()
    run = world.receive(receiver, world.archive(), server, "-n")
    run.wait_streaming(server)
    server.stop("fast")
    assert run.wait(20) == 1
    assert "disconnected" in run.log() or receiver.is_walrx


@pytest.mark.receivers("walrx", "front", "pg_receivewal")
def test_no_loop_and_no_server(world, receiver):
    done = run_receiver(receiver, ["-D", world.archive(), "-n", "-h", "127.0.0.1", "-p", free_port()],
                        world.base, timeout=20)
    assert done.returncode == 1
    assert "refused" in done.stderr


def test_first_connect_is_retried(world, walrx):
    server = world.server(start=False)
    run = world.receive(walrx, world.archive(), server)
    run.wait_log("refused")
    server.start()
    run.wait_streaming(server, timeout=20)
    assert run.stop() == 0


def test_outage_is_logged_once_and_backed_off(world, walrx):
    """A minute of outage is not a minute of messages: one line per change of state."""
    server = world.server()
    run = world.receive(walrx, world.archive(), server, "--log-format=json")
    run.wait_streaming(server)
    server.stop("immediate")
    run.wait_log("refused|could not connect")
    lines = len(run.log().splitlines())
    stays_true(lambda: run.running() and len(run.log().splitlines()) <= lines + 2,
               "no message per try", 6)
    server.start()
    run.wait_streaming(server)
    assert run.stop() == 0


def test_reconnect_after_a_restart(world, receiver):
    server = world.server()
    server.create_slot("arch")
    first = server.segment(server.slot("arch"))
    directory = world.archive()
    run = world.receive(receiver, directory, server, slot="arch")
    run.wait_streaming(server)
    server.insert(rows=50)
    assert server.stop("fast") < 10
    server.start()
    run.wait_streaming(server)
    server.insert(rows=50)
    last = server.switch()
    server.insert()
    ar.wait_complete(directory, last)
    ar.assert_equals_primary(directory, server, first=first, last=last)
    assert run.stop() == 0


def test_receive_timeout_notices_a_dead_server(world, walrx):
    """The walsender is stopped: no byte, no error. Ping at half of the time, drop at its end."""
    server = world.server()
    run = world.receive(walrx, world.archive(), server, "--receive-timeout=2s")
    pid = int(run.wait_streaming(server))
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: server.sql("select count(*) from pg_stat_replication where application_name = 'recv' "
                                      "and pid <> " + str(pid)) == "1",
                   f"a second connection, log:\n{run.log()}", 15)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert re.search("time", run.log()), run.log()
    assert run.stop() == 0


def test_idle_connection_survives_the_receive_timeout(world, walrx):
    """The ping is answered: an idle primary is not a dead one."""
    server = world.server()
    run = world.receive(walrx, world.archive(), server, "--receive-timeout=2s", status=60)
    pid = run.wait_streaming(server)
    stays_true(lambda: (server.sender("pid") or [""])[0] == pid, "the same connection", 5)
    assert run.stop() == 0


# -- the configuration file --------------------------------------------------------------------

def test_options_from_the_file(world, walrx):
    server = world.server()
    server.create_slot("arch")
    directory = world.archive()
    config = write_file(world.base / "walrx.conf", f"""
# all of it from here
; and another kind of comment
directory = {directory}
slot = arch
dbname = {server.conninfo()}
status-interval = 1
log-format = json
compress = lz4:3
""")
    log = world.base / "out.log"
    run = Receiver(walrx, directory, None, log, world.base, status=None)
    run.argv = [*walrx.command, f"--config={config}"]
    world.receivers.append(run)
    run.start()
    run.wait_streaming(server)
    last = server.switch()
    server.insert()
    ar.wait_complete(directory, last, ".lz4")
    assert server.slot("arch", "active") == "t"
    assert run.stop() == 0
    for line in run.log().splitlines():
        json.loads(line)


def test_command_line_wins_over_the_file(world, walrx):
    server = world.server()
    directory = world.archive()
    config = write_file(world.base / "walrx.conf", "compress = lz4\nport = 1\n")
    run = world.receive(walrx, directory, None, f"--config={config}", "-h", "127.0.0.1", "-U", "postgres",
                        "-p", str(server.port), "-Z", "none")
    run.wait_streaming(server)
    last = server.switch()
    server.insert()
    ar.wait_complete(directory, last, "")
    assert run.stop() == 0


@pytest.mark.parametrize("text,word", [
    ("no-such-option = 1\n", "no-such-option"),
    ("compress = gzip:99\n", "compress"),
    ("status-interval\n", "walrx.conf"),
    ("flush-interval = soon\n", "flush-interval"),
])
def test_bad_file_is_refused(world, walrx, text, word):
    config = write_file(world.base / "walrx.conf", text)
    done = run_receiver(walrx, ["-D", world.archive(), f"--config={config}"], world.base, timeout=10)
    assert done.returncode == 1
    assert word in done.stderr or "gzip" in done.stderr, done.stderr


def test_missing_file_is_refused(world, walrx):
    done = run_receiver(walrx, ["-D", world.archive(), "--config=/nonexistent/walrx.conf"], world.base, timeout=10)
    assert done.returncode == 1 and "/nonexistent/walrx.conf" in done.stderr


def test_sighup_reads_the_file_again(world, walrx):
    """The flush interval is changed in flight, on the same connection."""
    server = world.server()
    server.create_slot("arch")
    config = write_file(world.base / "walrx.conf", "flush-interval = 1h\n")
    run = world.receive(walrx, world.archive(), server, f"--config={config}", slot="arch")
    pid = run.wait_streaming(server)
    server.insert(rows=5)
    goal = run.wait_received(server)
    behind = f"select coalesce(flush_lsn < '{goal}', true) from pg_stat_replication where application_name = 'recv'"
    assert server.sql(behind) == "t"
    write_file(config, "flush-interval = 200ms\n")
    run.process.send_signal(signal.SIGHUP)
    wait_until(lambda: server.sql(behind) == "f", "flushed after the new interval", 10)
    # a file that is wrong changes nothing and ends nothing
    write_file(config, "flush-interval = soon\n")
    run.process.send_signal(signal.SIGHUP)
    run.wait_log("flush-interval")
    server.insert(rows=5)
    run.wait_received(server, column="flush_lsn")
    assert server.sender("pid") == [pid]
    assert run.stop() == 0


def test_sighup_without_a_file_is_harmless(world, walrx):
    server = world.server()
    run = world.receive(walrx, world.archive(), server)
    pid = run.wait_streaming(server)
    run.process.send_signal(signal.SIGHUP)
    server.insert()
    run.wait_received(server)
    assert server.sender("pid") == [pid]
    assert run.stop() == 0


def test_slow_first_answer_of_a_recovering_server(world, walrx):
    """The server refuses while it recovers ("the database system is starting up"): a retry."""
    server = world.server()
    directory = world.archive()
    run = world.receive(walrx, directory, server)
    run.wait_streaming(server)
    server.insert(rows=400)
    server.kill9()
    server.start(wait=False)
    wait_until(server.ready, "the end of recovery")
    run.wait_streaming(server)
    assert run.stop() == 0
