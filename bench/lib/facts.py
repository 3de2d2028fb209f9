# SPDX-License-Identifier: PostgreSQL
"""What was measured where: without this a figure says nothing."""
import os
import platform
import time
from pathlib import Path

from lib.process import TREE, output_of


def facts(work, programs, **more):
    cpu = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
           if line.startswith("model name")]
    memory = int(Path("/proc/meminfo").read_text().split()[1])
    changed = output_of("git", "-C", TREE, "status", "--porcelain")
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cores": os.cpu_count(), "cpu": cpu[0] if cpu else platform.machine(), "memory_gb": round(memory / 1e6, 1),
        "kernel": platform.release(), "filesystem": output_of("findmnt", "-n", "-o", "FSTYPE", "-T", work),
        "postgresql": output_of(programs.bindir / "pg_receivewal", "--version").split()[2],
        "walrx": output_of(programs.walrx, "--version").split()[-1],
        "commit": (output_of("git", "-C", TREE, "rev-parse", "--short", "HEAD") or "none")
        + (" with changes" if changed else ""),
        "load_before": round(os.getloadavg()[0], 2),
        **more,
    }


def warnings(known):
    if known["filesystem"] == "tmpfs":
        yield "this filesystem is memory: nothing is durable here, choose another with --dir"
    if known["load_before"] > known["cores"] / 4:
        yield f"the machine is busy (load {known['load_before']}): expect wrong figures"
