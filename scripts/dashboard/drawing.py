"""Draws a dashboard as one page of HTML: each panel where, and as, the dashboard's own JSON says."""

import html

from charts import COLOURS, PALETTE, Plot, heatmap, named, state_timeline, summary, time_series
from dashboard import everything
from units import written

COLUMN, ROW, GAP = 52, 24, 6
LINE = 17  # of a legend
WIDTH = 24 * COLUMN + GAP
STYLE = """
* { box-sizing: border-box; margin: 0 }
body { background: #111217; color: #ccccdc; font: 12px "DejaVu Sans", "Liberation Sans", sans-serif;
       -webkit-font-smoothing: antialiased; position: relative }
h1 { font-size: 17px; font-weight: 500; padding: 10px 12px 0 }
h1 + p { padding: 3px 12px; color: #8e8e99 }
h2 { font-size: 14px; font-weight: 500; position: absolute; padding: 8px }
section { position: absolute; background: #181b1f; border: 1px solid #25282e; border-radius: 2px; overflow: hidden }
h3 { font-size: 12.5px; font-weight: 500; padding: 6px 8px 2px; height: 25px; white-space: nowrap }
svg { display: block }
svg text { fill: #9a9aa5; font-size: 10.5px }
table { width: 100%; border-collapse: collapse; font-size: 11px }
td, th { padding: 1px 8px; text-align: right; font-weight: 400; white-space: nowrap; line-height: 15px }
th { color: #6e9fff }
td:first-child, th:first-child { text-align: left; width: 99%; max-width: 0; overflow: hidden; text-overflow: ellipsis }
.plain tr * { text-align: left; width: auto !important; max-width: none !important; padding: 4px 8px;
              border-bottom: 1px solid #25282e }
.plain th { color: inherit; font-weight: 500 }
i { display: inline-block; width: 12px; height: 3px; border-radius: 1px; margin: 0 6px 3px 0 }
.stat { height: calc(100% - 25px); display: flex; flex-direction: column; align-items: center;
        justify-content: center; font-size: 26px; font-weight: 500 }
.stat small { font-size: 12px }
"""


