# SPDX-License-Identifier: PostgreSQL
"""A filesystem of its own (an image behind a loop device) whose power can be cut.

The cut is the ioctl behind `xfs_io -x -c shutdown`, which ext4 knows too: from that moment nothing more
reaches the disk, not even the journal that is still in memory, and each call that needs the disk fails
with EIO. What was written and not synced is gone after the next mount.
"""

import atexit
import fcntl
import functools
import os
import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from .util import give_to_server, make_dir, wait_until

KINDS = ("ext4", "xfs")
IMAGE_MB = 12 << 10  # sparse; what is used is what is archived

# _IOR('X', 125, __u32): XFS_IOC_GOINGDOWN (xfs_fs.h), EXT4_IOC_SHUTDOWN (linux/ext4.h).
GOING_DOWN = 0x8004587D
WITHOUT_LOG_FLUSH = 2

_mounted = []


def _tool(*argv, check=True):
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120)
    assert not check or done.returncode == 0, f"{' '.join(map(str, argv))}: {done.stdout}"
    return done


@functools.lru_cache(maxsize=None)
def unavailable(kind):
    """Why such a disk cannot be had on this machine, or None."""
    if os.geteuid() != 0:
        return "mounting needs root"
    for tool in (f"mkfs.{kind}", "mount"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    with tempfile.TemporaryDirectory(prefix="walrx-disk-") as folder:
        try:
            CutDisk(kind, folder).close()
        except AssertionError as reason:
            return f"no loop-mounted {kind} here: {str(reason).strip()}"
    return None


class CutDisk:
    def __init__(self, kind, base, size_mb=IMAGE_MB, options=()):
        """`options` are for mkfs."""
        self.kind = kind
        self._size_mb = size_mb
        self._options = options
        self.image = Path(base) / f"{kind}.img"
        self.place = Path(base) / f"{kind}-disk"
        self.root = self.place / kind
        self.cuts = 0
        self._root_fd = -1
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def _make(self):
        self.place.mkdir()
        self.place.chmod(0o755)
        with open(self.image, "wb") as image:
            image.truncate(self._size_mb << 20)
        quick = ["-E", "lazy_itable_init=1,nodiscard"] if self.kind == "ext4" else ["-K"]
        _tool(f"mkfs.{self.kind}", "-q", *quick, *self._options, self.image)
        # Who makes a mount namespace meanwhile (ip netns exec) gets a copy of every mount. Only below
        # a shared one does an unmount reach the copies, too; else they keep the filesystem alive.
        _tool("mount", "--bind", self.place, self.place)
        _mounted.append(self.place)
        _tool("mount", "--make-shared", self.place)
        self.root.mkdir()
        self._mount()
        give_to_server(self.root)

    def _mount(self):
        # The loop device goes with the mount (autoclear), so only the mount has to be undone.
        _tool("mount", "-o", "loop", self.image, self.root)
        _mounted.append(self.root)
        self._root_fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def _unmount(self):
        if self._root_fd >= 0:
            os.close(self._root_fd)
            self._root_fd = -1
        wait_until(lambda: _tool("umount", self.root, check=False).returncode == 0,
                   f"{self.root} is not in use any more", 20)
        _mounted.remove(self.root)
        # Only then is nothing left of it in memory, and the next mount reads the disk.
        wait_until(lambda: _tool("losetup", "-j", self.image).stdout == "", "the loop device is free", 20)

    def make_dir(self, name):
        """A folder that is there after a cut: an archive's own name is its owner's to make durable."""
        path = make_dir(self.root / name)
        os.fsync(self._root_fd)
        return path

    def cut(self):
        """The power goes. One system call on an open descriptor: nothing comes in between."""
        fcntl.ioctl(self._root_fd, GOING_DOWN, struct.pack("I", WITHOUT_LOG_FLUSH))
        self.cuts += 1

    def remount(self):
        """The power is back; nothing may use the mount. Returns the seconds of journal recovery."""
        self._unmount()
        began = time.monotonic()
        self._mount()
        return time.monotonic() - began

    def close(self, keep=False):
        if self.root in _mounted:
            self._unmount()
        if self.place in _mounted:
            _tool("umount", self.place)
            _mounted.remove(self.place)
        if not keep:
            self.image.unlink(missing_ok=True)
            shutil.rmtree(self.place, ignore_errors=True)


@atexit.register
def _unmount_all():
    """What an exception left behind; lazily, for something may still hold it."""
    for path in reversed(_mounted):
        _tool("umount", "-l", path, check=False)
