# SPDX-License-Identifier: PostgreSQL
"""What is measured and what it is measured with: paths, and one run of a receiver."""
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from lib.process import TREE, running

PG_RECEIVEWAL, WALRX = "pg_receivewal", "walrx"
HELPERS = ("discard", "disk", "sender", "timed")


def add_options(parser):
    parser.add_argument("--build", type=Path, default=TREE / "build/release", metavar="DIR",
                        help="build folder with the programs of bench/ (default build/release)")
    parser.add_argument("--walrx", type=Path, help="the program to measure (default: that of the build folder)")
    parser.add_argument("--bindir", type=Path, default=Path("/usr/lib/postgresql/15/bin"), help="PostgreSQL's programs")


class Programs:
    def __init__(self, arguments):
        self.bindir, self.group = arguments.bindir, None
        self.walrx = arguments.walrx or arguments.build / "src/cli/walrx"
        self.helpers = {name: arguments.build / "bench" / name for name in HELPERS}
        for path in (self.walrx, *self.helpers.values(), self.bindir / PG_RECEIVEWAL):
            if not os.access(path, os.X_OK):
                sys.exit(f"no program {path}: meson setup build/release --buildtype=release && ninja -C build/release")

    def receiver(self, name):
        return [self.bindir / PG_RECEIVEWAL] if name == PG_RECEIVEWAL else [self.walrx.resolve(), "receive"]

    def timed(self, command, log):
        """A command under `timed`: to start with `running`, to end with `cost`."""
        enter = [f"--group={self.group}"] if self.group else []
        return running([self.helpers["timed"].resolve(), *enter, *command], stdout=subprocess.PIPE, stderr=log)

    def run(self, command, log_path):
        """Runs it to its end."""
        with open(log_path, "w+", encoding="utf-8") as log, self.timed(command, log) as process:
            return cost(process, command, log)

    @contextmanager
    def beside(self, command, log_path):
        """A receiver that runs until the block is left; the dict that is given is filled then."""
        found = {}
        with open(log_path, "w+", encoding="utf-8") as log, self.timed(command, log) as process:
            yield found
            os.killpg(process.pid, signal.SIGINT)
            found.update(cost(process, command, log))


def cost(process, command, log):
    text, _ = process.communicate(timeout=600)
    found = json.loads(text) if text else {"status": 127}
    if found["status"] != 0:
        log.seek(0)
        sys.exit(f"{' '.join(map(str, command))} ended with {found['status']}:\n{log.read()[-4000:]}")
    return {"wall_s": found["wall_s"], "cpu_s": found["user_s"] + found["system_s"],
            "memory_mb": found["memory_kb"] / 1024, "sleeps": found["sleeps"]}
