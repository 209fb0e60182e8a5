"""The page of a run: one HTML file without scripts and without anything from elsewhere, drawn from a run's record."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import pairwise
from string import Template
from typing import Any

from simulator.line_plot import NARROW, WIDE, Band, Series, svg
from simulator.run_record import Recorded

Tick = dict[str, Any]


def page(recorded: Recorded) -> str:
    """The whole document."""
    ticks = recorded.ticks
    began = min([int(each["at"]) for each in (*ticks, *recorded.faults)], default=int(recorded.run["at"]))
    ends = [int(each["at"]) for each in ticks] + [int(each["until"]) for each in recorded.faults]
    seconds = (max(ends, default=began) - began) / 1000
    bands = [
        Band(str(fault["name"]), (fault["at"] - began) / 1000, (fault["until"] - began) / 1000)
        for fault in recorded.faults
    ]

    def over_time(name: str, value: Callable[[Tick], float | None]) -> Series:
        return Series(name, [((tick["at"] - began) / 1000, value(tick)) for tick in ticks])

    def figure(title: str, what: str, unit: str, series: Sequence[Series]) -> str:
        shown = [each for each in series if any(value is not None for _, value in each.points)]
        if not shown:
            return f"<section><h2>{escape(title)}</h2><p>Not known of this run.</p></section>"
        legend = "".join(
            f'<li><span class="key s{at % 5}"></span>{escape(each.name)}</li>' for at, each in enumerate(shown)
        )
        wide, narrow = (
            svg(shown, unit=unit, seconds=seconds, bands=bands, label=title, size=size) for size in (WIDE, NARROW)
        )
        plots = f'<div class="wide">{wide}</div><div class="narrow">{narrow}</div>'
        return f"<section><h2>{escape(title)}</h2><p>{escape(what)}</p>{plots}<ul>{legend}</ul></section>"

    names = sorted({name for tick in ticks for name in tick.get("processes", {})})
    figures = [
        figure(
            "Throughput", "Samples a second that became queryable in the store.", "samples a second",
            [over_time("stored", _rates(ticks, "stored")), over_time("sampled", _rates(_told_anew(ticks), "sampled"))],
        ),
        figure(
            "Latency", "Seconds from a live sample's tick on the truck to its being queryable.", "seconds",
            [over_time("median", _value("p50")), over_time("99th percentile", _value("p99"))],
        ),
        figure(
            "Backlog", "Samples on the trucks that no broker has acknowledged.", "samples",
            [over_time("waiting on the trucks", _value("pending"))],
        ),
        figure(
            "Completeness", "Samples that the trucks have taken, and those that the store holds.", "samples",
            [over_time("sampled", _value("sampled")), over_time("stored", _value("stored"))],
        ),
        figure(
            "Connections", "Trucks that are connected.", "trucks", [over_time("connected", _value("online"))]
        ),
        figure(
            "Memory", "Resident memory of each process.", "MB",
            [over_time(name, _process(name, "rss_mb")) for name in names],
        ),
        figure(
            "Processor", "What each process takes of one processor core.", "% of one core",
            [over_time(name, _cpu(ticks, name)) for name in names],
        ),
    ]  # fmt: skip
    return _PAGE.substitute(
        title=escape(str(recorded.run["title"])),
        when=f"{datetime.fromtimestamp(began / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC",
        machine=escape(str(recorded.run.get("machine", ""))),
        facts=_facts(recorded.run),
        verdict=_verdict(recorded.balance),
        faults=_faults(recorded.faults, began),
        figures="\n".join(figures),
    )


def _value(name: str) -> Callable[[Tick], float | None]:
    return lambda tick: tick.get(name)


def _process(name: str, figure: str) -> Callable[[Tick], float | None]:
    return lambda tick: tick.get("processes", {}).get(name, {}).get(figure)


def _rates(ticks: Sequence[Tick], name: str) -> Callable[[Tick], float | None]:
    """The growth of a total from tick to tick, a second."""
    return _growth(ticks, _value(name))


def _told_anew(ticks: Sequence[Tick]) -> list[Tick]:
    """The ticks at which the trucks' total was another than before: they say it less often than ticks are taken."""
    return [tick for at, tick in enumerate(ticks) if not at or tick.get("sampled") != ticks[at - 1].get("sampled")]


def _cpu(ticks: Sequence[Tick], name: str) -> Callable[[Tick], float | None]:
    """Per cent of one core; nothing where the process was started anew."""
    share = _growth(ticks, _process(name, "cpu_s"))
    return lambda tick: None if (found := share(tick)) is None else round(found * 100, 1)


