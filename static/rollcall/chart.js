// The census as charts: who was in which state, stacked, minute by minute. A [data-chart] names its
// series (data-url), how long it is (data-span, seconds) and its time zone (data-zone). Above, those
// who are not on their primary, on a scale of their own; below, all. What nobody counted is hatched
// and never zero. Words, icons and values stand in the legend; the table beside has the same by hour.

import { abbreviation, now } from "./times.js";

const uPlot = window.uPlot;
const SYNC = "census";
const LATE = 7_000; // ms after the full minute: its count is there then
const KEEP_TOLERANCE = 1.5; // steps apart is a gap

const style = (element, name) => getComputedStyle(element).getPropertyValue(name).trim();

function hatch(lines, ground, gap) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = gap * devicePixelRatio;
  const pen = tile.getContext("2d");
  if (ground) {
    pen.fillStyle = ground;
    pen.fillRect(0, 0, tile.width, tile.height);
  }
  pen.strokeStyle = lines;
  pen.lineWidth = devicePixelRatio * 1.25;
  for (const shift of [-1, 0, 1]) {
    pen.moveTo((shift - 0.5) * tile.width, 1.5 * tile.height);
    pen.lineTo((shift + 1.5) * tile.width, -0.5 * tile.height);
  }
  pen.stroke();
  return pen.createPattern(tile, "repeat");
}

class Chart {
  constructor(host) {
    this.host = host;
    this.span = Number(host.dataset.span);
    this.step = 60;
    this.at = [];
    this.states = {};
    this.marks = [...host.querySelectorAll("[data-key]")];
    this.reading = host.querySelector("[data-reading]");
    this.fills = new Map();
    this.plots = [];
    this.names = this.marks.map((mark) => mark.dataset.key);
    this.paint();
    this.resized = new ResizeObserver(() => this.fit());
    this.resized.observe(host);
    this.load();
  }

  // ---- Data ----------------------------------------------------------------------------------
  // One question at a time: two that overlap would bring the same minutes twice.
  async load() {
    this.asked = true;
    if (this.loading) return;
    this.loading = true;
    while (this.asked && this.host.isConnected) {
      this.asked = false;
      await this.readOn();
    }
    this.loading = false;
    clearTimeout(this.timer);
    if (this.host.isConnected) this.timer = setTimeout(() => this.load(), 60_000 - (now() % 60_000) + LATE);
  }

