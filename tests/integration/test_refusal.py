# SPDX-License-Identifier: PostgreSQL
"""What must not be written to is not touched: exit code 2, both sides named, the tree as before."""

import re
import shutil
import signal

import pytest
from harness import archive as ar
from harness.receiver import run_receiver
from harness.util import lsn, run, wait_until

REFUSED = 2


def fill(world, program, server, directory, compress=None):
    """An archive with complete segments and an open one."""
    it = world.receive(program, directory, server, compress=compress)
    it.wait_streaming(server)
    server.fill_segments(1)
    last = server.switch()
    server.insert(rows=10)
    it.wait_received(server)
    ar.wait_complete(directory, last, ar.suffix_of(compress))
    assert it.stop() == 0


def attempt(world, walrx, directory, server, *args):
    return run_receiver(walrx, ["-D", directory, "-d", server.conninfo(), *args], world.base, timeout=20)


@pytest.mark.parametrize("sig", ["running", "stopped"])
def test_second_receiver_on_the_directory(world, walrx, sig):
    server = world.server()
    directory = world.archive()
    first = world.receive(walrx, directory, server)
    first.wait_streaming(server)
    server.insert(rows=10)
    first.wait_received(server)
    first.process.send_signal(signal.SIGSTOP)  # what changes now is the second one's doing
    before = ar.tree(directory)
    done = attempt(world, walrx, directory, server, *(["-n"] if sig == "stopped" else []))
    assert done.returncode == REFUSED, done
    assert str(first.process.pid) in done.stderr, done.stderr
    assert ar.tree(directory) == before
    first.process.send_signal(signal.SIGCONT)
    assert first.stop() == 0
    # and the lock goes with its holder
    second = world.receive(walrx, directory, server)
    second.wait_streaming(server)
    second.kill9()
    third = world.receive(walrx, directory, server)
    third.wait_streaming(server)
    assert third.stop() == 0


@pytest.mark.parametrize("begun_by,compress,keep", [
    ("walrx", None, "all"), ("walrx", "lz4", "all"), ("walrx", None, "no-identity"),
    ("walrx", "gzip:1", "no-identity"), ("walrx", "lz4", "no-identity"), ("walrx", "zstd", "no-identity"),
    ("walrx", None, "partial-only"), ("pg_receivewal", None, "all"), ("pg_receivewal", "gzip:1", "all"),
    ("pg_receivewal", "lz4", "all"), ("pg_receivewal", None, "partial-only"),
])
def test_another_cluster(world, walrx, programs, begun_by, compress, keep):
    """The archive of one cluster, a server of another, whatever of the archive is there."""
    mine = world.server()
    other = world.server(fresh=True)
    assert mine.system_identifier() != other.system_identifier()
    directory = world.archive()
    fill(world, programs(begun_by), mine, directory, compress)
    if keep != "all":
        shutil.rmtree(directory / ".walrx", ignore_errors=True)
    if keep == "partial-only":
        for path in ar.segments(directory).values():
            path.unlink()
    before = ar.untouchable(directory)
    done = attempt(world, walrx, directory, other)
    assert done.returncode == REFUSED, done
    assert mine.system_identifier() in done.stderr and other.system_identifier() in done.stderr, done.stderr
    assert ar.untouchable(directory) == before
    # the right server is welcome still
    it = world.receive(walrx, directory, mine, compress=compress)
    it.wait_streaming(mine)
    assert it.stop() == 0


@pytest.mark.parametrize("keep", ["all", "no-identity"])
def test_a_refusal_changes_nothing_at_all(world, walrx, keep):
    """Stricter than the tests around it: not the lock's text nor the time of a folder either."""
    mine, other = world.server(), world.server(fresh=True)
    directory = world.archive()
    fill(world, walrx, mine, directory)
    if keep != "all":
        shutil.rmtree(directory / ".walrx")
    before = ar.tree(directory)
    assert attempt(world, walrx, directory, other).returncode == REFUSED
    assert ar.tree(directory) == before


@pytest.mark.parametrize("keep", ["all", "no-identity"])
def test_another_segment_size(world, walrx, keep):
    """The same system identifier, but pg_resetwal gave the cluster another segment size."""
    server = world.server()
    directory = world.archive()
    fill(world, walrx, server, directory)
    if keep != "all":
        shutil.rmtree(directory / ".walrx")
    identifier = server.system_identifier()
    server.stop("fast")
    server.configure(min_wal_size="80MB")
    run([server.bindir / "pg_resetwal", "-D", server.data, "--wal-segsize=4"], env=server.env)
    server.start()
    assert server.system_identifier() == identifier
    before = ar.untouchable(directory)
    done = attempt(world, walrx, directory, server)
    assert done.returncode == REFUSED, done
    sizes = [re.search(p, done.stderr) for p in (r"\b(1 ?MB|1048576)\b", r"\b(4 ?MB|4194304)\b")]
    assert all(sizes), done.stderr
    assert ar.untouchable(directory) == before


