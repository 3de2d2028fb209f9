# SPDX-License-Identifier: PostgreSQL
"""Results as tables: rows of cells, printed as aligned text or as Markdown."""


def number(value, digits=2):
    return f"{value:.{digits}f}"


def between(figure, digits=2):
    """The median, and what it varied between."""
    if figure is None:
        return ""
    return f"{figure['median']:.{digits}f} ({figure['min']:.{digits}f} .. {figure['max']:.{digits}f})"


def bulk_tables(bulk):
    rows = []
    for mode, row in bulk.items():
        for who, it in row.items():
            if isinstance(it, dict) and "wall_s" in it:
                rows.append([mode, who, between(it["wall_s"]), number(it["mb_per_s"]["median"], 0), between(it["cpu_s"]),
                             number(it["output_mb"]["median"], 0), number(it["memory_mb"]["median"], 0)])
    yield "Catching up", ["", "", "wall s", "MB/s", "CPU s", "output MB", "memory MB"], rows
    rows = []
    for mode, row in bulk.items():
        if "share_of_ceiling" in row:
            peer = row.get("ratio", {})
            rows.append([mode, *(between(peer.get(key)) for key in ("mb_per_s", "cpu_s", "output_mb")),
                         between(row["share_of_ceiling"]), between(row["cpu_to_reader"])])
    yield ("walrx to pg_receivewal, and to the ceilings",
           ["", "throughput", "CPU", "output", "throughput to the lower ceiling", "CPU to the reader"], rows)


def startup_tables(startup):
    rows = [[codec, who, str(it["segments"]), between({k: 1000 * it["start_s"][k] for k in ("median", "min", "max")}, 1)]
            for codec, row in startup.items() for who, it in row.items()]
    yield "Start-up", ["", "", "segments", "ms until streaming"], rows


def standby_tables(standby):
    rows = []
    for clients, row in standby.items():
        for who, it in row.items():
            if who != "ratio":
                rows.append([clients, who, between(it["tps"], 0), number(it["latency_ms"]["median"], 3),
                             number(it["cpu_us_per_commit"]["median"], 1)])
        rows.append([clients, "ratio", between(row["ratio"]["tps"]), "", between(row["ratio"]["cpu_us_per_commit"])])
    yield "As the only synchronous standby", ["clients", "standby", "tps", "latency ms", "CPU us a commit"], rows


def latency_tables(latency):
    rows = [[who, between(it["flush_p50_us"], 0), between(it["flush_p99_us"], 0), number(it["cpu_s"]["median"], 3)]
            for who, it in latency.items() if isinstance(it, dict) and "flush_p50_us" in it and who != "ratio"]
    it = latency["ratio"]
    rows.append(["ratio", between(it["flush_p50_us"]), between(it["flush_p99_us"]), between(it["cpu_s"])])
    title = f"One commit: {latency['messages_per_s']} messages of {latency['message_bytes']} bytes a second"
    yield title, ["", "flush p50 us", "flush p99 us", "CPU s"], rows


def idle_tables(idle):
    rows = [[who, between(it["sleeps_per_s"], 1), number(it["cpu_ms_per_s"]["median"], 3)] for who, it in idle.items()]
    yield "Idle, status interval 1 s", ["", "sleeps a second", "CPU ms a second"], rows


def target_tables(targets):
    rows = [[it["name"], it["aim"], f"{it['figure']:.3g}{it['unit']} ({it['low']:.3g} .. {it['high']:.3g})",
             "yes" if it["reached"] else "**no**"]
            for it in targets]
    yield "Targets", ["", "aim", "measured", "reached"], rows


def recovery_tables(recovery):
    for load, found in recovery.items():
        rows = [[name, between(it["wall_s"]), number(it["mb_per_s"]["median"], 0), between(it["to_limit"]),
                 number(it["server_cpu_s"]["median"]), number(it["restore_cpu_s"]["median"]),
                 number(it["call_ms"]["median"], 1) if it["calls"]["median"] else ""] for name, it in found["ways"].items()]
        settings = ", ".join(f"{name} {value}" for name, value in found["settings"].items())
        yield (f"Replay of {found['wal_mb']} MB, {load} ({settings})",
               ["", "wall s", "MB/s", "wall to pg_wal", "server CPU s", "restore CPU s", "ms a call"], rows)


MAKERS = {"recovery": recovery_tables, "bulk": bulk_tables, "startup": startup_tables, "standby": standby_tables, "latency": latency_tables,
          "idle": idle_tables, "targets": target_tables}


def tables(results):
    for key, make in MAKERS.items():
        if results.get(key):
            yield from make(results[key])


def facts_line(known):
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in known.items())


def as_text(results):
    lines = [facts_line(results["facts"])]
    for title, head, rows in tables(results):
        cells = [head, *rows]
        widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
        lines += ["", title]
        lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip().replace("**", "") for row in cells]
    return "\n".join(lines) + "\n"


def markdown_table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def as_markdown(results):
    lines = [facts_line(results["facts"]) + "."]
    for title, head, rows in tables(results):
        lines += ["", f"**{title}**", "", *markdown_table(head, rows)]
    return "\n".join(lines) + "\n"
