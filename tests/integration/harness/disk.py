# SPDX-License-Identifier: PostgreSQL
"""A small disk of its own for an archive: ext4 on a loop device. Needs root, and a kernel that lets
us mount; elsewhere the test is skipped."""

import fcntl
import os
import struct
import subprocess

import pytest

from .util import give_to_server, make_dir, wait_until

EXT4_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, fs/ext4/ext4.h (and XFS_IOC_GOINGDOWN)
SHUTDOWN_WITHOUT_LOG = 2  # what is not in the journal yet is gone, as in a power cut


def _run(*argv):
    try:
        done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
    except FileNotFoundError as error:
        return 127, str(error)
    return done.returncode, done.stdout


class SmallDisk:
    def __init__(self, base, size_mb):
        self.image = base / "disk.img"
        self.mount_point = make_dir(base / "disk", 0o755)
        self.ballast = self.mount_point / "ballast"
        self.mounted = False
        with open(self.image, "wb") as file:
            file.truncate(size_mb << 20)
        status, text = _run("mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-J", "size=4", self.image)
        if status != 0:
            pytest.skip(f"no ext4 can be made here: {text}")
        self.mount()
        self.archive = make_dir(self.mount_point / "archive", 0o700)

    def mount(self):
        status, text = _run("mount", "-o", "loop", self.image, self.mount_point)
        if status != 0:
            pytest.skip(f"no loop device can be mounted here: {text}")
        self.mounted = True
        give_to_server(self.mount_point)

    def free(self):
        info = os.statvfs(self.mount_point)
        return info.f_bavail * info.f_frsize

    def leave_free(self, size):
        """Another program takes all space but so much, at once and for real."""
        with open(self.ballast, "ab") as file:
            if self.free() > size:
                os.posix_fallocate(file.fileno(), file.tell(), self.free() - size)
        assert self.free() <= size + (1 << 16)

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

    def fail(self):
        """Every later read, write and sync ends with EIO."""
        fd = os.open(self.mount_point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, EXT4_SHUTDOWN, struct.pack("I", SHUTDOWN_WITHOUT_LOG))
        except OSError as error:
            pytest.skip(f"this kernel shuts no ext4 down: {error}")
        finally:
            os.close(fd)

    def mount_again(self):
        self.close()
        self.mount()

    def close(self):
        if self.mounted:
            wait_until(lambda: _run("umount", self.mount_point)[0] == 0, "the disk is free", 20)
        self.mounted = False
