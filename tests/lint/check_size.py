# SPDX-License-Identifier: PostgreSQL
"""Functions of at most 70 lines, files of at most 800 lines, base names that occur once, no line
comments, no notes to finish later, a licence line. (The width is clang-format's.)
"""
import re

from source import Report, main, sources

FUNCTION_LINES = 70
FILE_LINES = 800
NOTE = re.compile(r"\b(TODO|FIXME|XXX)\b")

RULES = ("function-length", "file-length", "base-name", "line-comment", "note", "licence")


def check_lines(report, source):
    lines = source.raw.splitlines()
    if len(lines) > FILE_LINES:
        report.add("file-length", source, len(lines), f"{len(lines)} lines, more than {FILE_LINES}")
    if not lines or "SPDX-License-Identifier: PostgreSQL" not in lines[0]:
        report.add("licence", source, 1, "the first line has no SPDX-License-Identifier")
    for number, line in enumerate(lines, 1):
        if NOTE.search(line):
            report.add("note", source, number, "unfinished: " + NOTE.search(line)[1])
    for number in source.line_comments:
        report.add("line-comment", source, number, "comments are /* */")


def check(root):
    report = Report(root, RULES)
    seen = {}
    for source in sources(root):
        name = source.path.rsplit("/", 1)[-1]
        if name in seen:
            report.add("base-name", source, 1, f"{seen[name]} has the same name", name)
        seen.setdefault(name, source.path)
        check_lines(report, source)
        for function, line, length in source.functions():
            if length > FUNCTION_LINES:
                message = f"{function} has {length} lines, more than {FUNCTION_LINES}"
                report.add("function-length", source, line, message, function)
    return report.finish()


if __name__ == "__main__":
    main(check)
