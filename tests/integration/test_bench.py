# SPDX-License-Identifier: PostgreSQL
"""walrx bench: measures, tells it, and leaves nothing behind, neither on the server nor on the disk."""

import json
import os
import pty
import re
import signal
import subprocess
import time

import pytest
from harness import archive as ar
from harness.util import as_server, clean_env, lsn, lsn_text, run, terminal_text, wait_until

DISTRIBUTION = {"count", "min", "mean", "p50", "p90", "p99", "p99_9", "max"}
SLOTS = "select count(*) from pg_replication_slots where slot_name like 'walrx_bench%'"


def argv_of(walrx, server, args):
    return [walrx.command[0], "bench", "-d", server.conninfo(), *args]


def bench(walrx, world, server, *args, timeout=60):
    return run(argv_of(walrx, server, args), env=clean_env(world.base), check=False, timeout=timeout)


def measured(walrx, world, server, *args):
    done = bench(walrx, world, server, "--json", *args)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.fixture
def start(walrx, world):
    """Starts a bench in the background and waits until it streams; both streams are pipes."""
    started = []

    def call(server, *args):
        process = subprocess.Popen(as_server(argv_of(walrx, server, args)), env=clean_env(world.base), cwd="/",
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, start_new_session=True)
        started.append(process)
        wait_until(lambda: process.poll() is not None or (server.sender("state") or [""])[0] in ("catchup", "streaming"),
                   "the bench streams")
        assert process.poll() is None, process.communicate()
        return process
    yield call
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def wait_sent(server, goal):
    """The walsender has sent everything up to goal."""
    def there():
        row = server.sender("sent_lsn")
        return row and row[0] != "NULL" and lsn(row[0]) >= goal
    wait_until(there, f"WAL up to {lsn_text(goal)} is sent")


def range_of(server, segments=6):
    """(from, endpos) around some segments of WAL."""
    begin = server.flush_lsn()
    server.fill_segments(segments)
    return lsn_text(begin), lsn_text(server.flush_lsn())


def check_schema(result):
    assert result["format_version"] == 1
    assert set(result["server"]) == {"peer", "version_num", "unix_socket", "same_machine"}
    assert set(result["settings"]) == {"sink", "directory", "synchronous", "compress", "memory_bytes"}
    assert set(result["cpu"]) == {"user_seconds", "system_seconds", "stream_thread_seconds", "seconds_per_gigabyte"}
    assert result["limit"] in ("primary", "walsender", "receiver", "disk", "compression")
    shares = result["stream_thread"]
    assert set(shares) == {"busy_share", "server_had_more_share", "disk_share", "caught_up_share"}
    assert abs(sum(shares.values()) - 1) < 0.001
    assert set(result["message_bytes"]) == DISTRIBUTION
    latency = result["latency"]
    assert set(latency) == {"receive_to_write_ns", "receive_to_flush_ns", "flush_to_report_ns", "age_on_arrival_ns",
                            "ages_below_zero"}
    throughput = result["throughput"]
    assert sum(w["bytes"] for w in throughput["windows"]) == result["bytes"]
    assert throughput["minimum_bytes_per_second"] <= throughput["median_bytes_per_second"]
    assert throughput["median_bytes_per_second"] <= throughput["maximum_bytes_per_second"]
    assert abs(result["seconds"] - result["receive_seconds"] - result["finish_seconds"]) < 0.001
    assert throughput["mean_bytes_per_second"] == pytest.approx(result["bytes"] / result["seconds"], rel=0.01)


def test_null_sink_from_a_position_to_another(world, walrx):
    server = world.server()
    begin, end = range_of(server)
    result = measured(walrx, world, server, f"--from={begin}", f"--endpos={end}")
    check_schema(result)
    assert result["from_lsn"] == begin and lsn(result["to_lsn"]) >= lsn(end)
    assert result["bytes"] == lsn(result["to_lsn"]) - lsn(begin)
    assert result["message_bytes"]["count"] == result["messages"] > 0
    assert result["message_bytes"]["max"] <= 131072
    assert result["server"]["same_machine"] and not result["server"]["unix_socket"]
    assert result["server"]["peer"] == f"127.0.0.1:{server.port}"
    assert result["error"] is None and not result["interrupted"] and result["flush_reported"]
    for name in ("receive_to_write_ns", "receive_to_flush_ns", "flush_to_report_ns"):
        assert result["latency"][name] is None
    assert server.sql(SLOTS) == "0"


