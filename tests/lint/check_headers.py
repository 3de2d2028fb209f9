# SPDX-License-Identifier: PostgreSQL
"""Each contract header compiles as the only one, and twice: check_headers.py ROOT COMPILER [FLAG...]"""
import subprocess
import sys
from pathlib import Path


def check(root, compiler):
    bad = 0
    include = Path(root) / "include"
    for header in sorted(include.rglob("*.h")):
        name = header.relative_to(include).as_posix()
        result = subprocess.run(
            [*compiler, "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
             f"-I{include}", "-x", "c", "-"],
            input=f'#include "{name}"\n#include "{name}"\n', capture_output=True, text=True, check=False,
        )
        if result.returncode != 0:
            print(f"include/{name}: does not compile alone\n{result.stderr}")
            bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(check(sys.argv[1], sys.argv[2:]))
