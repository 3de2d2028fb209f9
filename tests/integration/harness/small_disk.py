# SPDX-License-Identifier: PostgreSQL
"""A small ext4 that other programs fill up and clear."""

import os
from contextlib import suppress

from .disk import CutDisk
from .util import wait_until


class SmallDisk(CutDisk):
    def __init__(self, base, size_mb):
        super().__init__("ext4", base, size_mb, ("-b", "4096", "-m", "0", "-J", "size=4"))
        self.ballast = self.root / "ballast"
        self.archive = self.make_dir("archive")

    def free(self):
        info = os.statvfs(self.root)
        return info.f_bavail * info.f_frsize

    def leave_free(self, size):
        """Another program takes all space but so much, at once and for real. What the receiver gives back
        or takes meanwhile (a raw segment that is being compressed) counts."""
        with open(self.ballast, "ab") as file:
            def taken():
                end = os.fstat(file.fileno()).st_size
                if self.free() > size:
                    with suppress(OSError):  # no longer as much as that
                        os.posix_fallocate(file.fileno(), end, self.free() - size)
                return self.free() <= size + (1 << 16)
            wait_until(taken, f"{size} bytes are left", 10)

    def fill(self):
        """Not a single block is left."""
        self.leave_free(1 << 16)
        with open(self.ballast, "ab", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(4096))
                    os.fsync(file.fileno())
                except OSError:
                    return

    def make_room(self):
        self.ballast.unlink()
