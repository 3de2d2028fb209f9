# SPDX-License-Identifier: PostgreSQL
"""Slots that are not as they should be: lost, missing, without WAL, in use, or not to be looked at."""

import json
import os
import re
import signal

import pytest
from harness import archive as ar
from harness.majors import programs_of
from harness.receiver import run_receiver
from harness.util import clean_env, lsn, lsn_text, run, wait_until
from test_gap import first_there, gaps, remove_up_to, start_of

NEEDS_A_PERSON = 1
STOPPED_AT_GAP = 2
CREATE = "--create-slot-if-missing"
CONTINUE = "--on-gap=continue"


def forgetful_server(world, **options):
    """It removes WAL at each checkpoint, and what a slot keeps beyond 2 MB too."""
    return world.server(conf={"wal_keep_size": "0", "min_wal_size": "2MB", "max_slot_wal_keep_size": "2MB"},
                        **options)


def lose_slot(server, name="arch"):
    def lost():
        server.fill_segments(1)
        server.sql("checkpoint")
        return server.slot(name, "wal_status") == "lost"
    wait_until(lost, f"slot {name} is lost", 30, 0.05)


def archived(world, walrx, server, slot=None):
    """An archive that holds everything up to now, and the name of its open segment."""
    directory = world.archive()
    it = world.receive(walrx, directory, server, slot=slot)
    it.wait_streaming(server)
    server.fill_segments(1)
    server.insert(rows=10)
    it.wait_received(server)
    assert it.stop() == 0
    return directory, ar.partials(directory)[0].name[:24]


def lost_behind(world, walrx, **options):
    """The server has lost the slot, and the WAL that the archive needs next."""
    server = forgetful_server(world, **options)
    server.create_slot("arch")
    directory, missing = archived(world, walrx, server, "arch")
    lose_slot(server)
    assert first_there(server) > missing
    return server, directory, missing


def lost_beside(world, walrx, **options):
    """The server has lost the slot, but nothing is missing: WAL came without the slot."""
    server = forgetful_server(world, **options)
    server.create_slot("arch")
    lose_slot(server)
    directory, _ = archived(world, walrx, server)
    return server, directory


def receive(world, walrx, directory, server, *args, timeout=20):
    return run_receiver(walrx, ["-D", directory, "-d", server.conninfo(), "-S", "arch", *args], world.base,
                        timeout=timeout)


def assert_receives(world, walrx, directory, server, *args):
    """Streams with the slot, which keeps WAL from what it reports on."""
    it = world.receive(walrx, directory, server, *args, slot="arch")
    it.wait_streaming(server)
    last = server.switch()
    server.insert()
    ar.wait_complete(directory, last)
    it.wait_received(server, column="flush_lsn")
    assert it.stop() == 0
    assert server.slot("arch", "wal_status") in ("reserved", "extended"), it.log()
    assert lsn(server.slot("arch")) > 0
    return it


# -- lost ----------------------------------------------------------------------------------------

def assert_stops_at_both_ends(world, walrx, server, directory, missing):
    before = sorted(p.name for p in directory.iterdir())
    first = first_there(server)
    done = receive(world, walrx, directory, server)
    assert done.returncode == STOPPED_AT_GAP, done
    assert 'replication slot "arch" is lost' in done.stderr and "has already been removed" in done.stderr
    for name in (missing, first):
        assert f"(file {name})" in done.stderr, (first, done.stderr)
    assert ("Drop the slot" in done.stderr) == (server.major >= 16)
    again = receive(world, walrx, directory, server, CREATE)
    assert again.returncode == STOPPED_AT_GAP, again
    assert server.slot("arch", "wal_status") == "lost", "nothing was changed on the server"
    assert sorted(p.name for p in directory.iterdir()) == before and gaps(directory) == []


def assert_gap(directory, server, missing, first):
    assert gaps(directory) == [(1, start_of(server, missing), start_of(server, first))]


def test_lost_slot_tells_both_ends_and_is_used_again(world, walrx):
    """To PostgreSQL 15."""
    server, directory, missing = lost_behind(world, walrx)
    assert_stops_at_both_ends(world, walrx, server, directory, missing)
    first = first_there(server)
    it = assert_receives(world, walrx, directory, server, CONTINUE)
    assert 'replication slot "arch" was lost; it keeps WAL again' in it.log()
    assert_gap(directory, server, missing, first)


