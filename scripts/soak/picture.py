"""Draws a soak as an SVG that needs nothing else: what was measured by the time, and the troubles behind it."""

from curve import nice
from timetable import group

WIDTH, HEIGHT, LEFT, RIGHT, TOP, GAP = 900, 132, 52, 16, 40, 34
COLOURS = ["#3b7dd8", "#d9480f", "#5c940d"]
SHADES = {"vendor": "#fbe3d0", "broker": "#dbe4f3", "people": "#e4e9d2"}
LEGEND = {"vendor": "trouble with the vendor's API", "broker": "with the broker", "people": "settings, pauses"}


def picture(panels, spells, began, ended):
    """`panels` have a title each, and lines by their names, which are lists of a time and a value or none."""
    height = TOP + len(panels) * (HEIGHT + GAP)

    def across(at):
        return LEFT + (at - began) / (ended - began) * (WIDTH - LEFT - RIGHT)

    parts = [shade(spell, across, ended, height) for spell in spells]
    for place, (name, text) in enumerate(LEGEND.items()):
        x = LEFT + place * 220
        parts.append(f'<rect x="{x}" y="8" width="14" height="12" fill="{SHADES[name]}"/>'
                     f'<text x="{x + 20}" y="18">{text}</text>')
    for place, (title, lines) in enumerate(panels):
        parts.append(panel(title, lines, TOP + place * (HEIGHT + GAP), across))
    minutes = (ended - began) / 60
    for tick in range(7):
        x, minute = across(began + (ended - began) * tick / 6), minutes * tick / 6
        parts.append(f'<text x="{x:.0f}" y="{height - 4}" text-anchor="middle">{minute:g} min</text>')
    style = "text{font:12px sans-serif;fill:#444}.title{font-weight:bold}"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height + 4}"><style>{style}</style>'
            f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n')


def shade(spell, across, ended, height):
    """From the beginning of a trouble until all was well again, in all panels."""
    begin, end = across(spell.begin), across(min(spell.well, ended))
    return (f'<rect x="{begin:.1f}" y="{TOP}" width="{end - begin:.1f}" height="{height - TOP - GAP + 14}" '
            f'fill="{SHADES[group(spell.name)]}"><title>{spell.name}</title></rect>')


def panel(title, lines, top, across):
    values = [value for line in lines.values() for _, value in line if value is not None]
    most, bottom = nice(max([1, *values])), top + HEIGHT
    parts = [f'<text class="title" x="{LEFT}" y="{top - 4}">{title}</text>']
    for mark in range(3):
        y = bottom - mark / 2 * (HEIGHT - 8)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ccc"/>'
                     f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{most * mark / 2:g}</text>')
    x = WIDTH - RIGHT
    for (name, line), colour in reversed(list(zip(lines.items(), COLOURS))):
        parts.append(f'<text x="{x}" y="{top - 4}" text-anchor="end" style="fill:{colour}">{name}</text>')
        x -= 9 * len(name) + 12
        parts.extend(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
                     for points in strokes(line, lambda at, value: (across(at), bottom - value / most * (HEIGHT - 8))))
    return "".join(parts)


def strokes(line, place):
    """The points of a line in pieces: it ends where nothing is known, and begins anew after that."""
    pieces, piece = [], []
    for at, value in [*line, (0, None)]:
        if value is None:
            pieces.append(thinned(piece))
            piece = []
        else:
            piece.append("{:.1f},{:.1f}".format(*place(at, value)))
    return [" ".join(piece) for piece in pieces if len(piece) > 1]


def thinned(piece):
    """Without the points in the middle of what is level."""
    heights = [point.partition(",")[2] for point in piece]
    ends = (0, len(piece) - 1)
    return [point for place, point in enumerate(piece)
            if place in ends or len({*heights[place - 1:place + 2]}) > 1]
