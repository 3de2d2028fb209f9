# SPDX-License-Identifier: PostgreSQL
"""The ways a recovering server can get its WAL back: restore commands, and the archives that they read."""
import os
import shutil
import subprocess
from dataclasses import dataclass

from lib.process import clean_environment, tell

LIMIT = "pg_wal"
CODECS = {"raw": (), "gzip": ("--compress=gzip:1",), "lz4": ("--compress=lz4",), "zstd": ("--compress=zstd:1",)}
FILTERS = {"gzip": ("gzip -dc", ".gz"), "lz4": ("lz4 -dcq", ".lz4"), "zstd": ("zstd -dcq", ".zst")}
PGBACKREST = {"lz4": "lz4", "zstd": "zst"}  # its names

PGBACKREST_CONF = """[global]
repo1-path={folder}/repo
spool-path={folder}/spool
log-path={folder}/log
lock-path={folder}/lock
log-level-file=off
archive-async=y
process-max={processes}
compress-type={compress}

[bench]
pg1-path={data}
pg1-port={port}
pg1-socket-path={run}
pg1-user=postgres
"""


@dataclass(frozen=True)
class Way:
    """restore_command, with {folder} for the archive, {walrx} and {data}; None: the WAL lies in pg_wal already."""
    name: str
    codec: str
    command: str | None
    pgbackrest: bool = False


def has_prefetch(walrx):
    done = subprocess.run([walrx, "restore", "--help"], env=clean_environment(), stdout=subprocess.PIPE, text=True, check=False)
    return "--prefetch" in done.stdout


def possible(walrx):
    """{name: way} of all that can be tried here, and a word about each that cannot."""
    found, words = [Way(LIMIT, "raw", None), Way("cp", "raw", "cp {folder}/%f %p")], []
    for codec, (command, suffix) in FILTERS.items():
        if shutil.which(command.split()[0]) is None:
            words.append(f"{command.split()[0]}: not installed")
        else:
            found.append(Way(command, codec, f"{command} {{folder}}/%f{suffix} >%p"))
    options = ["--prefetch=0 ", ""] if has_prefetch(walrx) else [""]
    if len(options) == 1:
        words.append("walrx: its restore has no --prefetch")
    for codec in CODECS:
        found += [Way(f"walrx {option}{codec}", codec, f"{{walrx}} restore -D {{folder}} {option}%f %p") for option in options]
    if shutil.which("pgbackrest") is None:
        words.append("pgbackrest: not installed (apt-get install pgbackrest)")
    else:
        found += [Way(f"pgbackrest {codec}", codec, "pgbackrest --config={folder}/pgbackrest.conf --stanza=bench "
                      "--pg1-path={data} archive-get %f %p", True) for codec in PGBACKREST]
    return {way.name: way for way in found}, words


class Archives:
    """Made once for each load, by the primary's user. `data`: where the recovering servers lie."""

    def __init__(self, work, programs, primary, data):
        self.work, self.primary, self.data = work, primary, data
        self.walrx = work / "walrx"  # where the server's user may run it
        shutil.copy(programs.walrx, self.walrx)
        self.walrx.chmod(0o755)

    def folder(self, way):
        return self.work / f"{'pgbackrest' if way.pgbackrest else 'archive'}-{way.codec}"

    def command(self, way):
        return way.command and way.command.format(folder=self.folder(way), walrx=self.walrx, data=self.data)

    def make(self, ways):
        for way in ways:
            if not self.folder(way).exists():
                tell(f"making {self.folder(way).name}")
                (self.push if way.pgbackrest else self.receive)(way)

    def receive(self, way):
        folder = self.folder(way)
        self.primary.make_folder(folder)
        with self.primary.slot("archive") as slot:
            self.primary.spawn([self.walrx, "receive", "-D", folder, "-d", self.primary.conninfo, "-S", slot, "-n",
                                "-E", self.primary.behind_the_end, *CODECS[way.codec]])
        for left in folder.glob("*.partial"):  # only walrx would hand it out
            left.unlink()

    def push(self, way):
        folder = self.folder(way)
        for path in (folder, *(folder / name for name in ("repo", "spool", "log", "lock"))):
            self.primary.make_folder(path)
        config = folder / "pgbackrest.conf"
        config.write_text(PGBACKREST_CONF.format(folder=folder, processes=os.cpu_count(), compress=PGBACKREST[way.codec],
                                                 data=self.primary.data, port=self.primary.port, run=self.primary.run))
        config.chmod(0o644)
        call = ["pgbackrest", f"--config={config}", "--stanza=bench"]
        self.primary.spawn([*call, "stanza-create"])
        for name in self.segments():
            self.primary.spawn([*call, "--no-archive-async", "archive-push", self.primary.data / "pg_wal" / name])

    def segments(self):
        return sorted(path.name for path in (self.work / "archive-raw").glob("0*"))

    def forget_what_was_fetched(self, way):
        if way.pgbackrest:
            spool = self.folder(way) / "spool"
            shutil.rmtree(spool)
            self.primary.make_folder(spool)

    def sizes_mb(self):
        return {folder.name: round(sum(path.stat().st_size for path in folder.rglob("0*") if path.is_file()) / 1e6)
                for folder in sorted(self.work.iterdir()) if folder.name.startswith(("archive-", "pgbackrest-"))}
