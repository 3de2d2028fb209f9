# SPDX-License-Identifier: PostgreSQL
"""`walrx status` and `walrx wait`: what they tell agrees with the server, with time, and with the lock."""

import json
import re
import signal
import threading
import time

import pytest
from harness import archive as ar
from harness.proxy import Proxy
from harness.util import clean_env, lsn, lsn_text, run, wait_until, write_file

NOT_RUNNING = 3


def command(world, walrx, name, directory, *args, timeout=30):
    return run([walrx.command[0], name, "-D", directory, *args], env=clean_env(world.base), check=False,
               timeout=timeout)


def look(world, walrx, directory, code=0):
    done = command(world, walrx, "status", directory, "--json")
    assert done.returncode == code, done
    return json.loads(done.stdout)


def state(directory):
    return json.loads((directory / ".walrx" / "state.json").read_text())


@pytest.fixture
def proxied():
    made = []

    def call(*args):
        made.append(Proxy(*args))
        return made[-1]
    yield call
    for it in made:
        it.close()


def streaming(world, walrx, *args, proxy=None, server=None, **options):
    server = server or world.server()
    if server.slot("arch") == "":
        server.create_slot("arch")
    directory = world.archive()
    info = server.conninfo(port=proxy.port) if proxy else server
    it = world.receive(walrx, directory, info, *args, slot="arch", **options)
    it.wait_streaming(server)
    wait_until((directory / ".walrx" / "state.json").exists, "the state is written")
    return server, directory, it


def test_positions_agree_with_the_server(world, walrx):
    server, directory, it = streaming(world, walrx, "--flush-interval=200ms")
    for _ in range(3):
        server.insert(rows=30)
        it.wait_received(server, column="flush_lsn")
        goal = lsn(server.sender("flush_lsn")[0])
        wait_until(lambda: lsn(state(directory)["positions"]["reported_flush_lsn"] or "0/0") >= goal, "the state follows")
    whole = look(world, walrx, directory)
    told = whole["receiver"]
    sent, written, flushed = map(lsn, server.sender("sent_lsn write_lsn flush_lsn"))
    assert whole["running"] and not whole["stale"] and whole["pid"] == it.process.pid == told["process"]["pid"]
    assert told["process"]["state"] == "streaming" and told["last_error"] is None
    assert lsn(told["positions"]["received_lsn"]) == sent
    assert lsn(told["positions"]["written_lsn"]) == written
    assert lsn(told["positions"]["reported_flush_lsn"]) == flushed
    for stage in ("received", "written", "flushed", "archived"):
        assert told["lag"][stage] == {"bytes": 0, "seconds": 0}, stage
    view = told["pg_stat_wal_receiver"]
    assert view["slot_name"] == "arch" and view["sender_port"] == str(server.port)
    assert view["sender_host"] == "127.0.0.1" and view["received_tli"] == 1
    assert lsn(view["latest_end_lsn"]) == sent == lsn(told["server"]["end_lsn"])
    assert told["server"]["system_identifier"] == server.system_identifier()
    assert told["server"]["version_number"] == server.number("show server_version_num")
    # One host, one clock; the reply has bounded it.
    assert abs(told["clock"]["offset_seconds"]) <= told["clock"]["error_seconds"] + 0.001 < 0.5
    for way in ("sync", "write", "receive_to_flush", "flush_to_report"):
        figures = told["latency"][way]
        assert figures["count"] > 0 and 0 < figures["p50_seconds"] <= figures["max_seconds"] < 5, way
    assert told["latency"]["receive_to_flush"]["max_seconds"] > 0.1
    assert told["counters"]["received_bytes"] >= flushed - lsn(view["receive_start_lsn"])
    text = command(world, walrx, "status", directory).stdout
    assert told["positions"]["flushed_lsn"] in text and "running, process" in text
    assert it.stop() == 0


