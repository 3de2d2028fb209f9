# SPDX-License-Identifier: PostgreSQL
"""Power cuts on real filesystems: what the primary was told is safe is there after the remount.

20 cuts, 10 on each filesystem; tests/fault/cut-soak makes hundreds.
"""

import random

import pytest
from harness import disk as disks
from harness.clients import Clients
from harness.cuts import CutArchive, Lost

# Ten cuts and a kill, as many of the quick ones as leave each kind its place.
EVENTS = ["cut"] * 5 + ["cut+kill"] * 3 + ["cut+primary", "cut+kill+primary", "kill"]

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
