"""Draws how throughput goes with the work, as an SVG that needs nothing else."""

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 420, 260, 58, 42, 34
COLOURS = ["#8a8f98", "#3b7dd8", "#d9480f"]


def picture(panels):
    """An SVG of panels side by side; each is a title, the name of its axis, and lines by their names, which are
    lists of (x, y)."""
    drawn = [f'<g transform="translate({place * WIDTH},0)">{panel(*it)}</g>' for place, it in enumerate(panels)]
    size = f'width="{WIDTH * len(panels)}" height="{HEIGHT}"'
    style = "text{font:12px sans-serif;fill:#444}.title{font-weight:bold}"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{style}</style>'
            f'<rect width="100%" height="100%" fill="#fff"/>{"".join(drawn)}</svg>\n')


def panel(title, axis, lines):
    places = [x for x, _ in next(iter(lines.values()))]
    top = nice(max(y for line in lines.values() for _, y in line))
    step = (WIDTH - LEFT - 20) / max(len(places) - 1, 1)

    def at(x, y):
        return LEFT + places.index(x) * step, HEIGHT - BOTTOM - y / top * (HEIGHT - BOTTOM - TOP)

    parts = [f'<text class="title" x="{LEFT}" y="16">{title}</text>',
             f'<text x="{WIDTH / 2}" y="{HEIGHT - 6}" text-anchor="middle">{axis}</text>']
    for mark in range(5):
        y = at(places[0], top * mark / 4)[1]
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - 20}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{top * mark / 4:,.0f}</text>')
    for x in places:
        parts.append(f'<text x="{at(x, 0)[0]:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x}</text>')
    for place, ((name, line), colour) in enumerate(zip(lines.items(), COLOURS)):
        points = " ".join(f"{px:.1f},{py:.1f}" for px, py in (at(x, y) for x, y in line))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{LEFT + 8 + place * 120}" y="{TOP - 4}" style="fill:{colour}">{name}</text>')
    return "".join(parts)


def nice(most):
    """A round number that is no less."""
    power = 10 ** (len(str(int(most))) - 1)
    return next(power * factor for factor in (1, 2, 3, 4, 5, 6, 8, 10) if power * factor >= most)