def test_lag_agrees_with_pg_stat_replication(world, walrx):
    """A flush that is put off: the server sees its age as flush_lag, we as the lag of flushed."""
    server, directory, _ = streaming(world, walrx, "--flush-interval=3s", status=None)
    server.insert(rows=30)
    end = time.monotonic() + 6
    ours, theirs = 0, 0
    while time.monotonic() < end:
        ours = max(ours, state(directory)["lag"]["flushed"]["seconds"])
        lag = server.sql("select extract(epoch from flush_lag) from pg_stat_replication "
                         "where application_name = 'recv'")
        theirs = max(theirs, float(lag or 0))
    assert 1.5 < ours < 3.6, (ours, theirs)
    whole = state(directory)["latency"]["receive_to_flush"]["max_seconds"]
    assert 2.5 < whole < 3.6 and abs(theirs - whole) < 0.7, (ours, theirs, whole)


def test_delay_on_the_way_shows_in_lag_and_clock(world, walrx, proxied):
    server = world.server()
    proxy = proxied(server.port, 0.4)
    _, directory, _ = streaming(world, walrx, "--flush-interval=50ms", proxy=proxy, server=server)
    wait_until(lambda: state(directory)["clock"]["error_seconds"], "a reply has come")
    told = state(directory)
    assert 0.3 < told["clock"]["error_seconds"] < 0.8
    assert abs(told["clock"]["offset_seconds"]) <= told["clock"]["error_seconds"]
    peak = 0
    end = time.monotonic() + 4
    while time.monotonic() < end:
        server.insert()
        peak = max(peak, state(directory)["lag"]["flushed"]["seconds"])
    assert 0.3 < peak < 2, peak


def test_a_stuck_network_is_no_secret(world, walrx, proxied):
    """While it is stuck, nothing new is known, and for how long; then the lag is as old as the WAL."""
    server = world.server()
    proxy = proxied(server.port)
    _, directory, _ = streaming(world, walrx, proxy=proxy, server=server)
    server.insert()
    goal = server.flush_lsn()
    wait_until(lambda: lsn(state(directory)["positions"]["flushed_lsn"]) >= goal, "all is durable")
    proxy.hold()
    server.insert(rows=100)
    time.sleep(2.5)
    assert state(directory)["server"]["last_message_age_seconds"] > 1
    proxy.release()
    peak = 0
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        peak = max(peak, state(directory)["lag"]["flushed"]["seconds"])
        time.sleep(0.01)
    assert 2 < peak < 5, peak


def test_a_reconnect_is_no_lag(world, walrx):
    """What comes a second time of the open segment is durable already, however old the segment is."""
    server, directory, _ = streaming(world, walrx, "--flush-interval=2s")
    server.insert(rows=100)
    goal = server.flush_lsn()
    wait_until(lambda: lsn(state(directory)["positions"]["flushed_lsn"]) >= goal, "all is durable")
    time.sleep(2)
    server.sql("select pg_terminate_backend(pid) from pg_stat_replication")
    wait_until(lambda: state(directory)["counters"]["streams"] > 1, "it streams again")
    peak = 0
    end = time.monotonic() + 2
    while time.monotonic() < end:
        told = state(directory)
        assert lsn(told["positions"]["flushed_lsn"]) >= goal
        peak = max(peak, told["lag"]["flushed"]["seconds"])
        time.sleep(0.01)
    assert peak < 2.5, peak


def test_who_is_dead_is_told_by_the_lock(world, walrx):
    server, directory, it = streaming(world, walrx)
    server.insert()
    it.wait_received(server, column="flush_lsn")
    it.kill9()
    whole = look(world, walrx, directory, NOT_RUNNING)
    assert not whole["running"] and whole["receiver"]["process"]["stopped"] is None
    text = command(world, walrx, "status", directory)
    assert text.returncode == NOT_RUNNING and "NOT RUNNING: it was killed; last seen" in text.stdout
    # The next one takes its place.
    it.start()
    it.wait_streaming(server)
    # Until it has told its own state there is none to show, or that of the killed one on the way out.
    wait_until(lambda: (look(world, walrx, directory)["receiver"] or {"process": {"pid": 0}})["process"]["pid"]
               == it.process.pid, "the new one tells its state")
    assert it.stop() == 0
    whole = look(world, walrx, directory, NOT_RUNNING)
    assert whole["receiver"]["process"]["exit_status"] == 0
    assert whole["receiver"]["process"]["state"] == "stopped" and whole["receiver"]["process"]["stopped"]


