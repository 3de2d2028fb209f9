# SPDX-License-Identifier: PostgreSQL
"""Catching up: everything from one slot to one end position, into an empty directory, to the exit.

Beside the receivers run the two ceilings, in every round: a reader through libpq that discards, and
the same number of bytes written past the page cache. Output counts finished segments.
"""
from dataclasses import dataclass, field

from lib.process import fresh_folder, tell
from lib.programs import PG_RECEIVEWAL, WALRX
from lib.stats import lower, ratio, summarise, turns

READER, DISK = "discarding reader", "disk"


@dataclass(frozen=True)
class Mode:
    name: str
    options: tuple = ()
    peer: bool = True  # pg_receivewal 15 knows it
    tls: bool = False
    default: bool = field(default=True)


MODES = [
    Mode("raw"),
    Mode("unverified", ("--verify=off",), peer=False),
    Mode("lz4", ("--compress=lz4",)),
    Mode("gzip:1", ("--compress=gzip:1",)),
    Mode("gzip:6", ("--compress=gzip:6",), default=False),
    Mode("zstd:1", ("--compress=zstd:1",), peer=False),
    Mode("synchronous", ("--synchronous",)),
    Mode("tls", tls=True),
]


class Bulk:
    def __init__(self, work, programs, primary, cache):
        self.work, self.programs, self.primary, self.cache = work, programs, primary, cache

    def cases(self, modes):
        """(mode or None, who)"""
        cases = [(None, READER), (None, DISK)]
        for mode in modes:
            if mode.tls:
                cases.append((mode, READER))
            cases += [(mode, name) for name in (PG_RECEIVEWAL, WALRX) if mode.peer or name == WALRX]
        return cases

    def command(self, mode, who, folder, slot):
        conninfo = self.primary.conninfo_tls if mode and mode.tls else self.primary.conninfo
        if who == READER:
            return [self.programs.helpers["discard"].resolve(), conninfo, slot, self.primary.begin, self.primary.end]
        if who == DISK:
            return [self.programs.helpers["disk"].resolve(), folder, self.primary.bytes]
        return [*self.programs.receiver(who), "-D", folder, "-d", conninfo, "-S", slot, "-E", self.primary.end, "-n",
                *mode.options]

    def one(self, mode, who):
        with fresh_folder(self.work / "archive") as folder, self.primary.slot("one_run") as slot:
            self.cache.prepare()
            found = self.programs.run(self.command(mode, who, folder, slot), self.work / "receiver.log")
            found["output_mb"] = sum(p.stat().st_size for p in folder.iterdir()
                                     if p.is_file() and p.suffix != ".partial") / 1e6
        found["mb_per_s"] = self.primary.bytes / 1e6 / found["wall_s"]
        del found["sleeps"]
        return found

    def measure(self, modes, rounds):
        """{mode: {who: figures, "ratio": ..., "share_of_ceiling": ...}}; the ceilings under "ceilings"."""
        found = {}
        for number, (mode, who) in turns(self.cases(modes), rounds):
            name = mode.name if mode else "ceilings"
            tell(f"round {number + 1}: {name}, {who}")
            found.setdefault(name, {}).setdefault(who, []).append(self.one(mode, who))
        names = ["ceilings"] + [mode.name for mode in modes]
        table = {name: {who: summarise(runs) for who, runs in sorted(found[name].items())} for name in names}
        for mode in modes:
            compare(table[mode.name], table["ceilings"])
        return table


def compare(row, ceilings):
    ours, peer = row[WALRX], row.get(PG_RECEIVEWAL)
    reader = row.get(READER, ceilings[READER])
    if peer:
        row["ratio"] = {key: ratio(ours[key], peer[key]) for key in ("mb_per_s", "cpu_s", "output_mb", "memory_mb")}
    row["share_of_ceiling"] = ratio(ours["mb_per_s"], lower(reader["mb_per_s"], ceilings[DISK]["mb_per_s"]))
    row["cpu_to_reader"] = ratio(ours["cpu_s"], reader["cpu_s"])
