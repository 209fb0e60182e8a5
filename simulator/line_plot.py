"""A plot over time as inline SVG: a few series, an axis with round numbers, and bands where something was wrong."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDE, NARROW = (960, 220), (400, 200)
"""Width and height of a plot on a desk's screen and on a phone's."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 28
_TICKS = 5
_MOST_POINTS = 700


@dataclass(frozen=True, slots=True)
class Series:
    """One line. points: (seconds since the start, value), in order of time; a None breaks the line."""

    name: str
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True, slots=True)
class Band:
    """From when until when something was wrong, in seconds since the start."""

    name: str
    start: float
    end: float


def svg(  # noqa: PLR0913 - what a plot has
    series: Sequence[Series],
    *,
    unit: str,
    seconds: float,
    bands: Sequence[Band] = (),
    label: str = "",
    size: tuple[int, int] = WIDE,
    ends: tuple[str, str] | None = None,
) -> str:
    """The plot.

    Args:
        series: drawn in the order given, at most five told apart.
        unit: of the values, written below the plot.
        seconds: where the axis of time ends.
        bands: behind the lines.
        label: what a screen reader says.
        size: WIDE or NARROW.
        ends: what stands at the ends of the axis; default: seconds.

    Returns:
        An `svg` element; colours are the page's, by class.
    """
    width, height = size
    first, last = ends or ("0 s", f"{seconds:.0f} s")
    highest = max((value for each in series for _, value in each.points if value is not None), default=0.0)
    step = _round_step(highest / _TICKS)
    top = max(step, ceil(highest / step) * step) if step else 1.0

    def x(second: float) -> float:
        return _LEFT + second / (seconds or 1.0) * (width - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return height - _BOTTOM - value / top * (height - _TOP - _BOTTOM)

    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label, quote=True)}">']
    for band in bands:
        wide = max(2.0, x(band.end) - x(band.start))
        parts.append(
            f'<rect class="band" x="{x(band.start):.1f}" y="{_TOP}" width="{wide:.1f}"'
            f' height="{height - _TOP - _BOTTOM}"><title>{escape(band.name)}</title></rect>'
        )
    for value in _steps(top, step or 1.0):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{number(value)}</text>'
        )
    parts.append(f'<text x="{_LEFT}" y="{height - 6}">{escape(first)}</text>')
    parts.append(f'<text x="{width - _RIGHT}" y="{height - 6}" text-anchor="end">{escape(last)}</text>')
    parts.append(f'<text x="{width / 2}" y="{height - 6}" text-anchor="middle">{escape(unit)}</text>')
    for at, each in enumerate(series):
        lines = "".join(_path(each.points, x, y))
        parts.append(f'<path class="series s{at % 5}" d="{lines}"><title>{escape(each.name)}</title></path>')
    return "".join(parts) + "</svg>"


def number(value: float) -> str:
    """A number as an axis has it: 0.5, 20, 1,500, 2.5 M."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g} M"
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"


def _path(
    points: Sequence[tuple[float, float | None]], x: Callable[[float], float], y: Callable[[float], float]
) -> Iterator[str]:
    every = max(1, len(points) // _MOST_POINTS)
    pen = "M"
    for second, value in points[::every]:
        if value is None:
            pen = "M"
            continue
        yield f"{pen}{x(second):.1f} {y(value):.1f}"
        pen = "L"


def _round_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, not below `rough`."""
    if rough <= 0:
        return 0.0
    power = 10.0 ** floor(log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * 0.999)


def _steps(top: float, step: float) -> list[float]:
    return [step * at for at in range(round(top / step) + 1)]
