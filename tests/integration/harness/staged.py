# SPDX-License-Identifier: PostgreSQL
"""Runs `walrx stage`, asks the server that it started, and takes it away again."""

import json
import os
import signal
import subprocess
from pathlib import Path

from .postgres import BINDIR
from .util import as_server, clean_env, wait_until


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def postmasters(data):
    """The processes that run on a data directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(str(data)) in words and any(word.endswith(b"/postgres") for word in words):
            found.append(int(path.parent.name))
    return found


class Stages:
    """All copies of one test; close() ends their servers."""

    def __init__(self, world, program, bindir=BINDIR):
        self.home = world.base
        self.program = program.command[0]
        self.bindir = bindir
        self.places = []

    def argv(self, archive, backup, into, *args, program=None):
        self.places.append(Path(into))
        return [program or self.program, "stage", "-D", archive, "--backup", backup, "--into", into,
                *(() if "--bindir" in args else ("--bindir", self.bindir)), *args]

    def run(self, archive, backup, into, *args, root=False, program=None, cwd="/", **env):
        argv = [str(a) for a in self.argv(archive, backup, into, *args, program=program)]
        return subprocess.run(argv if root else as_server(argv), env=clean_env(self.home, **env), cwd=cwd, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)

    def begin(self, archive, backup, into, *args, **how):
        """Without waiting for its end."""
        argv = self.argv(archive, backup, into, *args)
        return subprocess.Popen(as_server(argv), env=clean_env(self.home), cwd="/", text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)

    def start(self, archive, backup, into, *args, **how):
        """What it says about a copy whose server runs."""
        done = self.run(archive, backup, into, *args, "--start", "--json", "--timeout=90s", **how)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return Staged(json.loads(done.stdout), done)

    def close(self):
        for place in self.places:
            for pid in postmasters(place):
                os.kill(pid, signal.SIGQUIT)
                wait_until(lambda p=pid: not alive(p), f"server {pid} of {place} ends")


class Staged:
    def __init__(self, told, done):
        self.told = told
        self.stderr = done.stderr
        self.directory = Path(told["copy"]["directory"])
        self.reached = told["reached"]

    def sql(self, text, database="postgres"):
        argv = [BINDIR / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.directory, "-p",
                str(self.told["copy"]["port"]), "-U", "postgres", "-d", database, "-c", text]
        done = subprocess.run(as_server(argv), env=clean_env(self.directory.parent), text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def log(self):
        return (self.directory / "walrx_stage.log").read_text()
