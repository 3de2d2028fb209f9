# SPDX-License-Identifier: PostgreSQL
"""States of the page cache: warm, cold (dropped before each run), full (of clean pages, each new one has
to push another out) or pressure (no room for it: the receiver's control group is limited).

The primary's WAL is mapped and locked in memory meanwhile: such pages survive drop_caches and reclaim,
so the walsender reads from memory in every state and nothing has to be read back before each run,
which took far longer than what was measured.
"""
import mmap
import os
import sys
from contextlib import contextmanager
from pathlib import Path

STATES = ("warm", "cold", "full", "pressure")
MAP_LOCKED = 0x2000  # Linux on x86 and ARM; Python has no name for it
CHUNK = 8 << 20
STEP = 64  # chunks between two looks at what is free
DROP = Path("/proc/sys/vm/drop_caches")


def map_file(path):
    """Locked where the user may; mapped alone, it can still be reclaimed when memory is short."""
    flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
    with open(path, "rb") as file:
        for more in (MAP_LOCKED, 0):
            try:
                return mmap.mmap(file.fileno(), 0, flags | more, mmap.PROT_READ)
            except OSError:
                if more == 0:
                    raise


@contextmanager
def held_in_memory(files):
    maps = [map_file(path) for path in files]
    try:
        yield
    finally:
        for mapped in maps:
            mapped.close()


def group_parent():
    """(folder for a control group that can limit memory, name of its limit); None when there is none."""
    unified = [Path(line.split()[1]) for line in Path("/proc/mounts").read_text().splitlines()
               if line.split()[2] == "cgroup2"]
    for mount in unified:
        if "memory" in (mount / "cgroup.subtree_control").read_text().split():
            return mount, "memory.max"
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        folder = Path("/sys/fs/cgroup/memory") / path.lstrip("/")
        if "memory" in controllers.split(",") and folder.is_dir():
            return folder, "memory.limit_in_bytes"
    return None


@contextmanager
def limited_memory(megabytes):
    """The cgroup.procs of a group whose processes, with the page cache they fill, get so much memory."""
    found = group_parent()
    if found is None:
        sys.exit("--cache=pressure: no control group here can limit memory")
    folder = found[0] / f"walrx-bench-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / found[1]).write_text(str(megabytes << 20))
        yield folder / "cgroup.procs"
    except PermissionError:
        sys.exit("--cache=pressure needs root")
    finally:
        if folder.is_dir():
            folder.rmdir()


def memory_mb(key):
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) // 1024
    sys.exit(f"no {key} in /proc/meminfo")


class Cache:
    """prepare() before each run."""

    def __init__(self, state, work):
        self.state, self.sparse, self.position = state, work / "holes", 0
        if state == "cold" and not os.access(DROP, os.W_OK):
            sys.exit("--cache=cold needs root")

    def fill(self):
        """Reads holes of a file as large as the memory: clean pages without any disk. Until that takes no
        more free memory: the kernel keeps some, how much differs."""
        size = memory_mb("MemTotal") << 20
        buffer = bytearray(CHUNK)
        free = memory_mb("MemFree")
        with open(self.sparse, "a+b", buffering=0) as file:
            file.truncate(size)
            for number in range(1, size // CHUNK):
                os.preadv(file.fileno(), [buffer], self.position)
                self.position = (self.position + CHUNK) % (size - size % CHUNK)
                if number % STEP == 0:
                    before, free = free, memory_mb("MemFree")
                    if before - free < STEP * (CHUNK >> 20) // 4:
                        break

    def prepare(self):
        os.sync()  # what earlier runs wrote must not be flushed during this one
        if self.state == "cold":
            DROP.write_text("3\n")
        if self.state == "full":
            self.fill()
