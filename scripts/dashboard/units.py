"""Writes numbers as Grafana does, by the units that the dashboard has."""

import math

RATES = {"cps": " c/s", "reqps": " req/s"}


def written(value, unit, decimals=None):
    if value is None or math.isnan(value):
        return "–"
    if unit == "s":
        return duration(value, decimals)
    if unit == "percentunit":
        return number(value * 100, decimals) + "%"
    if unit == "bytes":
        return scaled(value, 1024, [" B", " KiB", " MiB", " GiB", " TiB"], decimals)
    return scaled(value, 1000, ["", " K", " Mil", " Bil"], decimals) + RATES.get(unit, "")


def scaled(value, base, names, decimals):
    step = 0
    while abs(value) >= base and step < len(names) - 1:
        value, step = value / base, step + 1
    return number(value, decimals) + names[step]


def duration(value, decimals):
    size = abs(value)
    for most, factor, name in ((1e-3, 1e6, " µs"), (1, 1e3, " ms"), (60, 1, " s"), (3600, 1 / 60, " mins")):
        if size < most and size > 0:
            return number(value * factor, decimals) + name
    return "0 s" if value == 0 else number(value / 3600, decimals) + " hours"


def number(value, decimals):
    if decimals is None:
        size = abs(value)
        decimals = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2
        text = f"{value:.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.{decimals}f}"


def ticks(most, count, unit):
    """Round numbers from 0 to at least `most`, about `count` of them."""
    if not most > 0:
        return [0.0, 1.0]
    factors = (1, 2, 5, 10)
    if unit == "bytes":
        power, factors = 2.0 ** math.floor(math.log2(most / count)), (1, 2)
    elif unit == "s" and most > 60:
        power, factors = 1, (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 86400)
    else:
        power = 10.0 ** math.floor(math.log10(most / count))
    step = next((power * factor for factor in factors if power * factor * count >= most * 0.999), power * factors[-1])
    return [step * index for index in range(math.ceil(most / step - 1e-9) + 1)]