def test_lost_slot_is_made_anew(world, walrx):
    server, directory, missing = lost_behind(world, walrx)
    first = first_there(server)
    it = assert_receives(world, walrx, directory, server, CONTINUE, CREATE)
    assert 'replication slot "arch" was lost and has been dropped: created, it keeps WAL from' in it.log()
    assert_gap(directory, server, missing, first)


@pytest.mark.parametrize("args", [[], [CREATE]], ids=["used", "made"])
def test_lost_slot_without_a_hole_is_no_gap(world, walrx, args):
    server, directory = lost_beside(world, walrx)
    assert_receives(world, walrx, directory, server, *args)
    assert gaps(directory) == []


@pytest.mark.parametrize("args", [[], [CREATE]], ids=["used", "made"])
def test_lost_slot_and_an_empty_archive(world, walrx, args):
    """Where the missing WAL begins nobody knows, but that it is missing must not go unsaid."""
    server = forgetful_server(world)
    server.create_slot("arch")
    lose_slot(server)
    directory = world.archive()
    done = receive(world, walrx, directory, server, *args)
    assert done.returncode == STOPPED_AT_GAP, done
    assert 'replication slot "arch" is lost, and the archive is empty' in done.stderr
    assert f"(file {server.segment()})" in done.stderr
    assert not list(directory.glob("0*")) and server.slot("arch", "wal_status") == "lost"
    assert_receives(world, walrx, directory, server, CONTINUE, *args)
    assert gaps(directory) == []


def test_slot_that_is_lost_while_the_receiver_hangs(world, walrx):
    server = forgetful_server(world)
    server.create_slot("arch")
    directory = world.archive()
    it = world.receive(walrx, directory, server, slot="arch")
    it.wait_streaming(server)
    server.fill_segments(1)
    it.wait_received(server)
    os.kill(it.process.pid, signal.SIGSTOP)
    lose_slot(server)
    remove_up_to(server, server.segment())  # also what is under way in the sockets comes before
    first = first_there(server)
    os.kill(it.process.pid, signal.SIGCONT)
    assert it.wait() == STOPPED_AT_GAP, it.log()
    assert 'replication slot "arch" is lost' in it.log() and f"(file {first})" in it.log()


# -- lost, on servers of other majors -------------------------------------------------------------

@pytest.fixture(params=[17, 18])
def bindir(request, fetched):
    return fetched(programs_of, request.param)


@pytest.mark.network
def test_lost_slot_of_other_majors(world, walrx, bindir):
    """16 and 17 take a lost slot and keep no WAL for it; 18 refuses it."""
    server, directory, missing = lost_behind(world, walrx, bindir=bindir)
    assert_stops_at_both_ends(world, walrx, server, directory, missing)
    first = first_there(server)
    done = receive(world, walrx, directory, server, CONTINUE)
    assert done.returncode == NEEDS_A_PERSON, done
    assert 'replication slot "arch" is lost' in done.stderr and CREATE in done.stderr
    assert "is gone" in done.stderr and gaps(directory) == []
    empty = receive(world, walrx, world.archive(), server)
    assert empty.returncode == STOPPED_AT_GAP and f"{CONTINUE} with {CREATE}" in empty.stderr, empty
    assert_receives(world, walrx, directory, server, CONTINUE, CREATE)
    assert_gap(directory, server, missing, first)


@pytest.mark.network
@pytest.mark.parametrize("bindir", [17], indirect=True)
def test_slot_that_another_receiver_used_although_it_was_lost(world, walrx, programs, bindir):
    """Its restart_lsn moves, but the server keeps nothing: only the view tells."""
    server, directory = lost_beside(world, walrx, bindir=bindir)
    front = world.receive(programs("front"), world.archive(), server, slot="arch")
    front.wait_received(server, column="flush_lsn")
    assert front.stop() == 0
    assert server.slot("arch") != "" and server.slot("arch", "wal_status") == "lost"
    done = receive(world, walrx, directory, server)
    assert done.returncode == NEEDS_A_PERSON and "is still there" in done.stderr, done
    assert_receives(world, walrx, directory, server, CREATE)
    assert gaps(directory) == []


