# SPDX-License-Identifier: PostgreSQL
"""Compressed archives: one standard frame per file, the same bytes, the open segment raw."""

import subprocess
import time

import pytest
from harness import archive as ar

SHARED = ["gzip", "gzip:1", "gzip:9", "lz4", "lz4:12", "gzip:level=5", "6"]
OURS = ["gzip:6", "lz4:1", "zstd", "zstd:1", "zstd:19", "zstd:level=3"]


def suffix_of(spec):
    return ".gz" if spec.isdigit() else ar.suffix_of(spec)


def check(world, receiver, spec):
    server = world.server()
    server.create_slot("arch")
    first = server.segment(server.slot("arch"))
    directory = world.archive()
    run = world.receive(receiver, directory, server, slot="arch", compress=spec)
    run.wait_streaming(server)
    server.fill_segments(2)
    server.sql("select pg_switch_wal()")
    server.insert(rows=10)
    last = server.switch()
    server.insert(rows=10)
    suffix = suffix_of(spec)
    run.wait_received(server)
    ar.wait_complete(directory, last, suffix)
    ar.wait_compressed(directory, suffix)
    upto = server.flush_lsn()
    assert run.stop() == 0
    ar.assert_equals_primary(directory, server, first=first, last=last, suffix=suffix)
    for path in ar.segments(directory).values():
        ar.assert_readable(path)
        # the switched segment is mostly zeros; the filled ones must still have shrunk
        assert path.stat().st_size < server.segsize
    return server, directory, upto


@pytest.mark.parametrize("spec", SHARED)
def test_common_methods(world, receiver, spec):
    server, directory, upto = check(world, receiver, spec)
    if receiver.is_walrx:
        ar.assert_partial(directory, server, upto)


@pytest.mark.parametrize("spec", OURS)
@pytest.mark.receivers("walrx")
def test_methods_of_walrx(world, receiver, spec):
    server, directory, upto = check(world, receiver, spec)
    ar.assert_partial(directory, server, upto)


@pytest.mark.parametrize("spec", ["none", "0"])
def test_none(world, receiver, spec):
    server = world.server()
    directory = world.archive()
    run = world.receive(receiver, directory, server, compress=spec)
    run.wait_streaming(server)
    last = server.switch()
    server.insert()
    ar.wait_complete(directory, last)
    assert run.stop() == 0
    ar.assert_equals_primary(directory, server, last=last, suffix="")


@pytest.mark.receivers("walrx")
def test_one_frame_and_the_size_in_it(world, receiver):
    """Tools that ask the frame for its length get it: lz4 and zstd record it, gzip has one member."""
    for spec in ("lz4", "zstd"):
        _, directory, _ = check(world, receiver, spec)
        path = list(ar.segments(directory).values())[0]
        tool = ["lz4", "--list"] if spec == "lz4" else ["zstd", "-lv"]
        text = subprocess.run([*tool, str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=True).stdout
        assert "1048576" in text or "1.00M" in text or "1.05 MB" in text or "1.00 MiB" in text, text


@pytest.mark.receivers("walrx")
def test_method_changes_between_runs(world, receiver):
    """Each codec continues where the one before stopped; nothing is fetched or kept twice."""
    server = world.server()
    server.create_slot("arch")
    first = server.segment(server.slot("arch"))
    directory = world.archive()
    suffixes = []
    for spec in (None, "gzip:1", "lz4", "zstd:1", None):
        run = world.receive(receiver, directory, server, slot="arch", compress=spec)
        run.wait_streaming(server)
        last = server.switch()
        server.insert(rows=5)
        run.wait_received(server)
        ar.wait_complete(directory, last, ar.suffix_of(spec))
        suffixes.append((last, ar.suffix_of(spec)))
        assert run.stop() == 0
        assert len(ar.partials(directory)) == 1
    names = ar.assert_equals_primary(directory, server, first=first)
    assert len(names) == len(set(names))
    have = ar.segments(directory)
    for last, suffix in suffixes:
        assert have[last].name == last + suffix


@pytest.mark.receivers("walrx")
def test_history_files_stay_raw(world, receiver):
    server = world.server()
    standby = world.standby(server)
    directory = world.archive()
    server.stop("fast")
    standby.promote()
    run = world.receive(receiver, directory, standby, compress="zstd")
    run.wait_streaming(standby)
    assert ar.assert_histories(directory, standby) == ["00000002.history"]
    assert run.stop() == 0


@pytest.mark.receivers("walrx")
def test_slow_compression_is_told_and_does_not_hold_up_a_stop(world, receiver):
    """A full ring slows the stream down and says so; a stop does not wait for all of it to be compressed."""
    server = world.server()
    server.create_slot("arch")
    first = server.segment(server.slot("arch"))
    for _ in range(120):
        server.sql("select pg_logical_emit_message(false, 'noise', (select string_agg(md5(i || random()::text), '')"
                   " from generate_series(1, 32768) i))")
    directory = world.archive()
    run = world.receive(receiver, directory, server, "--compress-workers=1", slot="arch", compress="zstd:19")
    run.wait_log("held up by compression", timeout=120)
    began = time.monotonic()
    assert run.stop(timeout=30) == 0
    assert time.monotonic() - began < 20
    ar.assert_equals_primary(directory, server, first=first)
    have = [ar.segment_number(name, server.segsize) for name in ar.segments(directory)]
    acknowledged = ar.segment_number(server.segment(server.slot("arch")), server.segsize)
    assert acknowledged <= max(have) + 1
    last = server.switch()
    server.insert()
    run = world.receive(receiver, directory, server, slot="arch", compress="lz4")
    ar.wait_complete(directory, last, ".lz4", timeout=60)
    run.wait_received(server)
    assert run.stop() == 0
    ar.assert_equals_primary(directory, server, first=first, last=last)
