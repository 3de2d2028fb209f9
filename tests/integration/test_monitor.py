# SPDX-License-Identifier: PostgreSQL
"""Watching the primary over a second connection: what is shown, what is told, and what it must not do."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
from harness.majors import programs_of
from harness.proxy import Proxy
from harness.util import lsn, stays_true, wait_until
from harness.util import run as run_program
from test_slot_states import forgetful_server

WATCHED = "application_name = 'walrx monitor'"
PROMPT = r"is a synchronous standby \(sync_state \"(sync|quorum)\"\)"


def monitor(directory):
    """What the state file says; None: nothing is watched."""
    path = directory / ".walrx" / "state.json"
    return json.loads(path.read_text())["monitor"] if path.exists() else None


def wait_monitor(run, condition, what, timeout=20):
    def there():
        seen = monitor(run.archive)
        return seen if seen is not None and condition(seen) else None
    return wait_until(there, f"{what}\n{run.log()}", timeout)


def wait_watched(run):
    return wait_monitor(run, lambda m: m["reachable"], "the server is watched")


def names_us(server, names="recv", **conf):
    server.configure(synchronous_standby_names=names, **conf)
    server.reload()
    wait_until(lambda: server.sql("show synchronous_standby_names") == names, "the server has read it", 10)


def assert_commits_are_prompt(server):
    began = time.monotonic()
    server.sql(";".join(["begin; insert into load(filler) values('x'); commit"] * 20), timeout=20)
    assert time.monotonic() - began < 5, "commits wait for a timer"


def assert_becomes_prompt(world, walrx, server):
    """Without --synchronous, and with a flush interval that nobody could wait for."""
    server.create_slot("arch")
    run = world.receive(walrx, world.archive(), server, "--flush-interval=1h", slot="arch", status=None)
    run.wait_streaming(server)
    names_us(server)
    run.wait_log(PROMPT)
    assert_commits_are_prompt(server)
    return run


def test_synchronous_standby_flushes_promptly(world, walrx):
    server = world.server()
    run = assert_becomes_prompt(world, walrx, server)
    seen = wait_monitor(run, lambda m: m["sync_state"] == "sync", "it is shown")
    assert seen["synchronous_standby_names"] == "recv" and seen["synchronous_commit"] == "on"
    assert json.loads((run.archive / ".walrx" / "state.json").read_text())["positions"]["synchronous"] is True
    names_us(server, "")
    run.wait_log("no longer a synchronous standby")
    server.insert()
    goal = server.flush_lsn()
    stays_true(lambda: lsn(server.sender("flush_lsn")[0]) < goal, "flushed by the interval again", 1.5)
    assert run.log().count("synchronous standby") == 2, run.log()
    assert run.stop() == 0


def test_reconnect_stays_prompt_and_says_nothing(world, walrx):
    server = world.server()
    run = assert_becomes_prompt(world, walrx, server)
    sender = server.sender("pid")
    server.sql(f"select pg_terminate_backend({sender[0]})")
    wait_until(lambda: server.sender("sync_state") == ["sync"] and server.sender("pid") != sender, "again")
    assert_commits_are_prompt(server)
    assert run.log().count("synchronous standby") == 1, run.log()
    assert run.stop() == 0


def test_potential_is_not_synchronous(world, walrx):
    server = world.server()
    run = world.receive(walrx, world.archive(), server, "--flush-interval=1h", "--create-slot-if-missing", slot="b")
    first = world.receive(walrx, world.archive(), server, "--synchronous", PGAPPNAME="alpha")
    run.wait_streaming(server)
    wait_until(lambda: server.sender("state", "alpha") == ["streaming"], "the first one streams")
    names_us(server, "1 (alpha, recv)")
    wait_monitor(run, lambda m: m["sync_state"] == "potential", "potential")
    assert "synchronous standby" not in run.log() + first.log()
    assert first.stop() == 0
    run.wait_log(PROMPT)
    assert run.stop() == 0


def test_remote_apply_is_warned_of(world, walrx):
    server = world.server()
    server.create_slot("arch")
    names_us(server)
    server.sql("set synchronous_commit = local; alter role postgres set synchronous_commit = remote_apply")
    directory = world.archive()
    run = world.receive(walrx, directory, server, slot="arch")
    run.wait_log("synchronous_commit = remote_apply can wait for this receiver without end")
    assert "--report-apply" in run.log()
    assert run.stop() == 0
    again = world.receive(walrx, directory, server, "--report-apply", slot="arch")
    again.wait_log(PROMPT)
    assert "remote_apply" not in again.log()
    server.insert()
    assert again.stop() == 0


def test_listed_without_reporting_is_explained(world, walrx):
    server = world.server(conf={"synchronous_commit": "local"})
    names_us(server)
    run = world.receive(walrx, world.archive(), server)
    run.wait_log("commits will not wait for it")
    assert wait_watched(run)["sync_state"] in ("async", "potential")
    assert run.stop() == 0


def assert_status_shows(run, walrx):
    text = run_program([walrx.command[0], "status", "-D", run.archive]).stdout
    assert re.search(r"^  WAL it keeps +[\d.]+ \w+, reserved, .* until it is in danger$", text, re.M), text
    assert re.search(r"^seen by the server +async, \d+ of \d+ connections in use, 1 of \d+ walsenders in use$", text,
                     re.M), text


def test_slot_in_danger_and_lost(world, walrx):
    """The stream is held on its way, the monitor goes another one."""
    server = forgetful_server(world)
    server.create_slot("arch")
    proxy = Proxy(server.port)
    try:
        run = world.receive(walrx, world.archive(), server.conninfo(port=proxy.port),
                            f"--monitor={server.conninfo()}", slot="arch")
        run.wait_streaming(server)
        seen = wait_watched(run)
        assert seen["slot_wal_status"] == "reserved" and seen["slot_safe_wal_size_bytes"] > 0
        assert seen["slot_retained_bytes"] is not None and lsn(seen["slot_restart_lsn"]) > 0
        assert_status_shows(run, walrx)
        proxy.hold()
        server.fill_segments(6)
        run.wait_log(r'slot "arch" is in danger')
        wait_until(lambda: server.sql("checkpoint") == "" and server.slot("arch", "wal_status") == "lost", "lost", 30)
        run.wait_log(r'slot "arch" is lost: ')
        assert wait_monitor(run, lambda m: m["slot_wal_status"] == "lost", "lost")["reachable"]
        assert run.log().count("is in danger") == run.log().count("is lost: ") == 1
        run.kill9()
    finally:
        proxy.close()


def test_refusal_by_pg_hba_is_silent(world, walrx):
    server = world.server()
    server.sql("create role rep login replication")
    server.hba("host replication rep 127.0.0.1/32 trust")
    server.reload()
    run = world.receive(walrx, world.archive(), server.conninfo(user="rep"))
    run.wait_streaming(server)
    wait_until(lambda: "no pg_hba.conf entry" in server.log_path.read_text(), "the refusal")
    sender = server.sender("pid")
    server.sql(f"select pg_terminate_backend({sender[0]})")
    wait_until(lambda: server.sender("state") == ["streaming"] and server.sender("pid") != sender, "again")
    server.insert()
    run.wait_received(server)
    assert monitor(run.archive) is None
    assert run.stop() == 0
    assert "watched" not in run.log() and "pg_hba" not in run.log(), run.log()
    assert server.log_path.read_text().count("no pg_hba.conf entry") == 1


def test_refusal_of_what_was_asked_for_is_told_once(world, walrx):
    server = world.server()
    run = world.receive(walrx, world.archive(), server, "--monitor=dbname=nowhere")
    run.wait_log('the server cannot be watched: .*"nowhere" does not exist')
    assert wait_monitor(run, lambda m: not m["reachable"], "shown")["problem"] is not None
    assert run.stop() == 0


def test_without_privileges_what_is_hidden_is_told(world, walrx):
    server = world.server(conf={"max_wal_senders": "1"})
    server.sql("create role rep login replication; create role mon login in role pg_monitor")
    server.hba("host replication,postgres rep,mon 127.0.0.1/32 trust")
    names_us(server, "x")
    server.create_slot("arch")
    directory = world.archive()
    run = world.receive(walrx, directory, server.conninfo(user="rep"), slot="arch")
    run.wait_log("is hidden by the server")
    seen = wait_watched(run)
    assert seen["sync_state"] is None and seen["connections"] is None
    assert (seen["walsenders"], seen["max_walsenders"], seen["max_connections"]) == (1, 1, 30)
    run.wait_log("few walsenders left: 1 of 1 are in use")
    assert run.stop() == 0
    run = world.receive(walrx, directory, server.conninfo(user="rep"), "--monitor=user=mon", slot="arch")
    seen = wait_monitor(run, lambda m: m["sync_state"] == "async", "it is seen")
    assert seen["connections"] >= 1
    assert run.stop() == 0


def test_off_is_off(world, walrx):
    server = world.server()
    run = world.receive(walrx, world.archive(), server, "--monitor=off")
    run.wait_streaming(server)
    server.insert()
    run.wait_received(server)
    assert server.number(f"select count(*) from pg_stat_activity where {WATCHED}") == 0
    assert monitor(run.archive) is None
    assert run.stop() == 0


def question_waits(server, client_port):
    """Bytes that a server's process has not read yet."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ports = [int(end.split(":")[1], 16) for end in fields[1:3]]
        if ports == [server.port, client_port]:
            return int(fields[4].split(":")[1], 16) > 0
    return False


