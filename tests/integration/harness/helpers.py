# SPDX-License-Identifier: PostgreSQL
"""The helpers of `walrx restore`: which live, what they leave, and a restore_command that tells of them."""

import fcntl
import os
import re
import shlex
import signal
from pathlib import Path

from .util import wait_until, write_file

READY = re.compile(r"xlogtemp\.walrx\.[0-9a-f]{16}\.([0-9A-F]{24})")

SCRIPT = """#!/bin/sh
# restore_command with a record: which file, the status, the inode of what was ready and of what was placed
name=$1 target=$2
{before}
for file in pg_wal/xlogtemp.walrx.*."$name"; do
    if [ -e "$file" ]; then ready=$(stat -c %i "$file"); fi
done
{command} "$name" "$target"
status=$?
echo "$name $status ${{ready:-none}} $(stat -c %i "$target" 2>/dev/null)" >>{record}
{after}
exit $status
"""


class Restoring:
    """A restore_command that keeps a record."""

    def __init__(self, world, walrx, directory, *options, before="", after=""):
        number = len(list(world.base.glob("restore-*.sh")))
        self.record_path = world.base / f"restore-{number}.record"
        words = [str(walrx.command[0]), "restore", "-D", str(directory), *options]
        text = SCRIPT.format(command=" ".join(map(shlex.quote, words)), record=shlex.quote(str(self.record_path)),
                             before=before, after=after)
        self.script = write_file(world.base / f"restore-{number}.sh", text, 0o755)
        self.command = f"{self.script} %f %p"

    def record(self):
        """(name, status, handed over) of each call."""
        lines = self.record_path.read_text().splitlines() if self.record_path.exists() else []
        rows = [(line.split(" ") + [""])[:4] for line in lines]
        return [(name, int(status), ready == placed) for name, status, ready, placed in rows]

    def handed_over(self):
        return [name for name, status, handed in self.record() if status == 0 and handed]

    def segments(self):
        return [name for name, status, _ in self.record() if status == 0 and len(name) == 24]


def alive(wal_dir):
    """The pids of helpers that serve this pg_wal."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text() != "walrx-prefetch\n":
                continue
            for fd in (process / "fd").iterdir():  # a dead one that nobody has reaped has none
                if os.readlink(fd) == str(wal_dir):
                    found.append(int(process.name))
                    break
        except OSError:
            continue
    return found


def is_locked(wal_dir):
    fd = os.open(wal_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


def kill(wal_dir):
    """Kills those that live, also one that has just been forked and has no name yet; the kernel has let go of
    their lock on return."""
    def killed():
        for pid in alive(wal_dir):
            os.kill(pid, signal.SIGKILL)
        return not is_locked(wal_dir)
    wait_until(killed, "nobody holds the lock", 5, 0.005)


def left(wal_dir):
    return sorted(p.name for p in Path(wal_dir).iterdir() if "walrx" in p.name)


def ready(wal_dir):
    """The segments that are ready."""
    return sorted(match[1] for match in map(READY.fullmatch, left(wal_dir)) if match)


def wait_gone(wal_dir, timeout=5):
    """No helper, and nothing of one."""
    wait_until(lambda: not alive(wal_dir) and not left(wal_dir),
               f"the helpers end and leave nothing: {alive(wal_dir)}, {left(wal_dir)}", timeout, 0.02)
