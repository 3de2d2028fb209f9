# SPDX-License-Identifier: PostgreSQL
"""What is aimed at, beside what was measured. Nothing fails: benchmarks are no tests."""
from dataclasses import dataclass

from lib.programs import PG_RECEIVEWAL, WALRX
from lib.stats import ratio

START_LIMIT_S = 0.2
START_SEGMENTS = 100000
NOISE = 0.95  # below this two medians of one thing differ


@dataclass(frozen=True)
class Target:
    name: str
    aim: str
    figure: float
    low: float
    high: float
    unit: str
    reached: bool

    def as_dict(self):
        return dict(vars(self))


def target(name, measured, sign, limit, unit, factor):
    """By the median; the spread says whether that is certain."""
    figure, low, high = (measured[key] * factor for key in ("median", "min", "max"))
    reached = figure >= limit if sign == ">=" else figure <= limit
    return Target(name, f"{sign} {limit:g}{unit}", figure, low, high, unit, reached)


def at_least(name, measured, limit, unit="x", factor=1):
    return target(name, measured, ">=", limit, unit, factor)


def at_most(name, measured, limit, unit="x", factor=1):
    return target(name, measured, "<=", limit, unit, factor)


def of_raw(bulk, cache):
    row = bulk["raw"]
    yield at_least("raw: share of the lower ceiling", row["share_of_ceiling"], 90, " %", factor=100)
    yield at_least("raw: throughput to pg_receivewal", row["ratio"]["mb_per_s"], 3 if cache == "warm" else 8)
    yield at_most("raw: CPU to the discarding reader", row["cpu_to_reader"], 2)
    yield at_most("raw: CPU to pg_receivewal", row["ratio"]["cpu_s"], 0.25)
    yield at_most("raw: memory", row[WALRX]["memory_mb"], 64, " MB")


def of_compression(bulk):
    if "lz4" in bulk:
        yield at_least("lz4: throughput to pg_receivewal", bulk["lz4"]["ratio"]["mb_per_s"], 2.5)
    if "gzip:1" in bulk:
        yield at_least("gzip:1: throughput to pg_receivewal", bulk["gzip:1"]["ratio"]["mb_per_s"], 6)
        yield at_most("gzip:1: output to pg_receivewal", bulk["gzip:1"]["ratio"]["output_mb"], 1)
    if "lz4" in bulk and "zstd:1" in bulk:
        ours, peer = bulk["zstd:1"][WALRX], bulk["lz4"][PG_RECEIVEWAL]
        yield at_least("zstd:1: throughput to pg_receivewal's lz4", ratio(ours["mb_per_s"], peer["mb_per_s"]), 1)
        share = ratio(ours["output_mb"], peer["output_mb"])
        yield at_most("zstd:1: output to pg_receivewal's lz4", share, 60, " %", factor=100)


def of_bulk(bulk, cache):
    if "raw" in bulk:
        yield from of_raw(bulk, cache)
    yield from of_compression(bulk)
    if "raw" in bulk and "unverified" in bulk:
        cost = ratio(bulk["raw"][WALRX]["mb_per_s"], bulk["unverified"][WALRX]["mb_per_s"])
        yield at_least("checking records while they arrive: throughput to that without", cost, 0.9)
    if "raw" in bulk and "synchronous" in bulk:
        same = ratio(bulk["synchronous"][WALRX]["mb_per_s"], bulk["raw"][WALRX]["mb_per_s"])
        yield at_least("synchronous, catching up: throughput to raw", same, NOISE)


def of_startup(startup):
    for codec, row in startup.items():
        yield at_most(f"start-up over {row[WALRX]['segments']} segments, {codec}", row[WALRX]["start_s"],
                      START_LIMIT_S, " s")


def of_standby(standby):
    for clients, row in standby.items():
        yield at_least(f"standby, {clients} clients: commits a second to pg_receivewal", row["ratio"]["tps"], 1)
        yield at_most(f"standby, {clients} clients: CPU for each commit to pg_receivewal", row["ratio"]["cpu_us_per_commit"], 1)


def of_idle(idle):
    yield at_most("idle: sleeps a second, status interval 1 s", idle[WALRX]["sleeps_per_s"], 4, "")


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
    return [it.as_dict() for it in found]


