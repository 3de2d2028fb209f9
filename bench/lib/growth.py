# SPDX-License-Identifier: PostgreSQL
"""How cost grows with segment size, message size, archive size and rate, against the sender."""
from lib.process import tell
from lib.programs import PG_RECEIVEWAL, WALRX
from lib.startup import PEER_LZ4, measure_archive
from lib.stats import summarise, turns
from lib.synthetic import receive

MB = 1 << 20
WHO = (PG_RECEIVEWAL, WALRX)
AXES = ("segment-size", "message-size", "archive-size", "rate")


def grow(name, values, rounds, one):
    """[{"value": v, who: {key: spread}}, ...]; `one` measures (value, who) once, None: does not apply."""
    found = {value: {} for value in values}
    for number, (value, who) in turns([(value, who) for value in values for who in WHO], rounds):
        tell(f"round {number + 1}: {name} {value}, {who}")
        run = one(value, who)
        if run is not None:
            found[value].setdefault(who, []).append(run)
    return [{"value": value, **{who: summarise(runs) for who, runs in sorted(by_who.items())}}
            for value, by_who in found.items()]


def segment_sizes(programs, work, settings):
    values = [size * MB for size in (1, 4, 16, 64, 256, 1024) if size * MB <= settings.max_segment * MB]

    def one(size, who):
        # several segments of each size, the largest once
        return receive(programs, who, work, max(settings.megabytes * MB // size, 1) * size, segment_size=size)
    return grow("segment size", values, settings.rounds, one)


def message_sizes(programs, work, settings):
    def one(size, who):
        # pg_receivewal writes to its file once for each message: small ones take long
        megabytes = min(settings.megabytes, max(size // 16, 64))
        return receive(programs, who, work, megabytes * MB, message_size=size)
    return grow("message size", [100, 1024, 8192, 32768, 131072], settings.rounds, one)


def archive_sizes(programs, work, settings):
    """Over .lz4 segments. pg_receivewal decompresses them all: it gets no more than a few."""
    values = sorted({0, *(n for n in (100, 1000, 10000) if n < settings.archived), settings.archived})
    table = []
    for value in values:
        row = {"value": value}
        for who in WHO:
            if who == WALRX or value <= PEER_LZ4:
                tell(f"archive of {value}, {who}")
                row[who] = summarise(measure_archive(programs, work, who, "lz4", value, settings.rounds))
        table.append(row)
    return table


def rates(programs, work, settings):
    """Synchronous, messages of 8 kB; 0 stands for as fast as it goes."""
    def one(rate, who):
        size = rate * settings.seconds if rate else settings.megabytes * MB
        flags = {"rate": rate} if rate else {}
        return receive(programs, who, work, size, "--synchronous", message_size=8192, **flags)
    values = [rate * MB for rate in (1, 4, 16, 64, 256) if rate <= settings.max_rate]
    return grow("rate", [*values, 0], settings.rounds, one)


MEASURES = {"segment-size": segment_sizes, "message-size": message_sizes, "archive-size": archive_sizes, "rate": rates}
