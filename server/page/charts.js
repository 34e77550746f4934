// Small charts of our own: lines over steps or time, and rows of bars. SVG, coloured by classes so that themes apply.

import { el, short, svg } from "./dom.js";

const HEIGHT = 112;
const PAD = { left: 38, right: 8, top: 8, bottom: 17 };

/** Round values that span `low..high`, at most four. */
export function ticks(low, high) {
  const rough = (high - low) / 3 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) found.push(Math.abs(at) < step * 1e-9 ? 0 : at);
  return found;
}

/** A card with lines. `draw({series: [{name, points: [[x, y], …]}], marks, x, from, to})` shows new points. */
export class LineCard {
  constructor(title, unit = "") {
    this.unit = unit;
    this.value = el("span", "value");
    this.legend = el("div", "legend");
    this.chart = svg("svg", { class: "chart", role: "img", height: HEIGHT });
    const head = el("div", "head", {}, el("span", "title", {}, title), this.value);
    this.root = el("div", "card", {}, head, this.legend, this.chart);
    this.title = title;
    this.at = null;
    this.chart.addEventListener("pointermove", (event) => this.point(event));
    this.chart.addEventListener("pointerdown", (event) => this.point(event));
    this.chart.addEventListener("pointerleave", () => this.leave());
    new ResizeObserver(() => this.paint()).observe(this.chart);
  }

  draw(data) {
    this.data = { ...data, series: data.series.filter((one) => one.points.length) };
    this.root.hidden = this.data.series.length === 0;
    this.paint();
  }

  point(event) {
    if (!this.scale) return;
    const x = this.scale.back(event.clientX - this.chart.getBoundingClientRect().left);
    const xs = this.data.series.flatMap((one) => one.points.map(([x]) => x));
    this.at = xs.reduce((best, one) => (Math.abs(one - x) < Math.abs(best - x) ? one : best), xs[0]);
    this.paint();
  }

  leave() {
    this.at = null;
    this.paint();
  }

  paint() {
    if (!this.data?.series.length) return;
    const { series, marks = [], from, to, x = String } = this.data;
    const width = this.chart.clientWidth || 280;
    const all = series.flatMap((one) => one.points);
    const scale = new Scale(all, { from, to, width, low: this.data.low, high: this.data.high });
    this.scale = scale;
    this.chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.chart.setAttribute("aria-label", this.inWords(series, scale, x));
    const parts = scale.rules(x);
    for (const mark of marks) {
      if (mark >= scale.x0 && mark <= scale.x1) parts.push(upright("swap", scale.x(mark)));
    }
    series.forEach((one, at) => parts.push(...line(one.points, scale, at % 6, series.length === 1)));
    if (this.at !== null) parts.push(upright("cross", scale.x(this.at)));
    this.chart.replaceChildren(...parts);
    this.say(series, x);
  }

  /** Values at the pointer, or the last ones. */
  say(series, x) {
    const values = series.map((one) => {
      const found = this.at === null ? one.points.at(-1) : one.points.find(([x]) => x === this.at);
      return found?.[1];
    });
    const unit = el("small", "", {}, this.at === null ? this.unit && ` ${this.unit}` : ` at ${x(this.at)}`);
    this.value.replaceChildren(short(values[0]), unit);
    this.value.dataset.value = values[0] ?? "";
    const named = series.length > 1 || series[0].shown;
    const entries = series.map((one, at) =>
      el("span", "", {}, el("i", `b${at % 6}`), `${one.name} `, el("b", "", {}, short(values[at]))));
    this.legend.replaceChildren(...(named ? entries : []));
  }

  inWords(series, scale, x) {
    const said = series.map((one) => `${one.name} ${short(one.points.at(-1)[1])}`);
    return `${this.title}, ${x(scale.x0)} to ${x(scale.x1)}; last: ${said.join(", ")}`;
  }
}

