# SPDX-License-Identifier: PostgreSQL
"""Proves that each check finds what it is for, and leaves good code alone.

Every case writes a small tree, runs the check as meson does, and looks at its status and output.
"""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).parent
LICENCE = "/* SPDX-License-Identifier: PostgreSQL */\n"


class Tree:
    def __init__(self, files):
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text((LICENCE if name.endswith((".c", ".h")) else "") + text)

    def run(self, check, *arguments):
        result = subprocess.run(
            [sys.executable, "-B", HERE / f"check_{check}.py", self.root, *arguments],
            capture_output=True, text=True, check=False,
        )
        return result.returncode, result.stdout + result.stderr


class LintCase(unittest.TestCase):
    check = ""
    arguments = ()

    def run_check(self, files):
        tree = Tree(files)
        with tree.folder:
            return tree.run(self.check, *self.arguments)

    def assert_good(self, files):
        status, output = self.run_check(files)
        self.assertEqual((status, output), (0, ""))

    def assert_bad(self, files, *expected):
        status, output = self.run_check(files)
        self.assertEqual(status, 1, output)
        for text in expected:
            self.assertIn(text, output)

    def assert_bad_line(self, path, line, *expected):
        self.assert_bad({path: line + "\n"}, *expected)


class Edges(LintCase):
    check = "edges"
    levels = ["base", "proto", ("os", "codec"), "archive", "stream", ("observe", "restore"), "cli"]

    def include(self, area, other):
        folder = "proto" if area == "proto" else f"src/{area}"
        return {f"{folder}/file.c": f'#include "walrx/{other}/x.h"\n'}

    def test_every_pair_of_areas(self):
        flat = [(area, level) for level, areas in enumerate(self.levels)
                for area in (areas if isinstance(areas, tuple) else (areas,))]
        for area, level in flat:
            for other, other_level in flat:
                with self.subTest(area=area, other=other):
                    if other_level < level or other == area:
                        self.assert_good(self.include(area, other))
                    else:
                        self.assert_bad(self.include(area, other), f"{area} must not include {other} [edge]")

    def test_contract_headers_count_for_their_area(self):
        self.assert_bad_line("include/walrx/proto/x.h", '#include "walrx/os/log.h"', "x.h:2:", "[edge]")

    def test_tests_and_benches_include_what_they_like(self):
        self.assert_good({"tests/unit/base/test_x.c": '#include "walrx/cli/x.h"\n#include <zlib.h>\n'})

    def test_unknown_area(self):
        self.assert_bad_line("src/misc/x.c", "int x;", "[unknown-area]")
        self.assert_bad_line("src/os/x.c", '#include "walrx/misc/x.h"', "[unknown-area]")
        self.assert_bad_line("src/os/x.c", '#include "walrx/x.h"', "[unknown-area]")

    def test_private_headers_stay_in_their_folder(self):
        self.assert_good({"src/os/x.c": '#include "x_internal.h"\n', "src/os/x_internal.h": ""})
        self.assert_bad({"src/cli/x.c": '#include "x_internal.h"\n', "src/os/x_internal.h": ""}, "[private-header]")
        self.assert_bad({"src/cli/x.c": '#include "../os/x_internal.h"\n', "src/os/x_internal.h": ""},
                        "[private-header]")

    def test_wrapped_libraries(self):
        for header, area in (("libpq-fe.h", "stream"), ("zlib.h", "codec"), ("lz4frame.h", "codec"),
                             ("zstd.h", "codec")):
            self.assert_good({f"src/{area}/x.c": f"#include <{header}>\n"})
            self.assert_bad_line("src/cli/x.c", f"#include <{header}>", "[library]")
            self.assert_bad_line(f"include/walrx/archive/{header}", f"#  include  <{header}>", "[library]")

    def test_pure_areas_have_no_system_headers(self):
        for path in ("src/base/x.c", "proto/x.c", "src/codec/x.c", "include/walrx/proto/x.h"):
            for header in ("unistd.h", "time.h", "fcntl.h", "sys/stat.h", "pthread.h"):
                self.assert_bad_line(path, f"#include <{header}>", "[pure-include]")
            self.assert_good({path: "#include <stdint.h>\n#include <string.h>\n"})
        self.assert_good({"src/os/x.c": "#include <unistd.h>\n"})

    def test_comments_are_no_includes(self):
        self.assert_good({"src/base/x.c": '/* one\n#include "walrx/cli/x.h"\n*/\n'})