  async readOn() {
    const oldest = now() / 1000 - this.span;
    const last = this.at.at(-1);
    const url = new URL(this.host.dataset.url, location.href);
    url.searchParams.set("since", new Date((last ? last + 1 : oldest) * 1000).toISOString());
    url.searchParams.set("until", new Date(now()).toISOString());
    try {
      const answer = await fetch(url, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      this.take(await answer.json(), oldest);
      this.say("");
    } catch {
      this.say("The newest counts could not be read; asked again in a minute.");
    }
    if (this.host.isConnected) this.show();
  }

  take(series, oldest) {
    if (!this.at.length) this.step = series.step_seconds;
    const before = this.at.length;
    const fresh = series.at.map((iso) => Date.parse(iso) / 1000);
    for (const key of Object.keys(series.states)) this.states[key] ??= new Array(before).fill(0);
    for (const [key, counts] of Object.entries(this.states)) {
      counts.push(...(series.states[key] ?? new Array(fresh.length).fill(0)));
    }
    this.at.push(...fresh);
    const old = this.at.findIndex((at) => at > oldest - this.step);
    if (old > 0) for (const counts of [this.at, ...Object.values(this.states)]) counts.splice(0, old);
  }

  // The counted spans, each from its first minute to the end of its last.
  runs() {
    const found = [];
    for (const [index, at] of this.at.entries()) {
      const run = found.at(-1);
      if (run && at - this.at[run.to] <= this.step * KEEP_TOLERANCE) run.to = index;
      else found.push({ from: index, to: index });
    }
    return found;
  }

  // Cumulated from the last state to the first, so that each covers what it does not hold; a run
  // ends with its last minute, and nothing is drawn until the next.
  stacked(keys) {
    const times = [];
    const columns = keys.map(() => []);
    for (const { from, to } of this.runs()) {
      for (let index = from; index <= to; index += 1) {
        times.push(this.at[index]);
        this.pile(keys, index, columns);
      }
      times.push(this.at[to] + this.step, this.at[to] + this.step + 0.001);
      this.pile(keys, to, columns);
      for (const column of columns) column.push(null);
    }
    return [times, ...columns];
  }

  pile(keys, index, columns) {
    let sum = 0;
    for (let place = keys.length - 1; place >= 0; place -= 1) {
      sum += this.states[keys[place]]?.[index] ?? 0;
      columns[place].push(sum);
    }
  }

  // ---- Drawing -------------------------------------------------------------------------------
  paint() {
    this.ink = style(this.host, "--rc-ink-3");
    this.line = style(this.host, "--rc-line");
    this.gap = hatch(style(this.host, "--rc-line"), style(this.host, "--rc-surface"), 7);
    for (const mark of this.marks) {
      const fill = style(mark, "--fill");
      const isSilent = mark.dataset.key.endsWith("_silent");
      this.fills.set(mark.dataset.key, isSilent ? hatch(style(this.host, "--rc-surface"), fill, 6) : fill);
    }
  }

  show() {
    const seen = this.names.filter((key) => this.states[key]?.some((n) => n));
    for (const place of this.host.querySelectorAll("[data-plot]")) {
      const isAway = place.dataset.plot === "away";
      const keys = seen.filter((key) => !isAway || (key !== "primary" && key !== "disabled")).reverse();
      if (isAway) place.closest("[data-away]").hidden = !keys.length;
      this.draw(place, isAway ? 92 : 132, keys);
    }
    for (const mark of this.marks) mark.hidden = !seen.includes(mark.dataset.key);
    const gaps = this.host.querySelector("[data-gap]");
    gaps.hidden = !this.gaps().length;
    this.read(null);
  }

  draw(place, height, keys) {
    const kind = keys.join();
    let plot = this.plots.find((each) => each.place === place);
    if (plot && plot.kind === kind) {
      plot.chart.setData(this.stacked(keys), true);
      return;
    }
    plot?.chart.destroy();
    this.plots = this.plots.filter((each) => each !== plot);
    const width = Math.max(120, place.clientWidth);
    plot = { place, kind, chart: new uPlot(this.options(width, height, keys), this.stacked(keys), place) };
    this.plots.push(plot);
  }

  options(width, height, keys) {
    const zone = this.host.dataset.zone;
    const clock = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    const day = new Intl.DateTimeFormat("en-GB", { timeZone: zone, day: "numeric", month: "short" });
    const axis = { stroke: () => this.ink, font: "11px Inter, system-ui, sans-serif", ticks: { show: false } };
    const tick = (at) => {
      const time = clock.format(at * 1000);
      return time === "00:00" ? day.format(at * 1000) : time;
    };
    return {
      width,
      height,
      legend: { show: false },
      padding: [8, 16, 0, 0],
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), zone),
      cursor: { y: false, points: { show: false }, drag: { x: false }, sync: { key: SYNC } },
      scales: { x: { time: true, range: () => [now() / 1000 - this.span, now() / 1000] }, y: { range: (_, __, most) => [0, Math.max(1, most)] } },
      axes: [
        { ...axis, grid: { show: false }, size: 24, gap: 4, space: 56, values: (_, splits) => splits.map(tick) },
        {
          ...axis,
          grid: { stroke: () => this.line, width: 1 },
          size: 46,
          gap: 6,
          space: 34,
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000],
          values: (_, splits) => splits.map((n) => n.toLocaleString("en-US")),
        },
      ],
      series: [{}, ...keys.map((key) => ({ fill: () => this.fills.get(key), width: 0, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) }))],
      hooks: { drawClear: [(chart) => this.hatchGaps(chart)], setCursor: [(chart) => this.point(chart)] },
    };
  }

  gaps() {
    const end = now() / 1000;
    const edges = [end - this.span];
    for (const { from, to } of this.runs()) edges.push(this.at[from], this.at[to] + this.step);
    edges.push(end - 2 * this.step < edges.at(-1) ? edges.at(-1) : end); // The newest is on its way.
    const found = [];
    for (let index = 0; index < edges.length; index += 2) {
      if (edges[index + 1] - edges[index] >= this.step) found.push([edges[index], edges[index + 1]]);
    }
    return found;
  }

  hatchGaps(chart) {
    const { ctx, bbox } = chart;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = this.gap;
    for (const [from, to] of this.gaps()) {
      const left = chart.valToPos(from, "x", true);
      ctx.fillRect(left, bbox.top, chart.valToPos(to, "x", true) - left, bbox.height);
    }
    ctx.restore();
  }

  // ---- Reading values ------------------------------------------------------------------------
  point(chart) {
    const { left } = chart.cursor;
    this.read(left === undefined || left < 0 ? null : chart.posToVal(left, "x"));
  }

  read(at) {
    let index = this.at.length - 1;
    if (at !== null) {
      index = this.at.findLastIndex((counted) => counted <= at);
      if (index < 0 || at >= this.at[index] + this.step * KEEP_TOLERANCE) index = -1;
    }
    for (const mark of this.marks) {
      const n = index < 0 ? "–" : (this.states[mark.dataset.key]?.[index] ?? 0).toLocaleString("en-US");
      const value = mark.querySelector("[data-value]");
      if (value.textContent !== n) value.textContent = n;
    }
    this.tell(at, index);
  }

  tell(at, index) {
    const instant = at !== null && index < 0 ? at : this.at[index];
    let text = "";
    if (instant !== undefined) {
      const { zone } = this.host.dataset;
      const options = { timeZone: zone, day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
      const date = new Date(instant * 1000);
      text = `${new Intl.DateTimeFormat("en-GB", options).format(date).replace(",", "")} ${abbreviation(date, zone)}`;
    }
    if (at !== null && index < 0) text += ": not counted";
    if (this.reading.textContent !== text) this.reading.textContent = text;
  }

  move(by) {
    const [{ chart }] = this.plots.slice(-1);
    const first = now() / 1000 - this.span;
    this.walked = Math.min(this.at.at(-1) ?? first, Math.max(first, (this.walked ?? this.at.at(-1) ?? first) + by * this.step));
    chart.setCursor({ left: chart.valToPos(this.walked, "x"), top: 0 });
  }

  say(words) {
    const fault = this.host.querySelector("[data-fault]");
    fault.textContent = words;
    fault.hidden = !words;
  }

  fit() {
    for (const { place, chart } of this.plots) {
      if (place.clientWidth && place.clientWidth !== chart.width) chart.setSize({ width: place.clientWidth, height: chart.height });
    }
  }

  recolour() {
    this.paint();
    for (const { chart } of this.plots) chart.redraw(false, false);
  }

  end() {
    clearTimeout(this.timer);
    this.resized.disconnect();
    for (const { chart } of this.plots) chart.destroy();
  }
}

const charts = new Set();

function begin() {
  for (const chart of charts) {
    if (chart.host.isConnected) continue;
    chart.end();
    charts.delete(chart);
  }
  for (const host of document.querySelectorAll("[data-chart]:not([data-drawn])")) {
    host.dataset.drawn = "";
    charts.add(new Chart(host));
  }
}

const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30 };
document.addEventListener("keydown", (event) => {
  const host = event.target.closest?.("[data-chart]");
  const chart = [...charts].find((each) => each.host === host);
  if (!chart || !(event.key in STEPS)) return;
  event.preventDefault();
  chart.move(STEPS[event.key]);
});
new MutationObserver(() => charts.forEach((chart) => chart.recolour())).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
document.addEventListener("visibilitychange", () => document.hidden || charts.forEach((chart) => chart.load()));
document.addEventListener("htmx:afterSettle", begin);
begin();
