# SPDX-License-Identifier: PostgreSQL
"""What is aimed at, beside what was measured. Nothing fails: benchmarks are no tests."""
from dataclasses import dataclass


from lib.programs import PG_RECEIVEWAL, WALRX

START_LIMIT_S = 0.2
START_SEGMENTS = 100000
NOISE = 0.95  # below this two medians of one thing differ


@dataclass(frozen=True)
class Target:
    name: str
    aim: str
    figure: float
    unit: str
    reached: bool

    def as_dict(self):
        return {"name": self.name, "aim": self.aim, "figure": self.figure, "unit": self.unit, "reached": self.reached}


def at_least(name, figure, limit, unit="x"):
    return Target(name, f">= {limit:g}{unit}", figure, unit, figure >= limit)


def at_most(name, figure, limit, unit="x"):
    return Target(name, f"<= {limit:g}{unit}", figure, unit, figure <= limit)


def of_raw(bulk, cache):
    row = bulk["raw"]
    yield at_least("raw: share of the lower ceiling", 100 * row["share_of_ceiling"], 90, " %")
    yield at_least("raw: throughput to pg_receivewal", row["ratio"]["mb_per_s"], 3 if cache == "warm" else 8)
    yield at_most("raw: CPU to the discarding reader", row["cpu_to_reader"], 2)
    yield at_most("raw: CPU to pg_receivewal", row["ratio"]["cpu_s"], 0.25)
    yield at_most("raw: memory", row[WALRX]["memory_mb"]["max"], 64, " MB")


def of_compression(bulk):
    if "lz4" in bulk:
        yield at_least("lz4: throughput to pg_receivewal", bulk["lz4"]["ratio"]["mb_per_s"], 2.5)
    if "gzip:1" in bulk:
        yield at_least("gzip:1: throughput to pg_receivewal", bulk["gzip:1"]["ratio"]["mb_per_s"], 6)
        yield at_most("gzip:1: output to pg_receivewal", bulk["gzip:1"]["ratio"]["output_mb"], 1)
    if "lz4" in bulk and "zstd:1" in bulk:
        ours, peer = bulk["zstd:1"][WALRX], bulk["lz4"][PG_RECEIVEWAL]
        yield at_least("zstd:1: throughput to pg_receivewal's lz4", ours["mb_per_s"]["median"] / peer["mb_per_s"]["median"], 1)
        yield at_most("zstd:1: output to pg_receivewal's lz4", 100 * ours["output_mb"]["median"] / peer["output_mb"]["median"],
                      60, " %")


def of_bulk(bulk, cache):
    if "raw" in bulk:
        yield from of_raw(bulk, cache)
    yield from of_compression(bulk)
    if "raw" in bulk and "synchronous" in bulk:
        same = bulk["synchronous"][WALRX]["mb_per_s"]["median"] / bulk["raw"][WALRX]["mb_per_s"]["median"]
        yield at_least("synchronous, catching up: throughput to raw", same, NOISE)


def of_startup(startup):
    for codec, row in startup.items():
        yield at_most(f"start-up over {row[WALRX]['segments']} segments, {codec}", row[WALRX]["start_s"]["median"],
                      START_LIMIT_S, " s")


def of_standby(standby):
    for clients, row in standby.items():
        yield at_least(f"standby, {clients} clients: commits a second to pg_receivewal", row["ratio"]["tps"], 1)
        yield at_most(f"standby, {clients} clients: CPU for each commit to pg_receivewal", row["ratio"]["cpu_us_per_commit"], 1)


def of_idle(idle):
    yield at_most("idle: sleeps a second, status interval 1 s", idle[WALRX]["sleeps_per_s"]["median"], 4, "")


def targets(results, cache):
    found = []
    if "bulk" in results:
        found += of_bulk(results["bulk"], cache)
    if "startup" in results:
        found += of_startup(results["startup"])
    if "standby" in results:
        found += of_standby(results["standby"])
    if "idle" in results:
        found += of_idle(results["idle"])
    return [target.as_dict() for target in found]


