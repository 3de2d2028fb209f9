# SPDX-License-Identifier: PostgreSQL
"""Which area may include which header. Arrows point down (architecture, "Folders"):

base <- proto <- os, codec <- archive, stream <- observe, restore <- cli

Of two areas on one level neither includes the other, but stream drives the archive's writer.
"""
from source import Report, main, sources

BELOW = {
    "base": set(),
    "proto": {"base"},
    "os": {"base", "proto"},
    "codec": {"base", "proto"},
    "archive": {"base", "proto", "os", "codec"},
    "stream": {"base", "proto", "os", "codec", "archive"},
    "observe": {"base", "proto", "os", "codec", "archive", "stream"},
    "restore": {"base", "proto", "os", "codec", "archive", "stream"},
    "cli": {"base", "proto", "os", "codec", "archive", "stream", "observe", "restore"},
}

# Libraries that one area wraps for all others: start of the header's name, area.
WRAPPED = {
    "libpq": "stream",
    "postgres": "stream",
    "pg_config": "stream",
    "zlib": "codec",
    "zconf": "codec",
    "lz4": "codec",
    "zstd": "codec",
    "libdeflate": "codec",
    "igzip": "codec",
    "microhttpd": "observe",
    "isa-l": "codec",
}

# Input, output, time, threads: not in areas that are pure.
IMPURE_HEADERS = ("unistd.h", "fcntl.h", "time.h", "sys/", "syslog.h", "signal.h", "poll.h", "netdb.h",
                  "pthread.h", "threads.h", "dirent.h", "systemd/", "locale.h")
PURE_AREAS = ("base", "proto", "codec")

RULES = ("edge", "private-header", "library", "pure-include", "unknown-area")


def check_quoted(report, root_headers, source, line, name):
    parts = name.split("/")
    if parts[0] != "walrx":
        folder = source.path.rsplit("/", 1)[0]
        if "/" in name or f"{folder}/{name}" not in root_headers:
            report.add("private-header", source, line, f'"{name}" is no private header of this folder', name)
        return
    target = parts[1] if len(parts) > 2 else None
    if target not in BELOW:
        report.add("unknown-area", source, line, f'"{name}" belongs to no area', name)
    elif target != source.area and target not in BELOW[source.area]:
        report.add("edge", source, line, f"{source.area} must not include {target}", name)


def check_system(report, source, line, name):
    for start, area in WRAPPED.items():
        if name.startswith(start) and source.area != area:
            report.add("library", source, line, f"only src/{area} includes <{name}>", name)
    if source.area in PURE_AREAS and name.startswith(IMPURE_HEADERS):
        report.add("pure-include", source, line, f"{source.area} is pure and has no use for <{name}>", name)


def check(root):
    report = Report(root, RULES)
    everything = [source for source in sources(root) if not source.path.startswith(("tests/", "bench/"))]
    headers = {source.path for source in everything if source.path.endswith(".h")}
    for source in everything:
        if source.area not in BELOW:
            report.add("unknown-area", source, 1, "the file belongs to no area")
            continue
        for line, kind, name in source.includes():
            if kind == '"':
                check_quoted(report, headers, source, line, name)
            else:
                check_system(report, source, line, name)
    return report.finish()


if __name__ == "__main__":
    main(check)