class Drawing:
    """Asks `prometheus` what each panel asks, for the time from `begin` to `end`."""

    def __init__(self, prometheus, fill, begin, end, step):
        self.prometheus, self.fill, self.begin, self.end, self.step = prometheus, fill, begin, end, step
        self.empty = []

    def page(self, dashboard, note):
        head = 48
        parts, lowest = [], 0
        for panel in everything(dashboard["panels"]):
            place = panel["gridPos"]
            left, top = place["x"] * COLUMN, head + place["y"] * (ROW + GAP)
            width, height = place["w"] * COLUMN - GAP, place["h"] * (ROW + GAP) - GAP
            lowest = max(lowest, top + height)
            where = f'style="left:{left + GAP}px;top:{top}px;width:{width}px;height:{height}px"'
            title = html.escape(panel["title"])
            if panel["type"] == "row":
                parts.append(f"<h2 {where}>{title}</h2>")
            else:
                parts.append(f"<section {where}>{self.panel(panel, title, width - 2, height - 27)}</section>")
        body = f'<body style="width:{WIDTH}px;height:{lowest + GAP}px">'
        heading = f"<h1>{html.escape(dashboard['title'])}</h1><p>{html.escape(note)}</p>"
        return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{body}{heading}{"".join(parts)}</body>'

    def panel(self, panel, title, width, height):
        kind, series = panel["type"], self.series(panel)
        if not series:
            self.empty.append(panel["title"])
        if kind == "stat":
            return self.stat(panel, title, series)
        heading = f"<h3>{title}</h3>"
        if kind == "table":
            return heading + table(panel, series)
        if kind == "heatmap":
            return heading + heatmap(panel, series, self.plot(width, height), self.step)
        if kind == "state-timeline":
            left = 10 + max((6.6 * len(name) for name, *_ in series), default=0)
            return heading + state_timeline(panel, series, self.plot(width, height, left), self.step)
        if kind == "timeseries":
            # As in Grafana, the legend has no more than a part of the panel.
            below = LINE * min(len(series) + 1, round(height * 0.38 / LINE))
            return (heading + time_series(panel, series, self.plot(width, height - below - 4), self.step)
                    + f'<div style="height:{below}px;overflow:hidden">{legend(panel, series)}</div>')
        raise ValueError(f"{panel['title']}: does not know how to draw {kind}")

    def plot(self, width, height, *left):
        return Plot(width, height, self.begin, self.end, *left)

    def series(self, panel):
        """Triples of a name, a colour and values by time; of a table, labels are the names."""
        found = []
        for target in panel["targets"]:
            query = self.fill(target["expr"])
            if target.get("instant"):
                answer = self.prometheus.at(query, self.end)
            else:
                answer = self.prometheus.over_time(query, self.begin, self.end, self.step)
            answer.sort(key=lambda one: sorted(one[0].items()))
            for labels, values in answer:
                if panel["type"] == "heatmap" or any(value == value for value in values.values()):
                    found.append((labels if panel["type"] == "table" else named(target, labels), values))
        return [(name, PALETTE[index % len(PALETTE)], values) for index, (name, values) in enumerate(found)]

    def stat(self, panel, title, series):
        defaults, options = panel["fieldConfig"]["defaults"], panel["options"]
        shown, background = "", ""
        for name, _, values in series:
            value = summary(values, options["reduceOptions"]["calcs"][0])
            colour = next(COLOURS[step["color"]] for step in reversed(defaults["thresholds"]["steps"])
                          if step["value"] is None or (value is not None and value >= step["value"]))
            mapped = {float(key): one for mapping in defaults.get("mappings", [])
                      for key, one in mapping["options"].items()}.get(value)
            text = mapped["text"] if mapped else written(value, defaults["unit"], defaults.get("decimals"))
            colour = COLOURS[mapped["color"]] if mapped else colour
            if options["colorMode"] == "background":
                background, colour = f"background:{colour};", "#111217"
            more = f"<small>{html.escape(name)}</small>" if options["textMode"] == "value_and_name" else ""
            shown += f'<span style="color:{colour}">{html.escape(text)}</span>{more}'
        ink = "color:#111217;" if background else ""
        return (f'<div style="{background}{ink}height:100%"><h3>{title}</h3>'
                f'<div class="stat">{shown or "No data"}</div></div>')


def legend(panel, series):
    defaults, options = panel["fieldConfig"]["defaults"], panel["options"]["legend"]
    if not options["showLegend"]:
        return ""
    calcs = options["calcs"] if options["displayMode"] == "table" else []
    head = "".join(f"<th>{what.capitalize()}</th>" for what in calcs)
    rows = ""
    if "sortBy" in options:
        by = options["sortBy"].lower()
        series = sorted(series, key=lambda one: summary(one[2], by) or 0, reverse=options["sortDesc"])
    for name, colour, values in series:
        cells = "".join(f"<td>{written(summary(values, what), defaults.get('unit'), defaults.get('decimals'))}</td>"
                        for what in calcs)
        rows += f'<tr><td><i style="background:{colour}"></i>{html.escape(name)}</td>{cells}</tr>'
    return f"<table><tr><th>Name</th>{head}</tr>{rows}</table>"


def table(panel, series):
    """The columns in the order of the panel's organisation, by the names of its overrides."""
    order = next(one["options"]["indexByName"] for one in panel["transformations"] if one["id"] == "organize")
    columns = sorted(order, key=order.get)
    changes = {one["matcher"]["options"]: {change["id"]: change["value"] for change in one["properties"]}
               for one in panel["fieldConfig"]["overrides"]}
    rows = sorted(series, key=lambda one: -next(iter(one[2].values())))
    text = "".join(f"<th>{html.escape(changes.get(name, {}).get('displayName', name))}</th>" for name in columns)
    for labels, _, values in rows:
        value = written(next(iter(values.values())), "short", changes.get("Value", {}).get("decimals"))
        cells = ((value if name == "Value" else labels.get(name, "")) for name in columns)
        text += "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
    return f'<table class="plain">{text}</table>'