@pytest.mark.parametrize("args", [[], ["--synchronous"], ["--compress=zstd:1"], ["--compress=gzip:1", "--memory=8MB"]])
def test_disk_sink_leaves_nothing_and_touches_no_archive(world, walrx, args):
    server = world.server()
    server.create_slot("arch")
    begin, end = range_of(server, 12)
    directory = world.archive()
    receiver = world.receive(walrx, directory, server, "-E", end, "-n", slot="arch")
    assert receiver.wait() == 0
    before, slot = ar.tree(directory), server.slot("arch")
    before.pop(".")  # its own time moves
    result = measured(walrx, world, server, "--sink=disk", "-D", directory, f"--from={begin}", f"--endpos={end}", *args)
    check_schema(result)
    after = ar.tree(directory)
    after.pop(".")
    assert after == before
    assert server.slot("arch") == slot and server.sql(SLOTS) == "0"
    assert result["from_lsn"] == begin and lsn(result["to_lsn"]) >= lsn(end)
    assert result["bytes"] == lsn(result["to_lsn"]) - lsn(begin), "what comes before in the segment does not count"
    assert result["latency"]["receive_to_write_ns"]["count"] > 0
    assert result["latency"]["receive_to_flush_ns"]["count"] == result["messages"]
    if args and args[0].startswith("--compress"):
        packed = result["compressed"]
        assert packed["segments"] >= 10 and 0 < packed["bytes"] < packed["uncompressed_bytes"]
    else:
        assert result["compressed"] is None


def test_segments_are_removed_while_it_runs(world, start):
    server = world.server()
    directory = world.archive()
    process = start(server, "--sink=disk", "-D", directory, "--duration=60", "--json")
    (folder,) = directory.iterdir()
    assert re.fullmatch(r"walrx-bench-[0-9a-f]{6}", folder.name)
    first = server.segment()
    server.fill_segments(4)
    last = server.switch()
    wait_until(lambda: f"{last}.partial" not in ar.listing(folder) and not ar.segments(folder)
               and first not in ar.listing(folder), "complete segments are gone")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    result = json.loads(out)
    assert result["interrupted"] and result["bytes"] >= 3 * server.segsize
    assert list(directory.iterdir()) == []


def test_duration_from_the_current_end(world, walrx):
    server = world.server()
    server.fill_segments(2)
    end = server.flush_lsn()
    began = time.monotonic()
    result = measured(walrx, world, server, "--duration=1s")
    assert 0.9 < time.monotonic() - began < 20
    assert 0.9 < result["receive_seconds"] < 5
    assert lsn(result["from_lsn"]) >= end and result["bytes"] < server.segsize
    assert result["limit"] == "primary"
    assert result["walsender"]["samples"] > 0, result["walsender"]


