"""Draws what a panel found over time, as SVG."""

import html
import math
import re
import time as clock

from units import ticks, written

COLOURS = {"green": "#73bf69", "red": "#f2495c", "orange": "#ff9830", "blue": "#5794f2", "text": "#ccccdc"}
PALETTE = ("#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0", "#508642",
           "#cca300", "#447ebc", "#c15c17", "#890f02", "#0a437c", "#6d1f62", "#584477")
LEFT, RIGHT, TOP, BOTTOM = 62, 10, 8, 20


def named(target, labels):
    """What the legend calls a series."""
    return re.sub(r"\{\{ *(\w+) *\}\}", lambda found: labels.get(found[1], ""), target["legendFormat"])


class Plot:
    """A rectangle with a scale of time, in which something is drawn."""

    def __init__(self, width, height, begin, end, left=LEFT):
        self.width, self.height, self.begin, self.end, self.left = width, height, begin, end, left
        self.parts = []

    def x(self, time):
        return self.left + (time - self.begin) / (self.end - self.begin) * (self.width - self.left - RIGHT)

    def y(self, share):
        return self.height - BOTTOM - share * (self.height - BOTTOM - TOP)

    def rectangle(self, x, y, width, height, colour, opacity=1.0):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" '
                          f'fill="{colour}" fill-opacity="{opacity:.2f}"/>')

    def text(self, x, y, text, anchor):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>')

    def line(self, points, colour, width):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>')

    def area(self, upper, lower, colour, opacity):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*upper, *reversed(lower)])
        self.parts.append(f'<polygon points="{path}" fill="{colour}" fill-opacity="{opacity:.2f}"/>')

    def times(self):
        step = 60 if self.width > 500 else 120
        for time in range(math.ceil(self.begin / step) * step, math.floor(self.end) + 1, step):
            self.line([(self.x(time), self.y(1)), (self.x(time), self.y(0))], "#2c3036", 1)
            self.text(self.x(time), self.height - 5, clock.strftime("%H:%M", clock.gmtime(time)), "middle")

    def svg(self):
        return f'<svg width="{self.width}" height="{self.height}">{"".join(self.parts)}</svg>'


def finite(values):
    return {time: value for time, value in values.items() if math.isfinite(value)}


def stretches(values, step):
    """The values without their gaps, as lists of pairs."""
    found = []
    for time, value in sorted(values.items()):
        if not found or time - found[-1][-1][0] > step * 1.5:
            found.append([])
        found[-1].append((time, value))
    return found


def time_series(panel, series, plot, step):
    """`series` are triples of a name, a colour and values by time."""
    defaults = panel["fieldConfig"]["defaults"]
    custom = defaults["custom"]
    stacked = custom["stacking"]["mode"] == "normal"
    below, layers = {}, []
    for _, colour, values in series:
        values = finite(values)
        if stacked:
            values = {time: value + below.get(time, 0) for time, value in values.items()}
        layers.append((colour, values, dict(below)))
        below.update(values if stacked else {})
    unit = defaults.get("unit", "short")
    scale = ticks(max((value for _, values, _ in layers for value in values.values()), default=0), 4, unit)
    for tick in scale:
        height = plot.y(tick / scale[-1])
        plot.line([(plot.left, height), (plot.width - RIGHT, height)], "#2c3036", 1)
        plot.text(plot.left - 7, height + 4, written(tick, unit, defaults.get("decimals")), "end")
    plot.times()
    for colour, values, ground in layers:
        for stretch in stretches(values, step):
            upper = [(plot.x(time), plot.y(value / scale[-1])) for time, value in stretch]
            lower = [(plot.x(time), plot.y(ground.get(time, 0) / scale[-1])) for time, _ in stretch]
            plot.area(upper, lower, colour, custom["fillOpacity"] / 100)
            plot.line(upper, colour, 1.4)
    return plot.svg()


def state_timeline(panel, series, plot, step):
    defaults = panel["fieldConfig"]["defaults"]
    states = {float(key): one for mapping in defaults["mappings"] for key, one in mapping["options"].items()}
    height = (plot.height - BOTTOM - TOP) / max(len(series), 1)
    bar = height * panel["options"]["rowHeight"]
    plot.times()
    for row, (name, _, values) in enumerate(series):
        top = TOP + row * height + (height - bar) / 2
        plot.text(plot.left - 7, top + bar / 2 + 4, name, "end")
        for stretch in stretches(finite(values), step):
            begun = 0
            for index in range(1, len(stretch) + 1):
                if index < len(stretch) and stretch[index][1] == stretch[begun][1]:
                    continue
                until = stretch[index][0] if index < len(stretch) else stretch[-1][0]
                colour = COLOURS[states[stretch[begun][1]]["color"]]
                begin = plot.x(stretch[begun][0])
                opacity = defaults["custom"]["fillOpacity"] / 100
                plot.rectangle(begin, top, plot.x(until) - begin, bar, colour, opacity)
                begun = index
    return plot.svg()


def heatmap(panel, series, plot, step):
    """`series` are cumulative buckets, named by their upper bounds."""
    bounds = sorted(series, key=lambda one: float(one[0]))
    cells, below = [], {}
    for name, _, values in bounds:
        cells.append((name, {time: max(value - below.get(time, 0), 0) for time, value in values.items()}))
        below = values
    used = [index for index, (_, values) in enumerate(cells) if any(values.values())]
    cells = cells[used[0]:used[-1] + 1] if used else []
    most = max((value for _, values in cells for value in values.values()), default=1)
    height = (plot.height - BOTTOM - TOP) / max(len(cells), 1)
    exponent = panel["options"]["color"]["exponent"]
    plot.times()
    for row, (name, values) in enumerate(cells):
        top = plot.height - BOTTOM - (row + 1) * height
        bound = "∞" if name == "+Inf" else written(float(name), panel["options"]["yAxis"]["unit"])
        plot.text(plot.left - 7, top + height / 2 + 4, f"≤ {bound}", "end")
        for time, value in values.items():
            if value > most / 1000:
                wide = plot.x(time + step) - plot.x(time)
                share = (value / most) ** exponent
                plot.rectangle(plot.x(time) - wide, top + 0.5, wide - 0.5, height - 1, "#ff780a", 0.15 + 0.85 * share)
    return plot.svg()


def summary(values, what):
    """A column of a legend."""
    known = list(finite(values).values())
    if not known:
        return None
    return {"mean": sum(known) / len(known), "max": max(known), "lastNotNull": known[-1]}[what]