@pytest.mark.network
@pytest.mark.parametrize("bindir", [18], indirect=True)
def test_lost_slot_that_only_start_replication_tells(world, walrx, bindir):
    """No way to the view."""
    server, directory = lost_beside(world, walrx, bindir=bindir)
    server.sql("create role rep login replication")
    server.hba("host replication rep 127.0.0.1/32 trust")
    server.reload()
    conninfo = server.conninfo(user="rep")
    done = run_receiver(walrx, ["-D", directory, "-d", conninfo, "-S", "arch"], world.base, timeout=20)
    assert done.returncode == NEEDS_A_PERSON, done
    assert 'error   replication slot "arch" is lost' in done.stderr and "is still there" in done.stderr
    it = world.receive(walrx, directory, conninfo, CREATE, slot="arch")
    it.wait_streaming(server)
    it.wait_received(server, column="flush_lsn")
    assert it.stop() == 0
    assert server.slot("arch", "wal_status") == "reserved"


# -- without reserved WAL, in use -----------------------------------------------------------------

def test_slot_without_reserved_wal_is_told_once(world, walrx):
    server = world.server()
    server.create_slot("lazy", reserve=False)
    it = world.receive(walrx, world.archive(), server, "--flush-interval=0", slot="lazy")
    it.wait_streaming(server)
    first = server.slot("lazy", "active_pid")
    server.sql(f"select pg_terminate_backend({first})")
    wait_until(lambda: server.slot("lazy", "active_pid") not in ("", first), "it streams again", 20)
    assert server.slot("lazy") == "", "nothing was reported yet"
    server.switch()
    wait_until(lambda: server.slot("lazy") != "", "the slot keeps WAL", 20)
    assert it.stop() == 0
    assert it.log().count('replication slot "lazy" keeps no WAL yet') == 1


def test_slot_in_use_is_told_once_with_its_pid(world, walrx):
    server = world.server()
    server.create_slot("arch")
    one = world.receive(walrx, world.archive(), server, slot="arch")
    one.wait_streaming(server)
    pid = server.slot("arch", "active_pid")
    two = world.receive(walrx, world.archive(), server, slot="arch", PGAPPNAME="second")
    tries = "START_REPLICATION SLOT \"arch\""
    wait_until(lambda: server.log_path.read_text().count(f'received replication command: {tries}') >= 5,
               "three tries", 20)
    assert two.running() and one.stop() == 0
    wait_until(lambda: server.sender("state", "second") == ["streaming"], "the second one streams", 30)
    assert two.stop() == 0
    assert two.log().count(f"is active for PID {pid}") == 1, two.log()
    assert "hint: Another receiver uses it" in two.log(), two.log()


# -- missing ---------------------------------------------------------------------------------------

def test_missing_slot_names_the_option(world, walrx):
    server = world.server()
    done = receive(world, walrx, world.archive(), server)
    assert done.returncode == NEEDS_A_PERSON and CREATE in done.stderr, done


def test_missing_slot_is_created_at_the_first_start(world, walrx):
    """The archive begins with what the new slot keeps; later starts find it."""
    server = world.server()
    server.fill_segments(1)
    server.sql("checkpoint")
    server.fill_segments(2)
    directory = world.archive()
    it = assert_receives(world, walrx, directory, server, CREATE)
    position = re.search(r'"arch" did not exist: created, it keeps WAL from (\S+) on', it.log())[1]
    assert list(ar.segments(directory))[0] == server.segment(position)
    it.start()
    it.wait_streaming(server)
    assert it.stop() == 0
    assert it.log().count("created, it keeps") == 1


def test_slot_is_created_after_a_failover(world, walrx):
    """In the running receiver, at the reconnect; nothing is missing."""
    a = world.server()
    b = world.standby(a)
    directory = world.archive()
    it = world.receive(walrx, directory, f"host=127.0.0.1,127.0.0.1 port={a.port},{b.port} user=postgres "
                       "target_session_attrs=read-write", CREATE, slot="arch")
    it.wait_streaming(a)
    a.fill_segments(1)
    it.wait_received(a)
    a.stop()
    b.promote()
    it.wait_streaming(b)
    b.fill_segments(1)
    last = b.switch()
    b.insert()
    ar.wait_complete(directory, last)
    it.wait_received(b, column="flush_lsn")
    assert it.stop() == 0
    assert it.log().count("did not exist: created, it keeps") == 2, it.log()
    assert b.slot("arch") != "" and gaps(directory) == []
    ar.assert_equals_primary(directory, b, last=last)


