# SPDX-License-Identifier: PostgreSQL
"""An archive that ends with a complete segment: the first WAL received must continue it."""

import pytest
from harness import archive as ar
from harness.postgres import Postgres, copy_cluster
from harness.receiver import run_receiver
from harness.util import wait_until

REFUSED = 2


def archive_complete_segments(world, program, server, directory, compress, switch=True):
    """Receive some segments, then leave only complete ones; returns the last one's name."""
    it = world.receive(program, directory, server, compress=compress)
    it.wait_streaming(server)
    server.fill_segments(2)
    if switch:
        last = server.switch()
    else:
        last = server.segment()
        while server.segment() == last:  # a record lies over the boundary, most likely
            server.insert(rows=40, width=6000)
    ar.wait_complete(directory, last, ar.suffix_of(compress))
    assert it.stop() == 0
    for path in ar.partials(directory):
        path.unlink()
    ar.wait_compressed(directory, ar.suffix_of(compress))
    assert "warning" not in it.log().lower(), it.log()
    return list(ar.segments(directory))[-1]


@pytest.mark.parametrize("switch", [True, False], ids=["switch", "full"])
@pytest.mark.parametrize("compress", [None, "lz4"])
def test_restored_server_that_has_passed_the_archive(world, walrx, compress, switch):
    """A copy from earlier, same timeline, whose own WAL goes beyond what is archived."""
    server = world.server()
    server.stop("fast")
    old = Postgres(world.base, "old", world.templates, data_from=lambda t: copy_cluster(server.data, t))
    world.servers.append(old)
    server.start()
    directory = world.archive()
    last = archive_complete_segments(world, walrx, server, directory, compress, switch)
    server.stop("fast")
    old.start()
    while old.segment() <= last:
        old.insert(rows=100, width=700)
    old.insert(rows=100, width=700)
    before = ar.untouchable(directory, state=False)
    done = run_receiver(walrx, ["-D", directory, "-d", old.conninfo()], world.base, timeout=20)
    assert done.returncode == REFUSED, done
    assert "does not continue" in done.stderr and last in done.stderr, done.stderr
    assert ar.untouchable(directory, state=False) == before
    old.stop("fast")
    # the right server is welcome still
    server.start()
    it = world.receive(walrx, directory, server, compress=compress)
    it.wait_streaming(server)
    last = server.switch()
    server.insert()
    ar.wait_complete(directory, last, ar.suffix_of(compress))
    assert it.stop() == 0
    ar.wait_compressed(directory, ar.suffix_of(compress))
    ar.assert_equals_primary(directory, server, last=last)


@pytest.mark.parametrize("compress", [None, "gzip:1", "zstd"])
def test_start_behind_a_complete_segment(world, walrx, compress):
    """After a switch, over a record that crosses the boundary, and after a crash of the server."""
    server = world.server()
    directory = world.archive()
    for switch in (True, False, True, False):
        archive_complete_segments(world, walrx, server, directory, compress, switch)
    server.kill9()
    server.start()
    last = archive_complete_segments(world, walrx, server, directory, compress)
    ar.assert_equals_primary(directory, server, last=last, suffix=ar.suffix_of(compress))


def test_damaged_last_segment_is_told(world, walrx):
    """Nothing can be checked then: a warning, and WAL is received all the same."""
    server = world.server()
    directory = world.archive()
    last = archive_complete_segments(world, walrx, server, directory, None)
    data = bytearray((directory / last).read_bytes())
    data[100:200] = bytes(100)
    (directory / last).write_bytes(data)
    it = world.receive(walrx, directory, server)
    it.wait_streaming(server)
    wait_until(lambda: "cannot check whether" in it.log() and last in it.log(), it.log())
    newest = server.switch()
    server.insert()
    ar.wait_complete(directory, newest)
    assert it.stop() == 0
