# SPDX-License-Identifier: PostgreSQL
"""Where receiving starts when the end of the archive is not as a run leaves it."""

import shutil

import pytest
from harness import archive as ar
from harness.util import run, wait_until


def fill(world, program, server, directory, compress=None):
    """Six complete segments without a partial; their names."""
    it = world.receive(program, directory, server, compress=compress)
    it.wait_streaming(server)
    for _ in range(6):
        server.insert(rows=10)
        last = server.switch()
    server.insert()
    ar.wait_complete(directory, last, ar.suffix_of(compress))
    assert it.stop() == 0
    for path in ar.partials(directory):
        path.unlink()
    ar.wait_compressed(directory, ar.suffix_of(compress))
    return list(ar.segments(directory))


def receive_more(world, program, server, directory, compress=None):
    it = world.receive(program, directory, server, compress=compress)
    it.wait_streaming(server)
    last = server.switch()
    server.insert()
    ar.wait_complete(directory, last, ar.suffix_of(compress))
    assert it.stop() == 0
    ar.wait_compressed(directory, ar.suffix_of(compress))
    return it, last


@pytest.mark.parametrize("compress,keep", [(None, 300000), (None, 0), ("gzip:1", 0), ("lz4", 0.5), ("zstd", 0.5)])
def test_newest_segment_is_not_whole(world, walrx, compress, keep):
    """It is told, kept aside, and received again; so is the one before it."""
    server = world.server()
    directory = world.archive()
    bad = fill(world, walrx, server, directory, compress)[-2:]
    for name in bad:
        path = ar.segments(directory)[name]
        data = path.read_bytes()
        path.write_bytes(data[:keep if keep > 1 else int(len(data) * keep)])
    it, last = receive_more(world, walrx, server, directory, compress)
    for name in bad:
        assert f"{name}{ar.suffix_of(compress)}\" is not a whole segment" in it.log(), it.log()
        assert (directory / ".walrx" / "quarantine" / (name + ar.suffix_of(compress))).exists()
    ar.assert_equals_primary(directory, server, last=last, suffix=ar.suffix_of(compress))


@pytest.mark.parametrize("complete", [0, 2])
@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("packed", [False, True], ids=["raw", "packed"])
def test_hole_before_a_newer_partial(world, walrx, complete, between, packed):
    """Complete 1 and 2, partials 3 and 5, or 5 only: 3 and 4 are received all the same."""
    server = world.server()
    directory = world.archive()
    names = fill(world, walrx, server, directory)
    partials = names[2:5:2] if between or complete == 0 else names[4:5]
    for name in names[complete:]:
        (directory / name).rename(directory / (name + ".partial"))
        if name not in partials:
            (directory / (name + ".partial")).unlink()
        elif packed:
            run(["gzip", "-S", ".gz", directory / (name + ".partial")])
            shutil.move(directory / (name + ".partial.gz"), directory / (name + ".gz.partial"))
    _, last = receive_more(world, walrx, server, directory)
    first = names[0] if complete else partials[0]
    ar.assert_equals_primary(directory, server, first=first, last=last)
    wait_until(lambda: not list(directory.glob("*.gz.partial")), "compressed partials are merged")


def test_archive_of_another_branch(world, walrx):
    """It holds a promoted standby's timeline only: the server's own from its begin."""
    primary = world.server()
    first = world.standby(primary)
    second = world.standby(primary, recovery_target_timeline="current")  # must not follow the first
    primary.insert(rows=10)
    for server in (first, second):
        wait_until(lambda s=server: s.sql("select pg_last_wal_replay_lsn()") >= primary.sql(
            "select pg_current_wal_lsn()"), "the standby has caught up")
    primary.stop("fast")
    first.promote()
    directory = world.archive()
    it = world.receive(walrx, directory, first)
    it.wait_streaming(first)
    last = first.switch()
    first.insert()
    ar.wait_complete(directory, last)
    assert it.stop() == 0
    assert all(n.startswith("00000002") for n in ar.segments(directory))
    branch = {p.name: p.read_bytes() for p in ar.segments(directory).values()}
    first.stop("fast")
    (directory / "00000002.history").replace(world.base / "00000002.history")
    shutil.copy(world.base / "00000002.history", second.wal_dir)  # so that it takes timeline 3
    shutil.chown(second.wal_dir / "00000002.history", *ownership(second.wal_dir))
    second.promote()
    begin = second.segment()
    second.fill_segments(2)
    it = world.receive(walrx, directory, second)
    it.wait_streaming(second)
    newest = second.switch()
    second.insert()
    ar.wait_complete(directory, newest)
    assert it.stop() == 0
    assert "timeline 3 begins" in it.log(), it.log()
    third = [n for n in ar.segments(directory) if n.startswith("00000003")]
    assert third[0] == begin and len(third) >= 2, third
    for name in third:
        ar.assert_same_bytes(name, (directory / name).read_bytes(), (second.wal_dir / name).read_bytes())
    assert {n: (directory / n).read_bytes() for n in branch} == branch


def ownership(path):
    status = path.stat()
    return status.st_uid, status.st_gid