def test_progress_is_quiet_in_a_pipe_and_shown_on_a_terminal(world, walrx):
    server = world.server()
    done = bench(walrx, world, server, "--duration=1500ms")
    assert done.returncode == 0 and done.stderr == ""
    for word in ("server", "throughput", "stream thread", "walsender", "receiver CPU", "limit"):
        assert re.search(rf"^{word}  ", done.stdout, re.M), done.stdout
    main, terminal = pty.openpty()
    process = subprocess.Popen(as_server(argv_of(walrx, server, ["--duration=1500ms"])), env=clean_env(world.base),
                               cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    out, _ = process.communicate(timeout=30)
    shown = terminal_text(main)
    assert process.returncode == 0 and "limit" in out.decode()
    assert shown.count("MB/s") >= 2 and "\n" not in shown and shown.endswith("\r")


@pytest.mark.parametrize("sink", ["null", "disk"])
def test_sigint_ends_it_early_with_the_result(world, start, sink):
    server = world.server()
    directory = world.archive()
    args = ["--sink=disk", "-D", directory] if sink == "disk" else []
    process = start(server, *args, "--duration=1h")
    server.insert(50)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0 and err == "", err
    assert "(interrupted)" in out and "limit" in out
    assert list(directory.iterdir()) == []
    wait_until(lambda: server.sql(SLOTS) == "0", "the slot is gone")


@pytest.mark.parametrize("args,words", [
    (["--from=FFFFFFFF/0"], "the server's WAL ends at"),
    (["--endpos=0/28"], "is not behind"),
])
def test_positions_that_make_no_sense(world, walrx, args, words):
    server = world.server()
    done = bench(walrx, world, server, "--json", *args)
    assert done.returncode == 1 and done.stdout == "" and words in done.stderr, done


def test_from_that_the_server_no_longer_has(world, walrx):
    server = world.server(conf={"wal_keep_size": 0, "max_wal_size": "2MB", "min_wal_size": "2MB"})
    begin = lsn_text(server.flush_lsn())
    server.fill_segments(6)
    server.sql("checkpoint")
    directory = world.archive()
    done = bench(walrx, world, server, f"--from={begin}", "--sink=disk", "-D", directory)
    assert done.returncode == 1 and done.stdout == "", done
    assert f"no longer has the WAL to measure from {begin}" in done.stderr
    hinted = re.search(r"has everything from (\S+) on", done.stderr)[1]
    assert list(directory.iterdir()) == [] and server.sql(SLOTS) == "0"
    assert measured(walrx, world, server, f"--from={hinted}", "--duration=1s")["bytes"] > 0


@pytest.mark.parametrize("how", ["shutdown", "walsender"])
def test_a_lost_server_still_gives_what_was_measured(world, start, how):
    server = world.server()
    directory = world.archive()
    process = start(server, "--sink=disk", "-D", directory, "--duration=1h", "--json")
    server.insert(50)
    wait_sent(server, server.flush_lsn())
    if how == "shutdown":
        server.stop()
    else:
        server.sql("select pg_terminate_backend(pid) from pg_stat_replication")
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1
    result = json.loads(out)
    assert result["bytes"] > 0 and result["error"] and result["error"] in err
    assert list(directory.iterdir()) == []


def test_the_end_of_a_timeline_is_told(world, walrx, start):
    primary = world.server()
    standby = world.standby(primary)
    process = start(standby, "--duration=1h", "--json")
    primary.insert(50)
    goal = primary.flush_lsn()
    wait_sent(standby, goal)
    standby.promote()
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1 and "timeline 1 ended at" in err and "--from=" in err, err
    assert json.loads(out)["timeline"] == 1
    standby.insert(50)
    before = bench(walrx, world, standby, "--duration=1s", "--json", f"--from={lsn_text(goal - 8192)}")
    assert before.returncode == 1 and json.loads(before.stdout)["timeline"] == 1
    fork = re.search(r"--from=(\S+) measures", before.stderr)[1]
    directory = world.archive()
    for args in ([], ["--sink=disk", "-D", directory]):
        result = measured(walrx, world, standby, "--duration=1s", f"--from={fork}", *args)
        assert result["timeline"] == 2 and result["bytes"] > 0


def test_no_flush_is_reported_where_commits_could_wait_for_it(world, start):
    server = world.server(conf={"synchronous_standby_names": "*", "synchronous_commit": "local"})
    process = start(server, "--duration=1h", "--json")
    server.insert(50)
    wait_sent(server, server.flush_lsn())
    assert server.sender("flush_lsn")[0] in ("NULL", "0/0")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert json.loads(out)["flush_reported"] is False


def test_a_user_without_a_plain_connection_measures_all_but_the_walsender(world, walrx):
    server = world.server()
    server.sql("create role rep login replication")
    server.hba("host replication rep 127.0.0.1/32 trust")
    server.reload()
    wait_until(lambda: bench(walrx, world, server, "-U", "rep", "--duration=100ms").returncode == 0,
               "the new pg_hba.conf counts")
    result = measured(walrx, world, server, "-U", "rep", "--duration=1s")
    assert result["walsender"]["samples"] == 0 and "pg_hba.conf" in result["walsender"]["problem"]


def test_a_user_without_replication_is_refused(world, walrx):
    server = world.server()
    server.sql("create role plain login")
    directory = world.archive()
    done = bench(walrx, world, server, "-U", "plain", "--sink=disk", "-D", directory)
    assert done.returncode == 1 and done.stdout == "" and done.stderr
    assert list(directory.iterdir()) == []