class Calls(LintCase):
    check = "calls"

    def test_banned_calls_are_found_everywhere(self):
        for name in ("strcpy", "strcat", "sprintf", "vsprintf", "strtok", "atoi", "atol", "atoll", "sscanf", "gets"):
            for path in ("src/os/x.c", "tests/unit/os/test_x.c", "bench/x.c", "include/walrx/os/x.h"):
                self.assert_bad_line(path, f"x = {name}(a, b);", "x.c:2:" if path.endswith(".c") else "x.h:2:",
                                     f"{name} is not used here [banned-call]")
        self.assert_bad_line("src/os/x.c", "static int (*read_number)(const char *) = atoi;", "[banned-call]")

    def test_similar_names_are_fine(self):
        self.assert_good({"src/os/x.c": "snprintf(a); vsnprintf(b); my_atoi(c); x->gets(d); x.strcat(e); fgets(f);\n"})

    def test_comments_and_strings_do_not_call(self):
        self.assert_good({"src/base/x.c": '/* sprintf(a) and malloc(b)\n * strcpy(c) */\nx = "atoi(x) \\" gets(y)";\n'})
        self.assert_bad_line("src/os/x.c", "x = '\"'; atoi(x); y = '\"';", "[banned-call]")

    def test_only_os_changes_files(self):
        for call in ("write(fd, a, b)", "pwrite(fd, a, b, c)", "fsync(fd)", "fdatasync(fd)", "rename(a, b)",
                     "renameat(a, b, c, d)", "renameat2(a, b, c, d, e)", "unlink(a)", "unlinkat(a, b, c)",
                     "mkdir(a, b)", "mkdirat(a, b, c)", "ftruncate(a, b)", "fallocate(a)", "posix_fallocate(a)",
                     "link(a, b)", "linkat(a, b)", "symlink(a, b)", "chmod(a, b)", "fchmod(a, b)", "flock(a, b)",
                     "creat(a, b)", "open(name, O_RDWR)", "open(f(a), O_CREAT | O_CLOEXEC, 0600)",
                     "openat(fd, name,\n  O_WRONLY)", 'fopen(a, "w")', 'fopen(a, "r+")', "fopen(a, mode)"):
            with self.subTest(call=call):
                self.assert_bad_line("src/archive/x.c", f"x = {call};", "only src/os changes files", "[file-call]")
                self.assert_good({"src/os/x.c": f"x = {call};\n"})
                self.assert_good({"tests/unit/os/test_x.c": f"x = {call};\n"})

    def test_reading_files_is_free(self):
        self.assert_good({"src/cli/x.c": 'a = open(name, O_RDONLY | O_CLOEXEC); b = fopen(name, "re");\n'})

    def test_pure_areas_neither_print_nor_allocate_nor_ask_the_time(self):
        for call in ("malloc(1)", "calloc(1, 1)", "realloc(a, 1)", "strdup(a)", "printf(a)", "fprintf(stderr, a)",
                     "puts(a)", "time(NULL)", "clock_gettime(a, b)"):
            for path in ("src/base/x.c", "proto/x.c"):
                self.assert_bad_line(path, f"x = {call};", "[pure-call]")
            self.assert_good({"src/os/x.c": f"x = {call};\n"})

    def test_codec_allocates_but_does_no_io(self):
        self.assert_good({"src/codec/x.c": "x = malloc(1); free(x);\n"})
        self.assert_bad_line("src/codec/x.c", "printf(a);", "[pure-call]")
        self.assert_bad_line("src/codec/x.c", 'fopen(a, "r");', "[pure-call]")
        self.assert_bad_line("src/codec/x.c", "write(a, b, c);", "[file-call]")


def function(lines):
    """A function of so many lines, from its signature to its last brace."""
    return "int f(int a,\n      int b)\n{\n" + "    a++;\n" * (lines - 4) + "}\n"


class Size(LintCase):
    check = "size"

    def test_length_of_functions(self):
        before = "struct S {\n    int a;\n};\n\n" + function(10).replace("f(", "e(") + "\n"
        self.assert_good({"src/os/x.c": before + function(70)})
        self.assert_bad({"src/os/x.c": before + function(71)}, "x.c:17:", "f has 71 lines, more than 70")

    def test_length_of_files(self):
        self.assert_good({"src/os/x.c": "int a;\n" * 799})
        self.assert_bad({"src/os/x.c": "int a;\n" * 800}, "801 lines, more than 800 [file-length]")

    def test_base_names_are_unique(self):
        self.assert_bad({"src/os/x.c": "", "tests/unit/os/x.c": ""}, "src/os/x.c has the same name [base-name]")
        self.assert_good({"src/os/x.c": "", "include/walrx/os/x.h": "", "tests/unit/os/test_x.c": ""})

    def test_line_comments(self):
        self.assert_bad_line("src/os/x.c", "int a; // short", "x.c:2:", "[line-comment]")
        self.assert_good({"src/os/x.c": '/* see // there */ char a[] = "http://x";\n'})

    def test_unfinished_notes(self):
        for word in ("TODO", "FIXME", "XXX"):
            self.assert_bad_line("src/os/x.c", f"/* {word}: later */", "[note]")
        self.assert_good({"src/os/x.c": '/* TTTTTTTTXXXXXXXX */ char a[] = "/tmp/x-XXXXXX";\n'})

    def test_licence(self):
        tree = Tree({})
        with tree.folder:
            (tree.root / "src/os").mkdir(parents=True)
            (tree.root / "src/os/x.c").write_text("int a;\n")
            self.assertEqual(tree.run("size"), (1, "src/os/x.c:1: the first line has no SPDX-License-Identifier [licence]\n"))


