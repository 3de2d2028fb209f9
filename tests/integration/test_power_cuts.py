# SPDX-License-Identifier: PostgreSQL
"""Power cuts on real filesystems: what the primary was told is safe is there after the remount.

20 cuts, 10 on each filesystem; tests/fault/cut-soak makes hundreds.
"""

import random
from pathlib import Path

import pytest
from harness import disk as disks
from harness.clients import Clients
from harness.cuts import CutArchive, Lost
from harness.util import run, wait_until, write_file

# Ten cuts and a kill, as many of the quick ones as leave each kind its place.
EVENTS = ["cut"] * 5 + ["cut+kill"] * 3 + ["cut+primary", "cut+kill+primary", "kill"]

HOLD = Path(__file__).resolve().parents[1] / "fault" / "hold_directory_sync.c"

pytestmark = [pytest.mark.slow, pytest.mark.receivers("walrx")]


@pytest.mark.parametrize("kind,segsize_mb", [("ext4", 1), ("xfs", 16)])
def test_nothing_reported_is_lost_by_a_power_cut(world, receiver, cut_disk, seed, kind, segsize_mb):
    """Each codec, synchronous and not, streaming and catching up, with kills of receiver and primary."""
    disk = cut_disk(kind)
    server = world.server(segsize_mb=segsize_mb)
    events = EVENTS.copy()
    random.Random(seed).shuffle(events)
    with Clients(server, seed=seed) as clients:
        archive = CutArchive(world, receiver, disk, server, clients, seed, tell=print)
        for event in events:
            archive.one(event)
        archive.end_archive()
    assert disk.cuts == 10
    assert len(set(archive.events)) >= 8


@pytest.mark.parametrize("kind", disks.KINDS)
def test_a_receiver_that_reports_too_early_is_found_out(world, receiver, cut_disk, seed, kind):
    """The same cuts with --no-sync, which reports what it has not synced: the comparison must see it."""
    disk = cut_disk(kind)
    server = world.server()
    with Clients(server, seed=seed) as clients:
        archive = CutArchive(world, receiver, disk, server, clients, seed, args=["--no-sync"])
        with pytest.raises(Lost, match="flushed up to"):
            for _ in range(8):
                archive.one("cut+kill")


@pytest.mark.parametrize("kind", disks.KINDS)
def test_a_name_that_was_not_synced_is_not_reported(world, receiver, cut_disk, seed, kind):
    """The power goes between giving a file its name and syncing the directory.

    XFS then calls the sync of the directory a success; the receiver must not."""
    library = hold_directory_sync(world)
    asked, held = world.base / "hold", world.base / "hold.held"
    disk = cut_disk(kind)
    cut = disk.cut

    def cut_before_sync():
        write_file(world.base / "hold.new", "").rename(asked)
        wait_until(held.exists, "the receiver is about to sync a directory")
        cut()
        held.unlink()

    disk.cut = cut_before_sync
    world.base.chmod(0o777)  # the receiver renames the file there
    server = world.server()
    with Clients(server, seed=seed) as clients:
        archive = CutArchive(world, receiver, disk, server, clients, seed, tell=print,
                             env={"LD_PRELOAD": library, "HOLD_DIRECTORY_SYNC": asked})
        for _ in range(4):
            archive.one("cut")


def hold_directory_sync(world):
    library = world.base / "hold_directory_sync.so"
    # As text: the server's user need not be able to read the tree.
    run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O", "-fPIC", "-shared", "-o", library, "-x", "c", "-"],
        input=HOLD.read_text())
    return library
