"""Waterfalls as a picture: SVG, or an HTML page, written as text and drawn by any browser."""

from collections.abc import Callable, Iterator, Sequence
from html import escape
from math import floor, log10
from pathlib import Path
from textwrap import wrap
from typing import TypeAlias

import xarray as xr

from riskshare.case import Case
from riskshare.files.atomic import replacing
from riskshare.report.attribution import headline, money_of, shown_partners
from riskshare.report.money import MoneyFormat
from riskshare.report.waterfall import BY, Waterfall, Way, waterfall

Scale: TypeAlias = Callable[[float], float]
"""From money to a place across the picture."""

_ROW, _PLOT, _FIGURES, _GAP, _TOP = 22, 360, 122, 24, 64
_LETTER = 7.0
"""Width of a letter at the size of labels."""
_TOTAL, _GAIN, _LOSS = "#5b6770", "#1f6f8b", "#c44e52"
_LEGEND = (
    "Grey: a position. Blue: better than before the part, red: worse. Thin lines and ±: Monte "
    "Carlo standard error; of other, at most. Parts add up to the position."
)
_CUT = "A position with a cut bar: the axis does not begin at 0."


def write_waterfalls(
    path: Path, case: Case, parts: xr.Dataset, partners: Sequence[str] = ()
) -> Path:
    """Write the waterfalls of an attribution: an SVG picture, or an HTML page of them.

    Parameters
    ----------
    path
        Ending in ``.svg`` or ``.html``.
    parts
        Of `riskshare.attribute`; the highest of its levels is shown beside the mean.
    partners
        Partners and groups to show; all that are not external, and the system, unless given.
    """
    names = shown_partners(parts, tuple(partners))
    unit = money_of(case, parts, names)
    attrs = parts.attrs
    title = f"{case.title or case.name}: from plan to position"
    told = (
        f"{attrs['samples']:,} samples, seed {attrs['seed']}; {unit.unit}, all years, "
        f"{'in real terms' if attrs['prices'] == 'real' else 'nominal'}"
        + (f", discounted at {100 * attrs['discount_rate']:g} %" if attrs["discount_rate"] else "")
    )
    made: dict[str, list[Waterfall]] = {
        name: [found for axis in BY if (found := waterfall(parts, name, axis))] for name in names
    }
    if path.suffix == ".html":
        heads = {name: headline(parts, name, unit).plain for name in names}
        text = _page(title, told, made, heads, unit)
    else:
        text = _sheet(title, told, [one for found in made.values() for one in found], unit)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _page(
    title: str,
    told: str,
    made: dict[str, list[Waterfall]],
    heads: dict[str, str],
    unit: MoneyFormat,
) -> str:
    """Return a page with a section for each partner."""
    left = _labels([one for waterfalls in made.values() for one in waterfalls])
    found = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f"<title>{escape(title)}</title>",
        "<style>body{font-family:sans-serif;color:#333;margin:2em;max-width:75em}"
        "svg{max-width:100%;height:auto}</style></head><body>",
        f"<h1>{escape(title)}</h1><p>{escape(told)}. {escape(_LEGEND)} {escape(_CUT)}</p>",
    ]
    for name, waterfalls in made.items():
        found.append(f"<h2>{escape(name)}</h2><p>{escape(heads[name])}</p>")
        for one in waterfalls:
            width, height = _size(one, left)
            drawn = "\n".join(_figure(one, left, unit))
            found.append(
                f'<svg viewBox="0 0 {width} {height}" width="{width}" {_LOOK}>\n{drawn}\n</svg>'
            )
    return "\n".join([*found, "</body></html>", ""])


_LOOK = 'xmlns="http://www.w3.org/2000/svg" role="img" font-family="sans-serif" font-size="12"'


def _sheet(title: str, told: str, waterfalls: Sequence[Waterfall], unit: MoneyFormat) -> str:
    """Return one picture with all waterfalls below each other."""
    left = _labels(waterfalls)
    sizes = [_size(one, left) for one in waterfalls]
    width = max((size[0] for size in sizes), default=600)
    lines = wrap(f"{told}. {_LEGEND} {_CUT}", int(width / _LETTER))
    top = 40 + 16 * len(lines)
    height = top + sum(size[1] for size in sizes)
    found = [
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" {_LOOK}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="22" font-size="16" fill="#333">{escape(title)}</text>',
        *(_text(10, 42 + 16 * i, line) for i, line in enumerate(lines)),
    ]
    for one, size in zip(waterfalls, sizes, strict=True):
        found += [f'<g transform="translate(0,{top})">', *_figure(one, left, unit), "</g>"]
        top += size[1]
    return "\n".join([*found, "</svg>", ""])


def _labels(waterfalls: Sequence[Waterfall]) -> float:
    """Return the width of the column of labels, which all of a sheet have alike."""
    return 24 + _LETTER * max(len(name) for one in waterfalls for name in ("position", *one.names))


def _size(of: Waterfall, left: float) -> tuple[int, int]:
    width = int(left + len(of.ways) * (_PLOT + _FIGURES + _GAP))
    return width, _TOP + _ROW * (len(of.names) + 2) + 16 * len(_others(of, width)) + 26