class Exceptions(LintCase):
    check = "size"

    def with_list(self, text):
        return {"tests/lint/exceptions.txt": text, "src/os/x.c": function(71)}

    def test_exception_is_honoured(self):
        self.assert_good(self.with_list("# why\n\nfunction-length src/os/x.c:f one table\n"))
        self.assert_good(self.with_list("function-length src/os/x.c one table\n"))

    def test_exception_of_another_place_or_rule_does_not_help(self):
        self.assert_bad(self.with_list("function-length src/os/x.c:g one table\n"), "f has 71 lines",
                        "exceptions.txt:1: nothing needs the exception function-length src/os/x.c:g")
        self.assert_bad(self.with_list("file-length src/os/x.c one table\n"), "f has 71 lines", "nothing needs")

    def test_exception_needs_a_reason(self):
        self.assert_bad(self.with_list("function-length src/os/x.c:f\n"), "RULE PLACE REASON")

    def test_exceptions_of_other_checks_are_left_to_them(self):
        self.assert_good({"tests/lint/exceptions.txt": "edge src/os/x.c reason\n"})


class Headers(LintCase):
    check = "headers"
    arguments = ("cc",)

    def test_complete_header(self):
        self.assert_good({"include/walrx/os/x.h": "#pragma once\n#include <stdint.h>\ntypedef uint8_t X;\n"})

    def test_header_that_needs_another(self):
        self.assert_bad({"include/walrx/os/x.h": "#pragma once\ntypedef uint8_t X;\n"}, "x.h: does not compile alone")

    def test_header_without_guard(self):
        self.assert_bad({"include/walrx/os/x.h": "struct X {\n    int a;\n};\n"}, "x.h: does not compile alone")


class Format(LintCase):
    check = "format"
    style = "BasedOnStyle: LLVM\nIndentWidth: 4\n"

    def setUp(self):
        if self.run_check({})[0] == 77:
            self.skipTest("no clang-format")

    def test_formatted(self):
        self.assert_good({".clang-format": self.style, "src/os/x.c": "int a;\n"})

    def test_not_formatted(self):
        self.assert_bad({".clang-format": self.style, "src/os/x.c": "int   a;\n"}, "x.c:2:")
        self.assert_bad({".clang-format": self.style, "include/walrx/os/x.h": "int   a;\n"}, "x.h:2:")


class Cppcheck(LintCase):
    check = "cppcheck"

    def setUp(self):
        if self.run_check({"src/os/x.c": ""})[0] == 77:
            self.skipTest("no cppcheck")

    def test_good_code(self):
        self.assert_good({"src/os/x.c": "int f(void)\n{\n    return 1;\n}\n"})

    def test_index_out_of_bounds(self):
        self.assert_bad({"src/os/x.c": "int f(void)\n{\n    int a[2] = {0, 1};\n    return a[2];\n}\n"}, "arrayIndexOutOfBounds")


class Python(LintCase):
    check = "python"

    def setUp(self):
        if self.run_check({"tests/x.py": "\n"})[0] == 77:
            self.skipTest("no pyflakes3")

    def test_good_code(self):
        self.assert_good({"tests/x.py": "import os\n\nprint(os.sep)\n", "tests/run": "#!/bin/sh\n"})

    def test_names_that_do_not_exist(self):
        self.assert_bad({"tests/a/x.py": "print(os.sep)\n"}, "x.py", "undefined name 'os'")
        self.assert_bad({"bench/x": "#!/usr/bin/env python3\nimport os\n"}, "imported but unused")


class MissingPrograms(unittest.TestCase):
    def test_status_says_skipped(self):
        for check in ("format", "cppcheck", "python"):
            with tempfile.TemporaryDirectory() as root:
                result = subprocess.run([sys.executable, "-B", HERE / f"check_{check}.py", root], env={"PATH": "/nowhere"},
                                        capture_output=True, text=True, check=False)
                self.assertEqual(result.returncode, 77)
                self.assertIn("is not installed", result.stdout)


if __name__ == "__main__":
    unittest.main()
