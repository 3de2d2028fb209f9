#!/usr/bin/python3 -B
# SPDX-License-Identifier: PostgreSQL
"""Makes the page: assemble.py OUTPUT.c TEMPLATE.html STYLE.css LICENCE.txt CHART.js|- SCRIPT.js...

One file without outside requests, as C bytes, with the policy (Content-Security-Policy) that allows
exactly its own style and scripts, by their hashes, and a tag for caches.
"""
import base64
import hashlib
import sys
from pathlib import Path


def sha256(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def c_bytes(data):
    lines = (",".join(map(str, data[i:i + 40])) for i in range(0, len(data), 40))
    return ",\n".join(lines)


def main(output, template, style_path, licence, chart, *scripts):
    style = Path(style_path).read_text()
    parts = []
    if chart != "-":
        parts.append("/*\n" + Path(licence).read_text() + "*/\n" + Path(chart).read_text())
    parts.append("(() => {\n" + "".join(Path(path).read_text() for path in scripts) + "})();\n")
    for text in (style, *parts):
        if "</script" in text.lower() or "</style" in text.lower() or "<!--" in text:
            sys.exit("a style or script would end its element early")
    page = Path(template).read_text()
    page = page.replace("<!--STYLE-->", f"<style>{style}</style>")
    page = page.replace("<!--SCRIPTS-->", "\n".join(f"<script>{part}</script>" for part in parts))
    policy = ("default-src 'none'; style-src " + sha256(style) + "; script-src " +
              " ".join(map(sha256, parts)) + "; connect-src 'self'; img-src data:; base-uri 'none'; "
              "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
    data = page.encode()
    tag = '\\"' + hashlib.sha256(data + policy.encode()).hexdigest()[:32] + '\\"'
    Path(output).write_text(
        '/* Made by assemble.py. */\n#include "web_page.h"\n\n'
        f'const char web_page_policy[] = "{policy}";\nconst char web_page_tag[] = "{tag}";\n'
        f"const size_t web_page_length = {len(data)};\n"
        f"const unsigned char web_page[] = {{\n{c_bytes(data)}}};\n")


main(*sys.argv[1:])
