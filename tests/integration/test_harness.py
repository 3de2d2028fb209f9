# SPDX-License-Identifier: PostgreSQL
"""The helpers fail when they should: each comparison is shown a damaged archive."""

import pytest
from harness import archive as ar


@pytest.fixture
def archived(world, programs):
    """A server and an archive of three of its segments made by cp."""
    server = world.server()
    server.fill_segments(1)
    first = server.segment()
    server.fill_segments(3)
    names = [n.name for n in sorted(server.wal_dir.iterdir())
             if ar.SEGMENT.fullmatch(n.name) and first <= n.name < server.segment()]
    directory = world.archive()
    for name in names:
        (directory / name).write_bytes((server.wal_dir / name).read_bytes())
    assert ar.assert_equals_primary(directory, server, first=first, last=names[-1]) == names
    ar.assert_waldump_reads(directory, world.base)
    return server, directory, names


def damage(path, offset):
    raw = bytearray(path.read_bytes())
    raw[offset] ^= 1
    path.write_bytes(raw)


def test_one_changed_bit_is_seen(archived, world):
    server, directory, names = archived
    damage(directory / names[1], 5000)
    with pytest.raises(AssertionError, match="first difference at 5000"):
        ar.assert_equals_primary(directory, server)
    with pytest.raises(AssertionError, match=names[1]):
        ar.assert_waldump_reads(directory, world.base)


def test_a_hole_and_a_short_file_are_seen(archived):
    server, directory, names = archived
    whole = (directory / names[1]).read_bytes()
    (directory / names[1]).unlink()
    with pytest.raises(AssertionError, match="a hole"):
        ar.assert_equals_primary(directory, server)
    (directory / names[1]).write_bytes(whole[:-1])
    with pytest.raises(AssertionError, match="bytes"):
        ar.assert_equals_primary(directory, server)


def test_differing_archives_are_seen(archived, world):
    _, directory, names = archived
    other = world.archive()
    for name in names:
        (other / name).write_bytes((directory / name).read_bytes())
    ar.assert_same_archives(directory, other)
    damage(other / names[0], 100)
    with pytest.raises(AssertionError, match=names[0]):
        ar.assert_same_archives(directory, other)


def test_a_touched_tree_is_seen(archived):
    _, directory, names = archived
    before = ar.tree(directory)
    assert ar.tree(directory) == before
    (directory / names[0]).touch()
    assert ar.tree(directory) != before