def _others(of: Waterfall, width: int) -> list[str]:
    """Return what ``other`` holds, in lines."""
    if not of.others:
        return []
    return wrap(f"other: {', '.join(of.others)}", int((width - 20) / _LETTER))


def _figure(of: Waterfall, left: float, unit: MoneyFormat) -> Iterator[str]:
    """Yield the drawing of one waterfall: labels, then a panel for each way."""
    yield _text(10, 24, f"{of.head}, {unit.unit}", weight="bold")
    for place, name in enumerate(("at plan", *of.names, "position")):
        yield _text(left - 8, _TOP + _ROW * place + 15, name, anchor="end")
    for place, way in enumerate(of.ways):
        yield from _panel(way, left + place * (_PLOT + _FIGURES + _GAP), unit)
    width, _ = _size(of, left)
    for place, line in enumerate(_others(of, width)):
        yield _text(10, _TOP + _ROW * (len(of.names) + 2) + 18 + 16 * place, line)


def _panel(way: Way, left: float, unit: MoneyFormat) -> Iterator[str]:
    low, high = way.range()
    pad = 0.03 * (high - low)
    low, high = low - pad * (low != 0), high + pad * (high != 0)
    bottom = _TOP + _ROW * (len(way.effects) + 2)

    def at(money: float) -> float:
        return left + _PLOT * (money - low) / (high - low)

    yield _text(left, 44, way.words)
    for tick in _ticks(low, high):
        colour = "#999" if tick == 0 else "#e3e3e3"
        yield f'<path d="M{at(tick):.1f},{_TOP}V{bottom}" stroke="{colour}"/>'
        yield _text(at(tick), _TOP - 5, unit.plain(tick), anchor="middle", colour="#777")
    levels = way.levels()
    yield from _total(0, way.start, at, low, high)
    yield _value(left, 0, unit.plain(way.start))
    for place, (effect, error) in enumerate(zip(way.effects, way.errors, strict=True), 1):
        ends, top = sorted((at(levels[place - 1]), at(levels[place]))), _TOP + _ROW * place
        colour = _GAIN if effect > 0 else _LOSS
        # what it stands on: from the row above to this one
        yield _line(at(levels[place - 1]), top - 5, at(levels[place - 1]), top + 4, "#999")
        yield (
            f'<rect x="{ends[0]:.1f}" y="{top + 4}" width="{max(ends[1] - ends[0], 1):.1f}" '
            f'height="{_ROW - 8}" fill="{colour}"/>'
        )
        yield from _whisker(at, levels[place], error, top)
        yield _value(left, place, f"{unit.signed(effect)} ± {unit.error(error)}")
    last = len(way.effects) + 1
    yield from _total(last, way.end, at, low, high)
    yield from _whisker(at, way.end, way.end_error, _TOP + _ROW * last)
    shown = f"{unit.plain(way.end)} ± {unit.error(way.end_error)}"
    yield _value(left, last, shown, weight="bold")


def _total(place: int, money: float, at: Scale, low: float, high: float) -> Iterator[str]:
    """Yield the bar of a position: from 0, or cut where 0 is not on the axis."""
    top, zero = _TOP + _ROW * place + 3, min(max(0.0, low), high)
    ends = sorted((at(zero), at(money)))
    yield (
        f'<rect x="{ends[0]:.1f}" y="{top}" width="{max(ends[1] - ends[0], 1):.1f}" '
        f'height="{_ROW - 6}" fill="{_TOTAL}"/>'
    )
    if zero != 0:
        cut = at(zero) + (8 if zero == low else -8)
        yield (
            f'<path d="M{cut - 2:.1f},{top + _ROW - 6}l4,{6 - _ROW}m4,0l-4,{_ROW - 6}" '
            'stroke="#fff" stroke-width="2" fill="none"/>'
        )


def _whisker(at: Scale, money: float, error: float, top: float) -> Iterator[str]:
    if error == error and error > 0:
        middle = top + _ROW / 2
        yield _line(at(money - error), middle, at(money + error), middle, "#000")


def _line(x: float, y: float, to_x: float, to_y: float, colour: str) -> str:
    return f'<path d="M{x:.1f},{y:.1f}L{to_x:.1f},{to_y:.1f}" stroke="{colour}"/>'


def _value(left: float, place: int, text: str, weight: str = "normal") -> str:
    y = _TOP + _ROW * place + 15
    return _text(left + _PLOT + _FIGURES, y, text, anchor="end", weight=weight)


def _text(
    x: float,
    y: float,
    text: str,
    anchor: str = "start",
    colour: str = "#333",
    weight: str = "normal",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" '
        f'font-weight="{weight}">{escape(text)}</text>'
    )


def _ticks(low: float, high: float) -> list[float]:
    """Return three to six round numbers from low to high."""
    rough = (high - low) / 4
    power = 10.0 ** floor(log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough)
    first = int(-(-low // step))
    return [step * i for i in range(first, int(high // step) + 1)]