@pytest.mark.parametrize("by_hand", [True, False], ids=["by-hand", "by-option"])
def test_new_slot_moves_back_to_what_the_archive_needs(world, walrx, by_hand):
    """It is made where the last checkpoint was, and the archive needs WAL from before: the first report
    says so, and the server keeps that too. Nothing is missing, so that is no gap."""
    server = world.server()
    directory, missing = archived(world, walrx, server)
    server.fill_segments(3)
    server.sql("checkpoint")
    end = start_of(server, missing) + server.segsize
    if by_hand:
        server.create_slot("arch")
        assert lsn(server.slot("arch")) > end, "otherwise the test shows nothing"
    done = receive(world, walrx, directory, server, f"--endpos={lsn_text(end)}", *([] if by_hand else [CREATE]))
    assert done.returncode == 0, done
    assert lsn(server.slot("arch")) == end, done
    assert_receives(world, walrx, directory, server)
    ar.assert_equals_primary(directory, server)
    assert gaps(directory) == []


def test_created_slot_does_not_hide_a_gap(world, walrx):
    server = forgetful_server(world)
    directory, missing = archived(world, walrx, server)
    remove_up_to(server, missing)
    done = receive(world, walrx, directory, server, CREATE)
    assert done.returncode == STOPPED_AT_GAP, done
    assert f"(file {missing})" in done.stderr and f"(file {first_there(server)})" in done.stderr
    assert server.slot("arch") != "", "made: it keeps what follows the gap while a person looks"
    first = first_there(server)
    assert_receives(world, walrx, directory, server, CREATE, CONTINUE)
    assert_gap(directory, server, missing, first)


def test_two_that_create_the_same_slot(world, walrx):
    """One gets it; the other waits for it."""
    server = world.server()
    both = [world.receive(walrx, world.archive(), server, CREATE, slot="arch", PGAPPNAME=name)
            for name in ("one", "two")]
    def streaming():
        return [name for name in ("one", "two") if server.sender("state", name) == ["streaming"]]
    wait_until(streaming, "one streams", 20)
    wait_until(lambda: sum("is active for PID" in it.log() for it in both) == 1, "the other waits", 20)
    assert all(it.running() for it in both) and len(streaming()) == 1
    assert sum(it.log().count("created, it keeps") for it in both) == 1
    for it in both:
        assert it.stop() == 0


def test_no_slot_is_free(world, walrx):
    server = world.server(conf={"max_replication_slots": "1"})
    server.create_slot("other")
    done = receive(world, walrx, world.archive(), server, CREATE)
    assert done.returncode == NEEDS_A_PERSON and "max_replication_slots" in done.stderr, done


# -- what only the view knows ----------------------------------------------------------------------

def show(world, walrx, conninfo, *args):
    return run([walrx.command[0], "slot", "show", "-d", conninfo, *args], env=clean_env(world.base), check=False,
               timeout=30)


def table(text):
    return dict(line.split(None, 1) for line in text.splitlines())


def assert_shows_state(world, walrx, server):
    server.create_slot("arch")
    it = world.receive(walrx, world.archive(), server, slot="arch")
    it.wait_streaming(server)
    server.insert()
    it.wait_received(server, column="flush_lsn")
    shown = table(show(world, walrx, server.conninfo(), "-S", "arch").stdout)
    assert shown["active_pid"] == server.slot("arch", "active_pid") and shown["wal_status"] == "reserved", shown
    assert 0 < int(shown["safe_wal_size"]) <= 4 << 20
    done = show(world, walrx, server.conninfo(), "-S", "arch", "--json")
    parsed = json.loads(done.stdout)["slots"][0]
    assert parsed["viewed"] is True and parsed["active_pid"] == int(shown["active_pid"])
    assert it.stop() == 0
    server.create_slot("never", reserve=False)
    lose_slot(server)
    end = server.flush_lsn()
    shown = table(show(world, walrx, server.conninfo(), "-S", "arch").stdout)
    assert (shown["wal_status"], shown["restart_lsn"], shown["active_pid"]) == ("lost", "-", "-"), shown
    server.create_slot("third")
    lines = show(world, walrx, server.conninfo()).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["slot_name", "arch", "never", "third"], lines
    assert lines[1].split()[1:] == ["-", "-", "-", "lost", "-"], lines
    listed = json.loads(show(world, walrx, server.conninfo(), "--json").stdout)["slots"]
    assert [s["slot_name"] for s in listed] == ["arch", "never", "third"]
    kept = listed[2]["retained_bytes"]
    assert kept == lsn(listed[2]["server_lsn"]) - lsn(server.slot("third")) and lsn(listed[2]["server_lsn"]) >= end


