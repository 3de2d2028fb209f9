# SPDX-License-Identifier: PostgreSQL
"""One base backup of timeline 1, an archive with three timelines: servers recovered to every kind of target have,
row by row, what the primary had at that moment. What is damaged or incomplete is refused, never taken for the end."""

import re
import tempfile
from pathlib import Path

import pytest
from harness import archive as ar
from harness.chain import CODECS, Chain
from harness.recovery import assert_moments, assert_refused, command, is_out_of_recovery, recovering
from harness.util import lsn, make_dir, run, wait_until
from harness.world import World


@pytest.fixture(scope="module")
def chain(temp_root, templates, programs):
    world = World(make_dir(Path(tempfile.mkdtemp(prefix="recovery-", dir=temp_root)) / "w", 0o755), templates)
    world.base.parent.chmod(0o755)
    try:
        yield Chain(world, programs("walrx"))
    finally:
        world.close()


@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS)
def test_each_target_gives_what_the_primary_had(world, chain, walrx, codec):
    """The newest commit, a time on each timeline, a restore point, a position, a transaction, a dead end."""
    directory = chain.archives[codec]
    assert {path.suffix for path in ar.segments(directory).values()} == {ar.suffix_of(CODECS[codec])}
    assert [path.name[:8] for path in ar.partials(directory)] == ["00000001", "00000002", "00000003"]
    before = ar.tree(directory)
    assert len({str(moment.rows) for moment in chain.moments}) == len(chain.moments) == 9
    assert_moments(world, chain.a, chain.backup, walrx, directory, chain.moments)
    assert ar.tree(directory) == before


def damaged_copy(world, chain, codec, name, change):
    """A copy of the archive in which the content of one segment is another; the path of that."""
    directory = world.base / "damaged"
    run(["cp", "-a", chain.archives[codec], directory])
    path = ar.segments(directory)[name]
    path.write_bytes(change(path.read_bytes()))
    return path


def flip(data):
    """One bit in the middle; of a raw segment not in a page's header."""
    middle = len(data) // 2 + 1000
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1:]


def recover(world, chain, walrx, directory, command_options=(), **settings):
    settings.setdefault("recovery_target_timeline", "latest")
    return recovering(world, chain.a, chain.backup, command(walrx, directory, *command_options), wait=False, **settings)


@pytest.mark.parametrize("timeline", [1, 2, 3])
@pytest.mark.parametrize("codec", CODECS)
def test_a_flipped_bit_stops_recovery_and_is_named(world, chain, walrx, codec, timeline):
    name = chain.whole[timeline - 1]
    assert int(name[:8], 16) == timeline
    path = damaged_copy(world, chain, codec, name, flip)
    server = recover(world, chain, walrx, path.parent)
    assert_refused(server, f'file "{path}" is damaged: ', "child process exited with exit code 201")
    told = "".join(re.findall(r"is damaged: .*|walrx: detail: .*", server.log_path.read_text()))
    places = [lsn(text) for text in re.findall(r"[0-9A-F]+/[0-9A-F]+", told)]
    start = ar.segment_number(name, chain.a.segsize) * chain.a.segsize
    if codec == "none":  # the record around the bit
        assert places and start + chain.a.segsize // 2 - 2000 <= places[0] <= start + chain.a.segsize // 2 + 1000, told
    else:  # a place in the WAL, beside what the bytes there claim, or one in the file
        assert not places or any(start <= place < start + chain.a.segsize for place in places), told


@pytest.mark.parametrize("codec", CODECS)
def test_a_truncated_file_stops_recovery_and_is_named(world, chain, walrx, codec):
    path = damaged_copy(world, chain, codec, chain.whole[1], lambda data: data[:len(data) * 2 // 3])
    assert_refused(recover(world, chain, walrx, path.parent), f'file "{path}" is damaged: ',
                   "child process exited with exit code 201")


@pytest.mark.parametrize("number", [2, 3])
def test_a_missing_history_file_stops_recovery_and_is_named(world, chain, walrx, number):
    """The server would take the timeline before it for the newest one, and end there."""
    directory = world.base / "incomplete"
    run(["cp", "-a", chain.archives["lz4"], directory])
    (directory / f"{number:08X}.history").unlink()
    server = recover(world, chain, walrx, directory)
    assert_refused(server, f'history file "{number:08X}.history" is missing in "{directory}"',
                   f"The archive has WAL of timeline {number}", "child process exited with exit code 201")


def test_a_missing_segment_stops_recovery_and_is_named(world, chain, walrx):
    """It would end there as if there were no more WAL, with or without a target. A target before it is reached where
    reading ahead may pass the gap; who wants to end at the gap says so."""
    directory = world.base / "incomplete"
    run(["cp", "-a", chain.archives["zstd"], directory])
    ar.segments(directory)[chain.whole[1]].unlink()
    targets = [m.settings for m in chain.moments if m.name in ("a time on timeline 3", "a restore point", "a position")]
    assert len(targets) == 3
    beyond, latest = (recover(world, chain, walrx, directory, **settings) for settings in (targets[2], {}))
    point, position, ended = (recover(world, chain, walrx, directory, command_options=("--on-gap=continue",), **settings)
                              for settings in (targets[0], targets[1], {}))
    for server in (beyond, latest):
        assert_refused(server, f'segment "{chain.whole[1]}" is missing in "{directory}"',
                       "child process exited with exit code 201")
    for server in (point, position):  # they lie before it
        wait_until(lambda s=server: "recovery stopping " in s.log_path.read_text(), "the target", 60)
    wait_until(lambda: is_out_of_recovery(ended), "the end of recovery", 60)
    have = set(ended.sql("select id from load").split())
    assert 0 < len(have) < len(chain.dead_rows)
