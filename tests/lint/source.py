# SPDX-License-Identifier: PostgreSQL
"""What all checks share: the C files of a tree, their text without comments, and findings.

A C file is split once, character by character, into code, comments and strings. Positions stay the
same: what a view leaves out becomes blanks, so that line numbers fit.
"""
import re
import sys
from pathlib import Path

TOP_FOLDERS = ("proto", "src", "include", "tests", "bench")

# One alternative each: block comment, line comment, string, character.
TOKEN = re.compile(
    r'(?P<block>/\*.*?(?:\*/|\Z))|(?P<line>//[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*")|(?P<char>\'(?:\\.|[^\'\\\n])*\')',
    re.DOTALL,
)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


class Source:
    """One C file. `code` has neither comments nor the contents of strings, `text` keeps the strings."""

    def __init__(self, root, path):
        self.path = path.relative_to(root).as_posix()
        self.raw = path.read_text(encoding="utf-8", errors="replace")
        self.line_comments = []

        def without_comments(match):
            if match.lastgroup == "line":
                self.line_comments.append(self.raw.count("\n", 0, match.start()) + 1)
            return blank(match[0]) if match.lastgroup in ("block", "line") else match[0]

        self.text = TOKEN.sub(without_comments, self.raw)
        self.code = TOKEN.sub(lambda m: m[0][0] + blank(m[0][1:-1]) + m[0][-1], self.text)

    @property
    def area(self):
        """base, proto, os, ...; None outside the product."""
        parts = self.path.split("/")
        if parts[0] == "proto":
            return "proto"
        if parts[0] == "src" and len(parts) > 2:
            return parts[1]
        if parts[:2] == ["include", "walrx"] and len(parts) > 3:
            return parts[2]
        return None

    def line_of(self, offset):
        return self.raw.count("\n", 0, offset) + 1

    def includes(self):
        """(line, '<' or '"', name) of each include."""
        for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', self.text, re.MULTILINE):
            yield self.line_of(match.start()), match[1], match[2]

    def calls(self, names):
        """(line, name, arguments) of each use of one of the functions, also as a pointer to it. Members
        (x.write, x->write) are not meant. Without a bracket behind it, arguments is None."""
        for match in re.finditer(r"(?<![\w.])(?<!->)(" + "|".join(map(re.escape, names)) + r")\b(?!\s*[:=])", self.code):
            opening = re.compile(r"\s*\(").match(self.code, match.end())
            arguments = self.arguments(opening.end()) if opening else None
            yield self.line_of(match.start()), match[1], arguments

    def arguments(self, start):
        depth = 1
        for offset in range(start, len(self.code)):
            depth += {"(": 1, ")": -1}.get(self.code[offset], 0)
            if depth == 0:
                return self.text[start:offset]
        return self.text[start:]

    def functions(self):
        """(name, first line, lines) of each function; clang-format puts their braces into column one."""
        lines = self.code.split("\n")
        for number, line in enumerate(lines):
            if line != "{":
                continue
            first = number
            while first > 0 and lines[first - 1].strip() and not re.search(r"[;}]\s*$|^\s*#", lines[first - 1]):
                first -= 1
            last = next((i for i in range(number, len(lines)) if lines[i].startswith("}")), len(lines) - 1)
            signature = " ".join(lines[first:number])
            # The name stands before the last bracket pair of the outermost level.
            names = re.findall(r"(\w+)\s*\(", re.sub(r"\([^()]*\)", "()", signature))
            yield (names[-1] if names else "?"), first + 1, last - first + 1


def sources(root):
    root = Path(root)
    for folder in TOP_FOLDERS:
        for path in sorted((root / folder).rglob("*.[ch]")):
            yield Source(root, path)


class Report:
    """Findings of one check, less those listed in exceptions.txt."""

    def __init__(self, root, rules):
        self.rules = rules
        self.findings = []
        self.exceptions = {}
        self.used = set()
        path = Path(root) / "tests/lint/exceptions.txt"
        for number, line in enumerate(path.read_text().splitlines() if path.exists() else [], 1):
            words = line.split(None, 2)
            if not words or line.startswith("#"):
                continue
            if len(words) < 3:
                self.findings.append(f"tests/lint/exceptions.txt:{number}: an exception is RULE PLACE REASON")
            elif words[0] in rules:
                self.exceptions[words[0], words[1]] = number

    def add(self, rule, source, line, message, symbol=None):
        assert rule in self.rules, rule
        for place in (source.path, f"{source.path}:{symbol}"):
            if (rule, place) in self.exceptions:
                self.used.add((rule, place))
                return
        self.findings.append(f"{source.path}:{line}: {message} [{rule}]")

    def finish(self):
        """Prints everything; 0 when there is nothing."""
        for key, number in self.exceptions.items():
            if key not in self.used:
                self.findings.append(
                    f"tests/lint/exceptions.txt:{number}: nothing needs the exception {key[0]} {key[1]}"
                )
        for finding in self.findings:
            print(finding)
        return 1 if self.findings else 0


def main(check):
    """The body of each check's script: CHECK.py ROOT."""
    sys.exit(check(sys.argv[1]))