class Scale {
  constructor(points, { from, to, width, low, high }) {
    const xs = points.map(([x]) => x);
    const ys = points.map(([, y]) => y);
    this.width = width;
    this.x0 = from ?? Math.min(...xs);
    this.x1 = to ?? Math.max(...xs);
    if (this.x1 <= this.x0) this.x1 = this.x0 + 1;
    let [y0, y1] = [Math.min(...ys, low ?? Infinity), Math.max(...ys, high ?? -Infinity)];
    if (y1 - y0 < 1e-12) [y0, y1] = y0 === 0 ? [0, 1] : [y0 - Math.abs(y0) * 0.1, y1 + Math.abs(y1) * 0.1];
    this.ticks = ticks(y0, y1);
    this.y0 = Math.min(y0, this.ticks[0] ?? y0);
    this.y1 = Math.max(y1, this.ticks.at(-1) ?? y1);
  }

  x(value) {
    return PAD.left + ((value - this.x0) / (this.x1 - this.x0)) * (this.width - PAD.left - PAD.right);
  }

  y(value) {
    return HEIGHT - PAD.bottom - ((value - this.y0) / (this.y1 - this.y0)) * (HEIGHT - PAD.top - PAD.bottom);
  }

  back(pixels) {
    return this.x0 + ((pixels - PAD.left) / (this.width - PAD.left - PAD.right)) * (this.x1 - this.x0);
  }

  /** Lines and labels of the axes. */
  rules(x) {
    const parts = this.ticks.flatMap((tick) => [
      svg("line", { class: "rule", x1: PAD.left, x2: this.width - PAD.right, y1: this.y(tick), y2: this.y(tick) }),
      svg("text", { x: PAD.left - 6, y: this.y(tick) + 4, "text-anchor": "end" }, short(tick)),
    ]);
    parts.push(svg("text", { x: PAD.left, y: HEIGHT - 3 }, x(this.x0)));
    parts.push(svg("text", { x: this.width - PAD.right, y: HEIGHT - 3, "text-anchor": "end" }, x(this.x1)));
    return parts;
  }
}

function upright(kind, x) {
  return svg("line", { class: kind, x1: x, x2: x, y1: PAD.top, y2: HEIGHT - PAD.bottom });
}

/** A line with its last point, filled below where it is alone. */
function line(points, scale, colour, filled) {
  const path = points.map(([x, y], at) => `${at ? "L" : "M"}${scale.x(x).toFixed(1)} ${scale.y(y).toFixed(1)}`).join("");
  const [x, y] = points.at(-1);
  const parts = [svg("path", { class: `s${colour}`, d: path }), svg("circle", { class: `s${colour}`, cx: scale.x(x), cy: scale.y(y), r: 2.6 })];
  if (filled && points.length > 1) {
    const floor = HEIGHT - PAD.bottom;
    parts.unshift(svg("path", { class: `area s${colour}`, d: `${path}L${scale.x(x).toFixed(1)} ${floor}L${scale.x(points[0][0]).toFixed(1)} ${floor}Z` }));
  }
  return parts;
}

/** Rows `{name, parts: [[label, value, colour]], shown, note}` as bars of one scale. */
export function bars(rows) {
  const most = Math.max(1e-12, ...rows.map((row) => sum(row)));
  const cells = rows.flatMap((row) => {
    const pieces = row.parts.filter(([, value]) => value > 0).map(([label, value, colour = 0]) => {
      const piece = el("span", `b${colour}`, { title: `${label}: ${short(value)}` });
      // Set as a property: the policy on contents allows no style in markup.
      piece.style.width = `${(100 * value) / most}%`;
      return piece;
    });
    const count = el("span", "count", {}, row.shown ?? short(sum(row)));
    if (row.note) count.append(el("small", "", {}, ` ${row.note}`));
    return [el("span", "name", {}, row.name), el("span", "track", {}, ...pieces), count];
  });
  return el("div", "rows", {}, ...cells);
}

const sum = (row) => row.parts.reduce((all, [, value]) => all + value, 0);

/** What the colours of bars mean. */
export function key(names) {
  return el("div", "key", {}, ...names.map(([name, look]) => el("span", "", {}, el("i", look), name)));
}
