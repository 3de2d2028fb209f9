# SPDX-License-Identifier: PostgreSQL
"""From the start of the program to "starting log streaming", over an archive with many segments.

The newest two segments are received from the sender and so are real; those before them have the
right name and the right size: sparse files when raw, else hard links of one compressed segment.
"""
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

from lib.process import fresh_folder, running, tell
from lib.programs import PG_RECEIVEWAL, WALRX
from lib.stats import summarise, turns
from lib.synthetic import SEGMENT, lsn, sender

SUFFIXES = {"raw": "", "lz4": ".lz4", "gzip:1": ".gz", "zstd:1": ".zst"}
LINKS = 30000          # ext4 allows 65,000 links of one file
PEER_LZ4 = 2000        # pg_receivewal decompresses every .lz4 file of the archive
PER_ROLLOVER = (1 << 32) // SEGMENT


def segment_name(number, suffix):
    return f"00000001{number // PER_ROLLOVER:08X}{number % PER_ROLLOVER:08X}{suffix}"


def options_of(codec):
    return [] if codec == "raw" else [f"--compress={codec}"]


def fill(folder, codec, count):
    """Names below the newest ones, down to segment 1."""
    suffix = SUFFIXES[codec]
    model = None
    for i in range(count):
        path = folder / segment_name(count - i, suffix)
        if codec == "raw":
            with open(path, "wb") as file:
                file.truncate(SEGMENT)
        elif i % LINKS == 0:
            path.write_bytes((model or folder / segment_name(count + 1, suffix)).read_bytes())
            model = path
        else:
            os.link(model, path)


@contextmanager
def archive(programs, work, name, codec, count):
    """A folder with `count` segments, two of them real (none when count is 0)."""
    older = max(count - 2, 0)
    start = (older + 1) * SEGMENT
    with fresh_folder(work / f"archive-{name}") as folder:
        if count > 0:
            end = start + 2 * SEGMENT
            with sender(programs, bytes=3 * SEGMENT, start=lsn(start)) as (_, where):
                programs.run([*programs.receiver(WALRX), "-D", folder, "-d", where, "-S", "bench", "-E", lsn(end), "-n",
                              *options_of(codec)], work / "receiver.log")
            fill(folder, codec, older)
        yield folder, start


def one_start(programs, who, folder, where, codec):
    command = [*programs.receiver(who), "-v", "-n", "-D", folder, "-d", where, "-S", "bench", *options_of(codec)]
    for left in folder.glob("*.partial"):
        left.unlink()
    began = time.monotonic()
    seen = []
    with running(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            seen.append(line)
            if "starting log streaming" in line:
                took = time.monotonic() - began
                os.killpg(process.pid, signal.SIGKILL)
                return {"start_s": took}
    sys.exit(f"{command[0]} did not start:\n{''.join(seen)}")


def measure_archive(programs, work, who, codec, count, rounds):
    """[{"start_s": ...}, ...] of one program over one archive; the first start is not counted, it reads
    directory and inodes into memory."""
    with archive(programs, work, "start", codec, count) as (folder, start), \
            sender(programs, bytes=8 * SEGMENT, start=lsn(start), rate=1, sessions=1000) as (_, where):
        return [one_start(programs, who, folder, where, codec) for _ in range(rounds + 1)][1:]


def measure(programs, work, rounds, count, codecs=tuple(SUFFIXES)):
    """{codec: {who: {"start_s": spread, "segments": n}}}, both programs in turn over the same archive."""
    table = {}
    for codec in codecs:
        tell(f"start-up over {count} segments, {codec}")
        found = {}
        with archive(programs, work, "start", codec, count) as (folder, start), \
                sender(programs, bytes=8 * SEGMENT, start=lsn(start), rate=1, sessions=1000) as (_, where):
            peers = (WALRX,) if codec in ("lz4", "zstd:1") else (PG_RECEIVEWAL, WALRX)
            for number, who in turns(peers, rounds + 1):
                run = one_start(programs, who, folder, where, codec)
                if number > 0:
                    found.setdefault(who, []).append(run)
        row = {who: {**summarise(runs), "segments": count} for who, runs in sorted(found.items())}
        if codec == "lz4":
            fewer = min(count, PEER_LZ4)
            row[PG_RECEIVEWAL] = {**summarise(measure_archive(programs, work, PG_RECEIVEWAL, codec, fewer, rounds)),
                                  "segments": fewer}
        table[codec] = row
    return table
