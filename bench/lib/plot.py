# SPDX-License-Identifier: PostgreSQL
"""One SVG for each way a cost can grow. The same figures give the same bytes: no date, fixed ids.

Background is transparent; lines and text have colours that stand out on white and on black.
"""
import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import FuncFormatter, NullLocator  # noqa: E402

from lib.programs import PG_RECEIVEWAL, WALRX  # noqa: E402

GREY = "#808080"
STYLE = {
    "svg.hashsalt": "walrx", "svg.fonttype": "none", "font.size": 10, "font.family": "sans-serif",
    "text.color": GREY, "axes.labelcolor": GREY, "axes.edgecolor": GREY, "xtick.color": GREY, "ytick.color": GREY,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10,
    "grid.color": GREY, "grid.alpha": 0.3, "legend.frameon": False,
}
LINES = {PG_RECEIVEWAL: {"color": "#d9822b", "marker": "s"}, WALRX: {"color": "#2f8fd0", "marker": "o"}}


def size_text(value, _=None):
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")):
        if value >= unit:
            return f"{value / unit:g} {name}"
    return f"{value:g} B"


def count_text(value, _=None):
    return f"{value:,.0f}"


# axis: (label, text of a value, [(figure, title, factor), ...])
PLOTS = {
    "segment-size": ("segment size", size_text, [
        ("mb_per_s", "MB/s", 1), ("cpu_s_per_gb", "CPU seconds per GB", 1), ("memory_mb", "memory, MB", 1)]),
    "message-size": ("message size", size_text, [
        ("mb_per_s", "MB/s", 1), ("cpu_s_per_gb", "CPU seconds per GB", 1), ("memory_mb", "memory, MB", 1)]),
    "archive-size": (".lz4 segments in the archive", count_text, [("start_s", "ms until streaming", 1000)]),
    "rate": ("bytes a second", size_text, [
        ("cpu_share", "CPU, % of a core", 100), ("flush_p50_us", "flush p50, us", 1), ("flush_p99_us", "flush p99, us", 1)]),
}


def positions(rows, text):
    """Values to places on the axis: evenly, in their order, since the steps are factors (and 0 has none);
    a rate of 0 means without limit and comes last."""
    return range(len(rows)), [text(row["value"]) for row in rows]


def panel(axes, rows, figure, title, factor):
    for who, line in LINES.items():
        points = [(x, row[who][figure]) for x, row in enumerate(rows) if who in row]
        places = [x for x, _ in points]
        axes.plot(places, [it["median"] * factor for _, it in points], label=who, linewidth=1.5, markersize=4, **line)
        axes.fill_between(places, [it["min"] * factor for _, it in points], [it["max"] * factor for _, it in points],
                          color=line["color"], alpha=0.2, linewidth=0)
    axes.set_title(title)
    axes.grid(True, linewidth=0.5)


def scale(axes):
    """Logarithmic when the figures span more than a factor of 20, else from zero."""
    values = [y for line in axes.get_lines() for y in line.get_ydata()]
    if values and min(values) > 0 and max(values) > 20 * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(bottom=0)


def draw(axis, rows, path):
    label, text, panels = PLOTS[axis]
    with pyplot.rc_context(STYLE):
        figure, grid = pyplot.subplots(1, len(panels), figsize=(3.6 * max(len(panels), 1.4), 3), squeeze=False)
        places, names = positions(rows, text)
        if axis == "rate":
            names = [name if row["value"] else "max" for name, row in zip(names, rows)]
        for axes, (key, title, factor) in zip(grid[0], panels):
            panel(axes, rows, key, title, factor)
            scale(axes)
            axes.set_xticks(list(places), names, rotation=45, ha="right")
            axes.set_xlabel(label)
        lines, titles = grid[0][0].get_legend_handles_labels()
        figure.legend(lines, titles, loc="upper center", ncols=len(lines))
        figure.tight_layout(rect=(0, 0, 1, 0.93))
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    # trailing blanks are matplotlib's, and no business of a diff
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")


def draw_all(results, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for axis in PLOTS:
        if axis in results:
            draw(axis, results[axis], folder / f"{axis}.svg")
