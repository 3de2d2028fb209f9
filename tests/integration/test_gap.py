# SPDX-License-Identifier: PostgreSQL
"""Holes: the server has removed what the archive needs next. Both ends are told as they are, no WAL
that the server still has is skipped, and each hole that was accepted is recorded once."""

import os
import re
import signal

import pytest
from harness import archive as ar
from harness.postgres import history_files
from harness.receiver import run_receiver
from harness.util import lsn, wait_until

STOPPED_AT_GAP = 2
NEEDS_A_PERSON = 1


def small_server(world, keep="0"):
    """WAL is removed by the checkpoints that the test asks for, down to `keep`."""
    return world.server(conf={"wal_keep_size": keep, "min_wal_size": "2MB"})


def first_there(server):
    """The oldest segment that the server has."""
    return min(p.name for p in server.wal_dir.iterdir() if ar.SEGMENT.fullmatch(p.name))


def remove_up_to(server, missing):
    """The server writes on until it has removed the segment `missing`."""
    def gone():
        server.fill_segments(1)
        server.sql("checkpoint")
        return first_there(server) > missing
    wait_until(gone, f"{missing} is removed on the server", 30, 0.1)


def start_of(server, name):
    return ar.segment_number(name, server.segsize) * server.segsize


def gaps(directory):
    """(timeline, begin, end) of each recorded hole."""
    path = directory / ".walrx" / "gaps"
    lines = path.read_text().splitlines() if path.exists() else []
    found = [re.fullmatch(r"timeline=(\d+) begin=(\S+) end=(\S+) seen=\S+", line) for line in lines]
    assert all(found), lines
    return [(int(m[1]), lsn(m[2]), lsn(m[3])) for m in found]


def archive_behind(world, walrx, keep, slot=None):
    """An archive, and a server that kept `keep` but not what comes next in the archive."""
    server = small_server(world, keep)
    if slot:
        server.create_slot(slot)
    directory = world.archive()
    it = world.receive(walrx, directory, server, slot=slot)
    it.wait_streaming(server)
    server.fill_segments(2)
    server.insert(rows=10)
    it.wait_received(server)
    assert it.stop() == 0
    missing = ar.partials(directory)[0].name[:24]
    if slot:
        server.sql(f"select pg_drop_replication_slot('{slot}')")
    remove_up_to(server, missing)
    if slot:
        server.create_slot(slot)
    return server, directory, missing


def assert_stops_at(world, walrx, directory, server, missing, slot=None):
    first = first_there(server)
    args = ["-S", slot] if slot else []
    done = run_receiver(walrx, ["-D", directory, "-d", server.conninfo(), *args], world.base, timeout=20)
    assert done.returncode == STOPPED_AT_GAP, done
    assert "has already been removed" in done.stderr
    for name in (missing, first):
        assert f"(file {name})" in done.stderr, (first, done.stderr)
    told = {lsn(e) for e in re.findall(r"at ([0-9A-F]+/[0-9A-F]+) \(file|from ([0-9A-F]+/[0-9A-F]+) \(file",
                                       done.stderr) for e in e if e}
    assert told == {start_of(server, missing), start_of(server, first)}, done.stderr
    assert not (directory / ".walrx" / "gaps").exists()


def assert_continues_at(world, walrx, directory, server, missing, slot=None):
    before = set(ar.segments(directory))
    first = first_there(server)
    it = world.receive(walrx, directory, server, "--on-gap=continue", slot=slot)
    it.wait_streaming(server)
    last = server.switch()
    server.insert()
    ar.wait_complete(directory, last)
    assert it.stop() == 0
    assert gaps(directory) == [(1, start_of(server, missing), start_of(server, first))], it.log()
    new = [n for n in ar.segments(directory) if n not in before]
    numbers = [ar.segment_number(n, server.segsize) for n in new]
    assert new[0] == first and new[-1] == last, (first, last, new)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    for name in new:
        if (server.wal_dir / name).exists():
            ar.assert_same_bytes(name, (directory / name).read_bytes(), (server.wal_dir / name).read_bytes())
    return new


@pytest.mark.parametrize("slot", [None, "again"])
@pytest.mark.parametrize("keep", ["0", "9MB"])
def test_stop_tells_the_first_segment_that_the_server_has(world, walrx, keep, slot):
    server, directory, missing = archive_behind(world, walrx, keep, slot)
    position = server.slot(slot) if slot else None
    assert_stops_at(world, walrx, directory, server, missing, slot)
    if slot:
        assert server.slot(slot) == position, "looking for the end of the gap moved the slot"


@pytest.mark.parametrize("slot", [None, "again"])
def test_continue_skips_nothing_that_the_server_has(world, walrx, slot):
    server, directory, missing = archive_behind(world, walrx, "9MB", slot)
    new = assert_continues_at(world, walrx, directory, server, missing, slot)
    assert len(new) >= 9, new


