// Charts of the training, over steps, from the metrics of each step.

import { LineCard, bars, key } from "./charts.js";
import { byId, el, short } from "./dom.js";

/** Most steps kept. */
export const KEPT = 5000;

const fixed = (...names) => () => names;
/** Names of metrics that match, with what the pattern found as label. */
const matching = (pattern) => (known) =>
  known.flatMap((name) => {
    const found = pattern.exec(name);
    return found ? [[name, found[1]]] : [];
  });

/** Title, unit, which metrics (`[key, label]`), bounds of the axis. */
const CARDS = [
  ["Reward", "mean", fixed(["critic/score/mean", "original problems"]), { low: 0 }],
  ["Accuracy", "", fixed(["svs/solve/acc_mean", "original"], ["svs/solve_synthetic/acc_mean", "synthetic"], ["val-core/held_out/greedy", "held out, greedy"]), { low: 0, high: 1 }],
  ["pass@k on held-out problems", "", matching(/^val-core\/held_out\/(pass@\d+)$/), { low: 0 }],
  ["Entropy", "nats", fixed(["actor/entropy", "policy"], ["svs/solve/entropy", "sampled, solving"], ["svs/synthesize/entropy", "sampled, writing"]), { low: 0 }],
  ["Response length", "tokens", fixed(["response_length/mean", "mean"], ["response_length/max", "longest"]), { low: 0 }],
  ["Throughput", "tokens/s", fixed(["perf/throughput", "whole step"], ["perf/gen_tokens_per_s", "rollouts"]), { low: 0 }],
  ["Staleness", "versions", fixed(["training/off_policy/trajectory_staleness/mean", "mean"], ["training/off_policy/trajectory_staleness/max", "oldest"]), { low: 0, high: 1 }],
  ["Time of a step", "s", fixed(["timing_s/step", "all"], ["timing_s/gen", "rollouts"], ["timing_s/update_actor", "update"], ["timing_s/update_weights", "publish"]), { low: 0 }],
  ["Pause of a swap", "ms", fixed(["publish/pause_ms", "no step ran"]), { low: 0 }],
  ["Gradient norm", "", fixed(["actor/grad_norm", "before clipping"]), { low: 0 }],
];

/** Stages of the funnel: name, metric, and the one that it is a share of. */
const FUNNEL = [
  ["problems", "svs/solve/groups"],
  ["solved sometimes", "svs/under_performing_prompts", "svs/solve/groups"],
  ["contexts", "svs/contexts"],
  ["written", "svs/synthesized"],
  ["extracted", "svs/extracted", "svs/synthesized"],
  ["valid problems", "svs/valid", "svs/synthesized"],
  ["rewarded", "svs/rewarded", "svs/valid"],
];
const KEPT_GROUPS = [["solving", "solve"], ["writing", "synthesize"], ["synthetic", "solve_synthetic"]];
const VERDICTS = [["correct", 2], ["wrong", 4], ["no_answer", 1], ["unparseable", 3], ["over_budget", 0], ["infrastructure", 5]];
const KINDS = ["solve", "solve_hinted", "solve_synthetic", "client"];

export class Training {
  constructor() {
    this.cards = CARDS.map(([title, unit]) => new LineCard(title, unit));
    this.verdicts = el("div", "");
    this.verdictCard = el("div", "card", {}, el("div", "head", {}, el("span", "title", {}, "Verdicts of the last step")), this.verdicts);
    byId("training-cards").append(...this.cards.map((card) => card.root), this.verdictCard);
    this.range = byId("funnel-range");
    this.range.addEventListener("input", () => this.look(Number(this.range.value)));
    byId("funnel-back").addEventListener("click", () => this.look(this.looked - 1));
    byId("funnel-on").addEventListener("click", () => this.look(this.looked + 1));
    this.reset();
  }

  reset(run = null) {
    this.run = run;
    this.steps = [];
    /** Place of the step whose funnel is shown; the newest until a person chooses another. */
    this.looked = -1;
    this.follows = true;
    this.draw();
  }