def test_show_tells_what_the_view_knows(world, walrx):
    assert_shows_state(world, walrx, forgetful_server(world))


@pytest.mark.parametrize("host", ["host=one.invalid,two.invalid ", ""], ids=["named", "address"])
def test_show_looks_at_the_host_of_a_list_that_answered(world, walrx, host):
    server = world.server()
    server.create_slot("arch")
    conninfo = f"{host}hostaddr=127.0.0.1,127.0.0.1 port={world.free_port()},{server.port} user=postgres"
    done = show(world, walrx, conninfo, "-S", "arch")
    assert done.returncode == 0 and done.stderr == "", done
    assert table(done.stdout)["wal_status"] == "reserved", done


def behind_pg_hba(server):
    """A role that may replicate but not connect to a database."""
    server.sql("create role rep login replication")
    server.hba("host replication rep 127.0.0.1/32 trust")
    server.reload()
    return server.conninfo(user="rep")


def test_show_without_the_view(world, walrx):
    server = world.server()
    server.create_slot("arch")
    conninfo = behind_pg_hba(server)
    done = show(world, walrx, conninfo, "-S", "arch")
    assert done.returncode == 0 and "pg_hba.conf" in done.stderr, done
    shown = table(done.stdout)
    assert shown["restart_lsn"] == server.slot("arch") and int(shown["retained_bytes"]) > 0
    assert [shown[c] for c in ("active_pid", "wal_status", "safe_wal_size")] == ["unknown"] * 3
    parsed = json.loads(show(world, walrx, conninfo, "-S", "arch", "--json").stdout)["slots"][0]
    assert parsed["viewed"] is False and parsed["wal_status"] is None


@pytest.mark.network
@pytest.mark.parametrize("bindir", [13], indirect=True)
def test_before_15_the_view_is_a_help_and_no_need(world, walrx, bindir):
    server = world.server(bindir=bindir, conf={"wal_keep_size": "0", "min_wal_size": "2MB"})
    server.fill_segments(2)
    server.sql("checkpoint")
    server.create_slot("arch")
    kept = server.segment(server.slot("arch"))
    server.fill_segments(2)
    conninfo = behind_pg_hba(server)
    directory = world.archive()
    it = world.receive(walrx, directory, conninfo, slot="arch")
    it.wait_streaming(server)
    server.fill_segments(1)
    it.wait_received(server, column="flush_lsn")
    assert it.stop() == 0
    assert it.log().count('the position of replication slot "arch" is not known') == 1
    names = list(ar.segments(directory))
    assert names[0] <= kept and kept in names, "everything that the slot kept"
    refused = show(world, walrx, conninfo, "-S", "arch")
    assert refused.returncode == 1 and "pg_hba.conf" in refused.stderr, refused
    server.sql("select pg_drop_replication_slot('arch')")
    done = run_receiver(walrx, ["-D", directory, "-d", conninfo, "-S", "arch"], world.base, timeout=20)
    assert done.returncode == NEEDS_A_PERSON and CREATE in done.stderr, done
    it = world.receive(walrx, directory, conninfo, CREATE, slot="arch")
    it.wait_streaming(server)
    assert it.stop() == 0
    assert server.slot("arch") != "", it.log()
    assert gaps(directory) == []


@pytest.mark.network
@pytest.mark.parametrize("bindir", [13], indirect=True)
def test_show_before_15(world, walrx, bindir):
    assert_shows_state(world, walrx, forgetful_server(world, bindir=bindir))