def test_the_last_error_is_kept(world, walrx):
    server, directory, it = streaming(world, walrx)
    server.stop("immediate")
    wait_until(lambda: state(directory)["process"]["state"] == "restarting", "it says that it waits")
    whole = look(world, walrx, directory)
    assert whole["running"] and whole["receiver"]["last_error"]["class"] == "retry"
    assert "last error" in command(world, walrx, "status", directory).stdout
    assert it.stop() == 0
    # A start while the server is away is seen as well, in an archive that is known.
    it.start()
    wait_until(lambda: command(world, walrx, "status", directory).returncode == 0, "the new one has the lock")
    wait_until(lambda: look(world, walrx, directory)["receiver"], "the new one tells its state")
    assert look(world, walrx, directory)["receiver"]["process"]["state"] == "restarting"
    assert it.stop() == 0


def test_a_start_that_comes_to_nothing_is_told(world, walrx):
    server, directory, it = streaming(world, walrx)
    assert it.stop() == 0
    write_file(server.data / "pg_hba.conf", "local all postgres trust\n")
    server.reload()
    it.start()
    assert it.wait() == 1
    told = look(world, walrx, directory, NOT_RUNNING)["receiver"]
    assert told["process"]["exit_status"] == 1, told["process"]
    assert "pg_hba.conf" in told["last_error"]["message"], told["last_error"]


def test_a_stopped_process_is_told_as_stale(world, walrx):
    server, directory, it = streaming(world, walrx)
    server.insert()
    it.wait_received(server, column="flush_lsn")
    it.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: look(world, walrx, directory)["stale"], "the state is stale", 20)
    text = command(world, walrx, "status", directory)
    assert text.returncode == 0 and re.search(r"has not written its state for \d+\.0 s", text.stdout)
    it.process.send_signal(signal.SIGCONT)
    wait_until(lambda: not look(world, walrx, directory)["stale"], "it is fresh again")


def test_rubbish_in_place_of_the_state(world, walrx):
    server, directory, it = streaming(world, walrx)
    assert it.stop() == 0
    write_file(directory / ".walrx" / "state.json", '{"format_version": 1, "pid": []')
    done = command(world, walrx, "status", directory)
    assert done.returncode == NOT_RUNNING and "cannot be used" in done.stdout
    it.start()
    it.wait_streaming(server)
    wait_until(lambda: look(world, walrx, directory)["receiver"], "the state is replaced")
    assert it.stop() == 0


@pytest.mark.parametrize("compress", [None, "lz4"])
def test_wait_ends_soon_after_the_flush(world, walrx, compress):
    server, directory, it = streaming(world, walrx, "--flush-interval=300ms", compress=compress)
    took = []
    for i in range(4):
        time.sleep(0.3 * i)
        server.insert(rows=5)
        goal = server.sql("select pg_current_wal_flush_lsn()")
        began = time.monotonic()
        done = command(world, walrx, "wait", directory, f"--lsn={goal}", "--timeout=20")
        took.append(time.monotonic() - began)
        assert done.returncode == 0 and done.stdout == done.stderr == "", done
        assert lsn(state(directory)["positions"]["flushed_lsn"]) >= lsn(goal)
    assert min(took) < 0.9, took  # 0.3 s until the flush, and the start of a process


def test_wait_gives_up_and_tells_how_far(world, walrx):
    server, directory, it = streaming(world, walrx)
    server.insert()
    it.wait_received(server, column="flush_lsn")
    beyond = lsn_text(server.flush_lsn() + (1 << 30))
    began = time.monotonic()
    done = command(world, walrx, "wait", directory, f"--lsn={beyond}", "--timeout=500ms")
    assert done.returncode == 1 and 0.5 <= time.monotonic() - began < 3
    assert f"timed out while waiting for WAL up to {beyond}" in done.stderr
    assert "The archive is durable up to " in done.stderr and "its receiver runs" in done.stderr


