# SPDX-License-Identifier: PostgreSQL
"""Receivers against the synthetic walsender: steady states without a server."""
import json
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from lib.process import fresh_folder, free_port, running, wait_until

SEGMENT = 16 << 20
MESSAGE = 128 << 10


def lsn(position):
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:08X}"


def conninfo(port):
    return f"host=127.0.0.1 port={port} user=bench sslmode=disable"


@contextmanager
def sender(programs, **options):
    """(process, connection string) of a sender that listens."""
    port = free_port()
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
    with running([programs.helpers["sender"].resolve(), f"--port={port}", *flags],
                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        wait_for_port(port, process)
        yield process, conninfo(port)


def wait_for_port(port, process):
    end = time.monotonic() + 10
    while True:
        if process.poll() is not None or time.monotonic() > end:
            sys.exit("the sender does not listen")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)


def receive(programs, who, work, size, *options, segment_size=SEGMENT, message_size=MESSAGE, **flags):
    """One receiver takes `size` bytes: its cost, and the sender's view of the flushes."""
    start = segment_size
    with fresh_folder(work / "archive") as folder, \
            sender(programs, bytes=size + 2 * MESSAGE, start=lsn(start), segment_size=segment_size,
                   message_size=message_size, **flags) as (process, where):
        found = programs.run([*programs.receiver(who), "-D", folder, "-d", where, "-S", "bench",
                              "-E", lsn(start + size), "-n", *options], work / "receiver.log")
        report = json.loads(process.stdout.readline())
    latency = report["flush_latency_us"]
    gigabytes = report["sent_bytes"] / 1e9
    return {"wall_s": found["wall_s"], "cpu_s": found["cpu_s"], "memory_mb": found["memory_mb"],
            "mb_per_s": gigabytes * 1000 / found["wall_s"], "cpu_s_per_gb": found["cpu_s"] / gigabytes,
            "cpu_share": found["cpu_s"] / found["wall_s"], "flushes_seen": latency["count"],
            "flush_p50_us": latency["p50"], "flush_p99_us": latency["p99"], "flush_max_us": latency["max"]}


def spent(pid):
    """(seconds on a CPU, times it went to sleep) of all threads so far."""
    cpu, sleeps = 0, 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        cpu += int((task / "schedstat").read_text().split()[0])
        sleeps += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.MULTILINE)[1])
    return cpu / 1e9, sleeps


def idle(programs, who, work, seconds):
    """CPU time and sleeps of a receiver whose primary has nothing more to send."""
    command = [*programs.receiver(who), "-S", "bench", "-s", "1"]
    with fresh_folder(work / "archive") as folder, open(work / "receiver.log", "w", encoding="utf-8") as log, \
            sender(programs, bytes=SEGMENT + MESSAGE, start=lsn(SEGMENT)) as (_, where), \
            running([*command, "-D", folder, "-d", where], stdout=log, stderr=log) as process:
        wait_until(lambda: any(len(p.name) == 24 for p in folder.iterdir()), "the first segment")
        time.sleep(1.5)  # what follows it is flushed by then
        before = spent(process.pid)
        time.sleep(seconds)
        after = spent(process.pid)
    return {"cpu_ms_per_s": (after[0] - before[0]) * 1000 / seconds, "sleeps_per_s": (after[1] - before[1]) / seconds}