  /** Whether the metric `name` is shown anywhere. */
  shows(name) {
    return /^(svs|verifier)\//.test(name) || CARDS.some(([, , wanted]) => wanted([name]).some(([key]) => key === name));
  }

  /** Newest step held. */
  get newest() {
    return this.steps.at(-1)?.step ?? 0;
  }

  /** Takes in records `{step, metrics}`; those of steps already held replace them. */
  add(records) {
    if (!records.length) return;
    const first = records[0].step;
    this.steps = this.steps.filter((record) => record.step < first).concat(records).slice(-KEPT);
    if (this.follows) this.looked = this.steps.length - 1;
    this.draw();
  }

  draw() {
    byId("first").hidden = this.steps.length > 0;
    const known = [...new Set(this.steps.flatMap((record) => Object.keys(record.metrics)))].sort();
    CARDS.forEach(([, , wanted, bounds], at) => {
      const series = wanted(known).map(([key, name]) => ({ name, shown: true, points: this.points(key) }));
      this.cards[at].draw({ series, ...bounds, from: this.steps[0]?.step, to: this.newest, x: (step) => `step ${Math.round(step)}` });
    });
    this.drawVerdicts();
    this.drawFunnel();
  }

  points(key) {
    return this.steps.filter((record) => Number.isFinite(record.metrics[key])).map((record) => [record.step, record.metrics[key]]);
  }

  drawVerdicts() {
    const metrics = this.steps.at(-1)?.metrics ?? {};
    const rows = KINDS.map((kind) => ({
      name: kind.replaceAll("_", " "),
      parts: VERDICTS.map(([verdict, colour]) => [verdict.replaceAll("_", " "), metrics[`verifier/${kind}/${verdict}`] ?? 0, colour]),
    })).filter((row) => row.parts.some(([, count]) => count));
    this.verdictCard.hidden = rows.length === 0;
    const met = VERDICTS.filter((_, at) => rows.some((row) => row.parts[at][1]));
    this.verdicts.replaceChildren(bars(rows), key(met.map(([name, colour]) => [name.replaceAll("_", " "), `b${colour}`])));
  }

  look(at) {
    this.looked = Math.max(0, Math.min(at, this.steps.length - 1));
    this.follows = this.looked === this.steps.length - 1;
    this.drawFunnel();
  }

  drawFunnel() {
    const record = this.steps[this.looked];
    const metrics = record?.metrics ?? {};
    const has = (metrics["svs/synthesized"] ?? metrics["svs/solve/groups"]) !== undefined;
    byId("funnel-part").hidden = !has;
    if (!has) return;
    byId("funnel-step").textContent = record.step;
    Object.assign(this.range, { min: 0, max: this.steps.length - 1 });
    this.range.value = this.looked;
    byId("funnel-back").disabled = this.looked === 0;
    byId("funnel-on").disabled = this.follows;
    const count = (key) => metrics[key] ?? 0;
    const share = (part, whole) => (whole && count(whole) ? `${Math.round((100 * count(part)) / count(whole))} %` : "");
    const rows = FUNNEL.map(([name, key, whole]) => ({ name, parts: [[name, count(key)]], note: share(key, whole) }));
    const kept = KEPT_GROUPS.map(([name, kind]) => `${name} ${short(count(`svs/${kind}/kept_groups`))} of ${short(count(`svs/${kind}/groups`))}`);
    const why = Object.entries(metrics).filter(([key, value]) => key.startsWith("svs/rejected/") && value > 0)
      .map(([key, value]) => `${key.slice(13).replaceAll("_", " ")} ${short(value)}`);
    const chips = (title, words) => el("div", "chips", {}, el("b", "", {}, title), ...words.map((word) => el("span", "", {}, word)));
    byId("funnel").replaceChildren(bars(rows), chips("Groups trained on:", kept));
    if (why.length) byId("funnel").append(chips("Written but no problem:", why));
  }
}