def test_wait_without_a_receiver(world, walrx):
    server, directory, it = streaming(world, walrx)
    server.fill_segments(1)
    complete = server.switch()
    server.insert()
    it.wait_received(server, column="flush_lsn")
    ar.wait_complete(directory, complete)
    goal = lsn_text(server.flush_lsn())
    assert it.stop() == 0
    # What the last one said it had made durable
    assert command(world, walrx, "wait", directory, f"--lsn={goal}").returncode == 0
    # and without its word, complete segments only.
    (directory / ".walrx" / "state.json").unlink()
    whole = lsn_text(lsn(goal) // server.segsize * server.segsize)
    assert command(world, walrx, "wait", directory, f"--lsn={whole}").returncode == 0
    done = command(world, walrx, "wait", directory, f"--lsn={goal}", "--timeout=100ms")
    assert done.returncode == 1 and f"durable up to {whole}; no receiver runs" in done.stderr


def test_watch_into_a_pipe_is_a_line_per_look(world, walrx):
    server, directory, it = streaming(world, walrx)
    done = run(["timeout", "-s", "INT", "1.5", walrx.command[0], "status", "-D", directory, "--watch",
                "--interval=400ms"], env=clean_env(world.base), check=False)
    lines = done.stdout.splitlines()
    assert 2 <= len(lines) <= 5, done
    assert all("streaming  flushed" in line for line in lines), lines
    assert it.stop() == 0


def test_watch_on_a_terminal_gives_the_screen_back(world, walrx):
    server, directory, it = streaming(world, walrx)
    inner = f"timeout -s INT 1.5 {walrx.command[0]} status -D {directory} --watch --interval=300ms"
    done = run(["script", "-qec", f"stty rows 60 cols 100; {inner}", "/dev/null"],
               env={**clean_env(world.base), "TERM": "xterm"}, check=False)
    screen = done.stdout
    assert screen.count("\x1b[H") >= 3 and "flush lag" in screen and "running, process" in screen
    assert screen.index("\x1b[?1049h") < screen.index("\x1b[H")
    assert screen.rstrip().endswith("\x1b[?1049l")
    assert it.stop() == 0


def test_compressed_segments_are_counted(world, walrx):
    server, directory, it = streaming(world, walrx, compress="zstd")
    server.fill_segments(3)
    last = server.switch()
    server.insert()
    ar.wait_complete(directory, last, ".zst")
    told = wait_until(lambda: (lambda s: s if s["compression"]["segments"] >= 3 else None)(state(directory)),
                      "the state counts them")
    assert told["compression"]["wal_bytes"] == told["compression"]["segments"] * server.segsize
    assert 0 < told["compression"]["disk_bytes"] < told["compression"]["wal_bytes"]
    assert told["compression"]["ratio"] > 1 and told["latency"]["compress"]["count"] >= 3
    assert told["counters"]["segments_completed"] >= 3
    assert told["verification"]["mode"] == "on" and told["verification"]["records"] > 0
    assert it.stop() == 0
    # Nobody takes the state for something of the archive's.
    assert "other files" not in command(world, walrx, "list", directory).stdout
    assert command(world, walrx, "verify", directory).returncode == 0


def test_rates_follow_a_steady_load(world, walrx):
    server, directory, it = streaming(world, walrx)
    end = threading.Event()

    def load():
        while not end.is_set():
            server.insert(rows=200)
    worker = threading.Thread(target=load)
    worker.start()
    try:
        before = server.flush_lsn()
        began = time.monotonic()
        time.sleep(6)
        made = (server.flush_lsn() - before) / (time.monotonic() - began)
        rates = state(directory)["rates"]["1min"]
    finally:
        end.set()
        worker.join()
    for kind in ("received", "generated"):
        assert made / 2 < rates[f"{kind}_bytes_per_second"] < made * 2, (kind, made, rates)
    assert it.stop() == 0