def test_a_gap_met_again_is_recorded_once(world, walrx):
    """Nothing was received behind it: the next connection meets the same hole."""
    server, directory, missing = archive_behind(world, walrx, "9MB")
    new = assert_continues_at(world, walrx, directory, server, missing)
    recorded = gaps(directory)
    for _ in range(2):
        for name in new:
            (directory / name).unlink()
        for path in ar.partials(directory):
            if path.name[:24] > missing:
                path.unlink()
        it = world.receive(walrx, directory, server, "--on-gap=continue")
        it.wait_streaming(server)
        it.wait_received(server)
        ar.wait_complete(directory, new[-1])
        assert it.stop() == 0
        assert "continuing behind the gap" in it.log()
        assert gaps(directory) == recorded


def fall_behind(server, it):
    """The walsender stands still at a segment's end until the next segment is gone.

    In the middle of a segment it would notice first that the one it reads was removed, which it does
    not report as a missing file. Returns its pid and its position.
    """
    pid = int(server.sender("pid")[0])

    def stopped_at_an_end():
        server.insert()
        server.switch()
        it.wait_received(server)
        os.kill(pid, signal.SIGSTOP)
        if lsn(server.sender("sent_lsn")[0]) % server.segsize == 0:
            return True
        os.kill(pid, signal.SIGCONT)
        return False
    wait_until(stopped_at_an_end, "the walsender stands at a segment's end", 30)
    position = lsn(server.sender("sent_lsn")[0])
    remove_up_to(server, server.segment(server.sender("sent_lsn")[0]))
    return pid, position


def test_gaps_in_one_long_connection(world, walrx):
    """Both holes are told as they are when they are met, not as the server was at the connect."""
    server = small_server(world)
    directory = world.archive()
    it = world.receive(walrx, directory, server, "--on-gap=continue")
    it.wait_streaming(server)
    expected = []
    for _ in range(2):
        pid, position = fall_behind(server, it)
        expected.append((1, position, start_of(server, first_there(server))))
        os.kill(pid, signal.SIGCONT)
        it.wait_received(server)
        assert int(server.sender("pid")[0]) == pid, it.log()
        assert gaps(directory) == expected, it.log()
    last = server.switch()
    server.insert()
    ar.wait_complete(directory, last)
    assert it.stop() == 0
    have = [ar.segment_number(n, server.segsize) for n in ar.segments(directory)]
    holes = [(1, (a + 1) * server.segsize, b * server.segsize) for a, b in zip(have, have[1:]) if b != a + 1]
    assert holes == expected


def test_gap_in_a_long_connection_stops(world, walrx):
    server = small_server(world)
    directory = world.archive()
    it = world.receive(walrx, directory, server)
    it.wait_streaming(server)
    pid, position = fall_behind(server, it)
    first = first_there(server)
    os.kill(pid, signal.SIGCONT)
    assert it.wait() == STOPPED_AT_GAP
    begin, end = re.search(r"continues at (\S+) .*can send from (\S+) ", it.log()).groups()
    assert (lsn(begin), lsn(end)) == (position, start_of(server, first)), it.log()
    assert f"(file {first})" in it.log()
    assert gaps(directory) == []


# -- a history file that the server lacks is no hole ------------------------------------------

def promoted_without_history(world, walrx, directory):
    a = world.server()
    b = world.standby(a)
    it = world.receive(walrx, directory, a)
    it.wait_streaming(a)
    a.fill_segments(1)
    it.wait_received(a)
    assert it.stop() == 0
    a.stop()
    b.promote()
    b.fill_segments(1)
    return b


def test_archived_history_stands_in_for_the_servers(world, walrx):
    directory = world.archive()
    b = promoted_without_history(world, walrx, directory)
    it = world.receive(walrx, directory, b)
    it.wait_received(b)  # the archive is on the new timeline
    assert it.stop() == 0
    for name in history_files(b):
        (b.wal_dir / name).unlink()
    it = world.receive(walrx, directory, b, "--on-gap=continue")
    it.wait_streaming(b)
    b.fill_segments(1)
    last = b.switch()
    b.insert()
    ar.wait_complete(directory, last)
    assert it.stop() == 0
    assert it.log().count("the server has no history file of timeline 2; using the archived one") == 1
    assert gaps(directory) == []


def test_history_that_nobody_has_is_no_gap(world, walrx):
    directory = world.archive()
    b = promoted_without_history(world, walrx, directory)
    for name in history_files(b):
        (b.wal_dir / name).unlink()
    done = run_receiver(walrx, ["-D", directory, "-d", b.conninfo(), "--on-gap=continue"], world.base, timeout=20)
    assert done.returncode == NEEDS_A_PERSON, done
    assert "Copy 00000002.history" in done.stderr, done.stderr
    assert gaps(directory) == []
