// Charts of the serving, over time, from scrapes of /metrics.

import { LineCard, bars } from "./charts.js";
import { byId, el, short } from "./dom.js";

/** Time shown, and most samples kept. */
const SHOWN_MS = 10 * 60 * 1000;
const KEPT = 1200;
/** Swaps listed. */
const LISTED = 50;

const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export class Serving {
  constructor() {
    this.rate = new LineCard("Tokens sampled", "per second");
    this.requests = new LineCard("Sequences");
    this.kv = new LineCard("KV cache in use", "%");
    this.swaps = el("ol", "events", { id: "swaps" });
    this.versions = el("div");
    this.staleness = el("div");
    const card = (title, body) => el("div", "card", {}, el("div", "head", {}, el("span", "title", {}, title)), body);
    this.cards = [card("Swaps of weights", this.swaps), card("Tokens by weight version", this.versions), card("Rows trained on, by staleness in versions", this.staleness)];
    byId("serving-cards").append(this.rate.root, this.requests.root, this.kv.root, ...this.cards);
    this.samples = [];
    this.events = [];
  }

  /** Takes in a scrape. */
  add(scrape, now = Date.now()) {
    const before = this.samples.at(-1);
    const sample = {
      at: now,
      tokens: scrape.served("generation_tokens_total") ?? 0,
      running: scrape.served("num_requests_running") ?? 0,
      waiting: scrape.served("num_requests_waiting") ?? 0,
      kv: 100 * (scrape.served("kv_cache_usage_perc") ?? 0),
      publishes: scrape.value("svs_publishes_total") ?? 0,
      pause: scrape.value("svs_swap_pause_seconds_sum") ?? 0,
      version: scrape.value("svs_weight_version") ?? 0,
    };
    // A server that started anew counts from 0 again.
    const again = before && sample.tokens < before.tokens;
    if (again) [this.samples, this.events] = [[], []];
    else if (before) sample.rate = (sample.tokens - before.tokens) / Math.max(0.001, (now - before.at) / 1000);
    this.swapped(before, sample, again);
    this.samples.push(sample);
    this.samples = this.samples.filter((one) => one.at > now - SHOWN_MS).slice(-KEPT);
    this.draw(scrape);
  }

  swapped(before, sample, again) {
    const swaps = before && !again ? sample.publishes - before.publishes : 0;
    if (swaps <= 0) return;
    const pause_ms = (1000 * (sample.pause - before.pause)) / swaps;
    this.events.unshift({ at: sample.at, version: sample.version, swaps, pause_ms });
    this.events.length = Math.min(this.events.length, LISTED);
  }

  draw(scrape) {
    const of = (name) => this.samples.filter((one) => one[name] !== undefined).map((one) => [one.at, one[name]]);
    const to = this.samples.at(-1).at;
    const frame = { x: clock, from: Math.max(to - SHOWN_MS, this.samples[0].at), to, low: 0, marks: this.events.map((event) => event.at) };
    this.rate.draw({ ...frame, series: [{ name: "tokens per second", points: of("rate") }] });
    this.requests.draw({ ...frame, high: 1, series: [{ name: "running", points: of("running") }, { name: "waiting", points: of("waiting") }] });
    this.kv.draw({ ...frame, high: 1, series: [{ name: "in use", points: of("kv") }] });
    this.drawSwaps();
    this.drawVersions(scrape);
    this.drawStaleness(scrape);
  }

  drawSwaps() {
    const rows = this.events.map((event) => {
      const many = event.swaps > 1 ? `, ${event.swaps} swaps` : "";
      return el("li", "", {}, el("span", "", {}, `${clock(event.at)}  version ${event.version}${many}`), el("span", "", {}, `paused ${short(event.pause_ms)} ms`));
    });
    this.swaps.replaceChildren(...(rows.length ? rows : [el("li", "", {}, el("span", "", {}, "none since this page was opened"))]));
  }

  drawVersions(scrape) {
    const found = scrape.all("svs_tokens_by_weight_version_total").filter((sample) => sample.value > 0);
    const number = (sample) => (sample.labels.weight_version === "older" ? -1 : Number(sample.labels.weight_version));
    found.sort((a, b) => number(b) - number(a));
    const rows = found.slice(0, 6).map((sample) => ({
      name: sample.labels.weight_version,
      parts: [["tokens", sample.value, 0]],
    }));
    this.cards[1].hidden = rows.length === 0;
    this.versions.replaceChildren(bars(rows));
  }

  drawStaleness(scrape) {
    const counts = scrape.buckets("trainer_staleness_versions").filter(([, count]) => count > 0);
    const rows = counts.map(([bound, count]) => ({ name: bound === "+Inf" ? "more" : bound, parts: [["rows", count, 2]] }));
    this.cards[2].hidden = rows.length === 0;
    this.staleness.replaceChildren(bars(rows));
  }
}