def test_stop_does_not_wait_for_the_monitor(world, walrx):
    """Its connection hangs: in a question, then while connecting."""
    server = world.server()
    proxy = Proxy(server.port)
    try:
        run = world.receive(walrx, world.archive(), server)
        row = wait_until(lambda: server.sql(f"select pid, client_port from pg_stat_activity where {WATCHED}"), "watched")
        pid, client_port = map(int, row.split("|"))
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: question_waits(server, client_port), "a question without an answer")
        began = time.monotonic()
        assert run.stop() == 0
        assert time.monotonic() - began < 2
        os.kill(pid, signal.SIGCONT)
        proxy.hold()
        run = world.receive(walrx, world.archive(), server, f"--monitor=host=127.0.0.1 port={proxy.port} user=postgres")
        run.wait_streaming(server)
        wait_until(lambda: proxy.sockets, "the monitor connects")
        began = time.monotonic()
        assert run.stop() == 0
        assert time.monotonic() - began < 2
    finally:
        proxy.close()


def test_standby_as_upstream(world, walrx):
    server = world.server()
    standby = world.standby(server)
    run = world.receive(walrx, world.archive(), standby, "--create-slot-if-missing", slot="arch")
    seen = wait_watched(run)
    assert seen["sync_state"] in ("async", None)
    wait_monitor(run, lambda m: m["sync_state"] == "async" and m["slot_retained_bytes"] is not None, "its slot")
    assert run.stop() == 0


@pytest.mark.slow
def test_smart_shutdown_is_held_up_for_a_while_only(world, walrx):
    server = world.server()
    run = world.receive(walrx, world.archive(), server)
    wait_watched(run)
    assert server.stop("smart", 50) < 45
    assert run.stop() == 0


@pytest.mark.network
@pytest.mark.parametrize("version", [10, 13, 18])
def test_other_majors(world, walrx, fetched, version):
    options = {"segsize_mb": 16} if version < 11 else {}
    server = world.server(bindir=fetched(programs_of, version), **options)
    run = assert_becomes_prompt(world, walrx, server)
    seen = wait_monitor(run, lambda m: m["sync_state"] == "sync", "it is shown")
    assert seen["slot_wal_status"] == ("reserved" if version >= 13 else None)
    assert seen["connections"] >= 1 and seen["walsenders"] == 1
    assert run.stop() == 0
