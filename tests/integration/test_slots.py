# SPDX-License-Identifier: PostgreSQL
"""Replication slots: made, shown, dropped, and used as the place to start."""

import socket

import pytest
from harness import archive as ar
from harness.receiver import run_receiver
from harness.util import clean_env, lsn, run, wait_until


def slot_command(walrx, world, server, *args):
    return run([walrx.command[0], "slot", *args, "-d", server.conninfo()],
               env=clean_env(world.base), check=False, timeout=30)


@pytest.mark.receivers("walrx", "front", "pg_receivewal")
def test_create_and_drop_by_option(world, receiver):
    server = world.server()
    def call(*args):
        return run_receiver(receiver, ["-S", "s1", "-d", server.conninfo(), *args], world.base)
    assert call("--create-slot").returncode == 0
    assert server.slot("s1", "slot_type") == "physical"
    assert server.slot("s1", "temporary") == "f"
    if receiver.kind == "walrx":
        assert server.slot("s1") != "", "create reserves WAL at once"
    else:
        assert server.slot("s1") == "", "pg_receivewal does not reserve WAL"
    again = call("--create-slot")
    assert again.returncode == 1 and "s1" in again.stderr
    assert call("--create-slot", "--if-not-exists").returncode == 0
    assert call("--drop-slot").returncode == 0
    assert server.slot("s1", "slot_type") == ""
    gone = call("--drop-slot")
    assert gone.returncode == 1 and "s1" in gone.stderr


def test_slot_subcommand(world, walrx):
    server = world.server()
    made = slot_command(walrx, world, server, "create", "-S", "s1")
    assert made.returncode == 0, made.stderr
    restart = server.slot("s1")
    assert restart != ""
    shown = slot_command(walrx, world, server, "show", "-S", "s1")
    assert shown.returncode == 0 and "s1" in shown.stdout and restart in shown.stdout, shown
    server.create_slot("s2", reserve=False)
    both = slot_command(walrx, world, server, "show")
    assert both.returncode == 0 and "s1" in both.stdout and "s2" in both.stdout, both
    missing = slot_command(walrx, world, server, "show", "-S", "nosuch")
    assert missing.returncode == 1 and "nosuch" in missing.stderr, missing
    assert slot_command(walrx, world, server, "create", "-S", "s1").returncode == 1
    assert slot_command(walrx, world, server, "create", "-S", "s1", "--if-not-exists").returncode == 0
    assert slot_command(walrx, world, server, "drop", "-S", "s1").returncode == 0
    assert server.slot("s1", "slot_type") == ""
    assert slot_command(walrx, world, server, "drop", "-S", "s1").returncode == 1


BAD_NAMES = ["Upper", "has-dash", "has space", 'quo"te', "a;b", "", "x" * 64, "\u00e4"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_slot_name_is_refused_before_connecting(world, walrx, name):
    directory = world.archive()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.1)
        port = listener.getsockname()[1]
        where = ["-h", "127.0.0.1", "-p", str(port)]
        for command in (["receive", "-D", directory, "-n"], ["receive", "--create-slot"],
                        ["slot", "create"], ["slot", "drop"]):
            done = run([walrx.command[0], *command, f"--slot={name}", *where],
                       env=clean_env(world.base), check=False, timeout=10)
            assert done.returncode == 1, (command, done)
            assert "slot" in done.stderr, (command, done)
        with pytest.raises(socket.timeout):
            listener.accept()


def test_start_at_the_slots_restart_lsn(world, receiver):
    """An empty directory and a slot: everything the slot kept is fetched."""
    server = world.server()
    server.create_slot("arch")
    first = server.segment(server.slot("arch"))
    server.fill_segments(3)
    last = server.switch()
    server.insert()
    directory = world.archive()
    run_ = world.receive(receiver, directory, server, slot="arch")
    ar.wait_complete(directory, last)
    assert first in ar.assert_equals_primary(directory, server, first=first, last=last)
    assert run_.stop() == 0


def test_slot_without_reserved_wal_starts_at_the_servers_position(world, receiver):
    server = world.server()
    server.fill_segments(2)
    server.insert()
    server.create_slot("lazy", reserve=False)
    first = server.segment()
    directory = world.archive()
    run_ = world.receive(receiver, directory, server, slot="lazy")
    run_.wait_streaming(server)
    server.fill_segments(1)
    run_.wait_received(server)
    ar.wait_complete(directory, first)
    assert list(ar.segments(directory))[0] == first
    assert run_.stop() == 0


@pytest.mark.receivers("walrx", "front", "pg_receivewal")
def test_missing_slot(world, receiver):
    server = world.server()
    done = run_receiver(receiver, ["-D", world.archive(), "-S", "nosuch", "-n", "-d", server.conninfo()], world.base)
    assert done.returncode == 1
    assert 'replication slot "nosuch" does not exist' in done.stderr


def test_slot_in_use_is_waited_for(world, receiver):
    """The slot is active for another receiver: retry, and go on as soon as it is free."""
    server = world.server()
    server.create_slot("arch")
    one = world.receive(receiver, world.archive(), server, slot="arch")
    one.wait_streaming(server)
    two = world.receive(receiver, world.archive(), server, slot="arch", PGAPPNAME="second")
    two.wait_log("is active for PID")
    assert two.running()
    assert one.stop() == 0
    wait_until(lambda: server.sender("state", "second") == ["streaming"], "the second one streams", 30)
    assert two.stop() == 0


def test_restart_lsn_follows(world, receiver):
    server = world.server()
    server.create_slot("arch")
    run_ = world.receive(receiver, world.archive(), server, slot="arch")
    run_.wait_streaming(server)
    server.fill_segments(3)
    goal = server.flush_lsn() // server.segsize * server.segsize
    wait_until(lambda: lsn(server.slot("arch")) >= goal, "restart_lsn moves", 30)
    assert run_.stop() == 0