def _growth(ticks: Sequence[Tick], value: Callable[[Tick], float | None]) -> Callable[[Tick], float | None]:
    rates: dict[int, float] = {}
    for before, after in pairwise(ticks):
        low, high = value(before), value(after)
        if low is not None and high is not None and high >= low and after["at"] > before["at"]:
            rates[after["at"]] = (high - low) / ((after["at"] - before["at"]) / 1000)
    return lambda tick: rates.get(tick["at"])


_FACTS = ("trucks", "interval", "speedup", "seconds", "seed", "mode", "tls")


def _facts(run: Tick) -> str:
    rows = [(name, run[name]) for name in _FACTS if name in run]
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in rows)


def _verdict(balance: Tick) -> str:
    if not balance:
        return '<p class="verdict open">This run has no balance: it was ended before, or still goes on.</p>'
    wrong = balance["lost"] or balance["counted_twice"] or balance["unknown"] or not balance.get("verified", True)
    rows = [("sampled", "sampled"), ("stored", "stored"), ("lost", "lost"), ("counted twice", "counted_twice")]
    cells = "".join(f"<div><b>{balance[key]:,}</b>{name}</div>" for name, key in rows)
    history = {True: "right", False: "WRONG"}.get(balance.get("verified"))  # type: ignore[arg-type]
    cells += f"<div><b>{history}</b>history</div>" if history else ""
    word = "It does not balance." if wrong else "It balances: nothing lost, nothing counted twice."
    return f'<p class="verdict {"wrong" if wrong else "whole"}">{word}</p><div class="cells">{cells}</div>'


def _faults(faults: Sequence[Tick], began: int) -> str:
    if not faults:
        return "<p>None from outside: only what happens on the road.</p>"
    rows = "".join(
        f"<tr><td>{escape(str(each['name']))}</td><td>{(each['at'] - began) / 1000:.1f}</td>"
        f"<td>{(each['until'] - each['at']) / 1000:.1f}</td><td>{escape(str(each.get('detail', '')))}</td></tr>"
        for each in faults
    )
    return f"<table><tr><th>fault</th><th>at, s</th><th>for, s</th><th>what was done</th></tr>{rows}</table>"


_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>$title</title><style>
:root{color-scheme:light dark;--ink:#1b2430;--soft:#5b6675;--line:#d9dee5;--page:#fff;--band:#e69f0033;
--s0:#0072b2;--s1:#d55e00;--s2:#009e73;--s3:#cc79a7;--s4:#7f7f7f}
@media (prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--line:#333d4a;--page:#12171e;--band:#e69f0044;
--s0:#56b4e9;--s1:#f0a068;--s2:#4fd0a8;--s3:#e6a5c8;--s4:#b0b0b0}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);
margin:0 auto;padding:1rem;max-width:62rem}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.1rem;margin:1.6rem 0 0}p{margin:.2rem 0;color:var(--soft)}
.verdict{font-weight:600;padding:.5rem .8rem;border-left:4px solid;color:var(--ink);margin:1rem 0 .5rem}
.whole{border-color:var(--s2)}.wrong{border-color:#c00}.open{border-color:var(--s4)}
.cells{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem}.cells div{color:var(--soft)}
.cells b{display:block;font-size:1.3rem;color:var(--ink)}
dl{display:flex;flex-wrap:wrap;gap:0 1.2rem;margin:.4rem 0}dt{color:var(--soft)}dd{margin:0 0 0 -.8rem}
section svg{width:100%;height:auto;display:block}svg text{font-size:13px;fill:var(--soft)}
.grid{stroke:var(--line)}.band{fill:var(--band)}.series{fill:none;stroke-width:2}
path.s0{stroke:var(--s0)}path.s1{stroke:var(--s1);stroke-dasharray:6 3}path.s2{stroke:var(--s2)}
path.s3{stroke:var(--s3);stroke-dasharray:2 3}path.s4{stroke:var(--s4)}
ul{list-style:none;padding:0;margin:.2rem 0;display:flex;flex-wrap:wrap;gap:0 1.2rem}
.key{display:inline-block;width:1.4em;height:.3em;margin:0 .4em .2em 0;vertical-align:middle}
.key.s0{background:var(--s0)}.key.s1{background:var(--s1)}.key.s2{background:var(--s2)}.key.s3{background:var(--s3)}
.key.s4{background:var(--s4)}
.scroll{overflow-x:auto}table{border-collapse:collapse}th,td{text-align:left;padding:.2rem .8rem .2rem 0;
border-bottom:1px solid var(--line);vertical-align:top}
.narrow{display:none}
@media (max-width:600px){.wide{display:none}.narrow{display:block}}
</style></head><body>
<h1>$title</h1><p>$when. $machine</p><dl>$facts</dl>
$verdict
<h2>Faults</h2><p>Shaded in every plot.</p><div class="scroll">$faults</div>
$figures
</body></html>
""")
