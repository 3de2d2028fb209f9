# SPDX-License-Identifier: PostgreSQL
"""Which functions may be called where: dangerous ones nowhere, those that change files only in src/os,
nothing that prints, allocates or tells the time in pure areas.
"""
import re

from source import Report, main, sources

BANNED = ("strcpy", "stpcpy", "strcat", "sprintf", "vsprintf", "strtok", "atoi", "atol", "atoll", "sscanf",
          "vsscanf", "gets")

CHANGE_FILES = ("creat", "write", "pwrite", "writev", "pwritev", "fsync", "fdatasync", "rename", "renameat",
                "renameat2", "unlink", "unlinkat", "remove", "rmdir", "mkdir", "mkdirat", "mkstemp", "mkdtemp",
                "truncate", "ftruncate", "fallocate", "posix_fallocate", "copy_file_range", "link", "linkat",
                "symlink", "symlinkat", "chmod", "fchmod", "fchmodat", "flock")
OPENERS = ("open", "openat")
WRITE_FLAGS = re.compile(r"\bO_(CREAT|WRONLY|RDWR|TRUNC|APPEND|TMPFILE)\b")

PRINT = ("printf", "fprintf", "vprintf", "vfprintf", "dprintf", "puts", "fputs", "putchar", "fputc", "perror",
         "fopen", "fdopen", "fread", "fwrite", "fclose", "fflush", "getenv", "syslog", "exit", "stdout", "stderr")
TIME = ("time", "clock", "clock_gettime", "gettimeofday", "localtime", "localtime_r", "gmtime", "gmtime_r",
        "strftime", "mktime", "nanosleep", "usleep", "sleep")
ALLOCATE = ("malloc", "calloc", "realloc", "reallocarray", "aligned_alloc", "posix_memalign", "strdup",
            "strndup", "asprintf", "vasprintf", "free")
PURE = {"base": PRINT + TIME + ALLOCATE, "proto": PRINT + TIME + ALLOCATE, "codec": PRINT + TIME}

RULES = ("banned-call", "file-call", "pure-call")


def called(source, names):
    for line, name, arguments in source.calls(names):
        if arguments is not None or name in ("stdout", "stderr"):
            yield line, name, arguments


def check_files(report, source):
    message = "only src/os changes files: "
    for line, name, _ in called(source, CHANGE_FILES):
        report.add("file-call", source, line, message + name, name)
    for line, name, arguments in called(source, OPENERS):
        if WRITE_FLAGS.search(arguments):
            report.add("file-call", source, line, message + name, name)
    for line, name, arguments in called(source, ("fopen", "fdopen", "freopen")):
        mode = re.search(r'"([^"]*)"\s*$', arguments)
        if not mode or set(mode[1]) & set("wa+"):
            report.add("file-call", source, line, message + name, name)


def check(root):
    report = Report(root, RULES)
    for source in sources(root):
        for line, name, _ in source.calls(BANNED):
            report.add("banned-call", source, line, f"{name} is not used here", name)
        if source.area and source.area != "os":
            check_files(report, source)
        for line, name, _ in called(source, PURE.get(source.area, ("\0",))):
            report.add("pure-call", source, line, f"{source.area} is pure: {name}", name)
    return report.finish()


if __name__ == "__main__":
    main(check)
