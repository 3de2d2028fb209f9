# SPDX-License-Identifier: PostgreSQL
"""Processes and scratch folders that end with the program, whatever ends it."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]


def clean_environment():
    """Without the caller's libpq settings, and with messages as they are in the source."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C"}


def end_on_signals():
    """SIGTERM and SIGHUP unwind like SIGINT, so that every `finally` stops its server."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

    def leave(number, _):
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)  # once: cleaning up is not interrupted
        sys.exit(128 + number)
    for number in numbers:
        signal.signal(number, leave)


@contextmanager
def scratch(parent):
    """A folder for everything a run makes; others may pass through it (the servers' user)."""
    path = Path(tempfile.mkdtemp(prefix="walrx-bench-", dir=parent))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def fresh_folder(path):
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tell(text):
    """One line that goes again, for whoever watches."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def output_of(*command):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout.strip()


def wait_until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"waited {seconds} s for {what}")
        time.sleep(0.02)


@contextmanager
def running(command, **how):
    """A process in a group of its own; the group is gone afterwards."""
    process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, start_new_session=True,
                               env=clean_environment(), cwd="/", **how)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