def test_refused_even_without_identity_and_with_a_loop(world, walrx):
    """A refusal is final: it is not retried although loops are on (no -n above either)."""
    mine, other = world.server(), world.server(fresh=True)
    directory = world.archive()
    fill(world, walrx, mine, directory)
    it = world.receive(walrx, directory, other)
    assert it.wait(15) == REFUSED


def test_the_cluster_changes_behind_a_running_receiver(world, walrx):
    """Another cluster answers at the same address after a reconnect."""
    mine, other = world.server(), world.server(fresh=True, start=False)
    directory = world.archive()
    it = world.receive(walrx, directory, mine)
    it.wait_streaming(mine)
    mine.insert(rows=10)
    it.wait_received(mine)
    mine.stop("immediate")
    wait_until(lambda: ar.partials(directory), "the open segment is there")
    files = {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()}
    other.configure(port=mine.port)
    other.env["PGPORT"] = str(mine.port)
    other.start()
    assert it.wait(20) == REFUSED
    assert {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()} == files
    assert other.system_identifier() in it.log()


def test_directory_is_not_made(world, walrx):
    server = world.server()
    missing = world.base / "nosuch"
    done = attempt(world, walrx, missing, server, "-n")
    assert done.returncode in (1, 3) and str(missing) in done.stderr, done
    assert not missing.exists()


# -- holes ------------------------------------------------------------------------------------

def archive_with_a_hole(world, walrx):
    """The receiver was away, had no slot, and the server has removed what comes next."""
    server = world.server(conf={"wal_keep_size": "0", "min_wal_size": "2MB", "max_wal_size": "2MB"})
    directory = world.archive()
    it = world.receive(walrx, directory, server)
    it.wait_streaming(server)
    server.fill_segments(2)
    server.insert(rows=10)
    it.wait_received(server)
    assert it.stop() == 0
    missing = ar.partials(directory)[0].name[:24]
    server.fill_segments(4)

    def gone():
        server.sql("checkpoint")
        server.switch()
        server.insert()
        return not (server.wal_dir / missing).exists()
    wait_until(gone, f"{missing} is removed on the server", 30, 0.2)
    return server, directory, missing


def test_gap_stops_by_default(world, walrx):
    server, directory, missing = archive_with_a_hole(world, walrx)
    files = {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()}
    done = attempt(world, walrx, directory, server)
    assert done.returncode == REFUSED, done
    assert missing in done.stderr, done.stderr
    ends = re.findall(r"\b[0-9A-F]+/[0-9A-F]+\b", done.stderr)
    assert len({lsn(e) for e in ends}) >= 2, done.stderr
    assert {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()} == files


def test_gap_is_recorded_when_told_to_continue(world, walrx):
    server, directory, missing = archive_with_a_hole(world, walrx)
    it = world.receive(walrx, directory, server, "--on-gap=continue")
    it.wait_streaming(server)
    last = server.switch()
    server.insert()
    ar.wait_complete(directory, last)
    assert it.stop() == 0
    assert missing not in ar.segments(directory)
    assert missing in it.log(), it.log()
    # a second start knows of it and does not stop
    it = world.receive(walrx, directory, server)
    it.wait_streaming(server)
    assert it.stop() == 0


def test_gap_without_a_complete_segment_behind_it_is_not_met_again(world, walrx):
    """Stopped in the first segment behind the gap: the next start goes on in it, with no option."""
    server, directory, missing = archive_with_a_hole(world, walrx)
    it = world.receive(walrx, directory, server, "--on-gap=continue")
    it.wait_streaming(server)
    wait_until(lambda: missing in it.log(), "the gap is told")
    server.insert(rows=10)
    it.wait_received(server)
    assert it.stop() == 0
    behind = ar.partials(directory)[-1].name[:24]
    assert behind > missing and behind not in ar.segments(directory)
    gaps = (directory / ".walrx" / "gaps").read_text()
    it = world.receive(walrx, directory, server)
    it.wait_streaming(server)
    last = server.switch()
    server.insert()
    ar.wait_complete(directory, last)
    assert it.stop() == 0
    assert behind in ar.segments(directory) and missing not in ar.segments(directory)
    assert (directory / ".walrx" / "gaps").read_text() == gaps
