// The browser for trajectories: a list with filters, and one of them in full.

import { getJson, query } from "./api.js";
import { key } from "./charts.js";
import { byId, el, short } from "./dom.js";

const PAGE = 25;
/** Probability below which a token gets the next colour. */
const UNLIKELY = [0.9, 0.5, 0.2, 0.05];
const SAID = { rollout: "solving", synthesis: "writing", synthetic: "solving synthetic", client: "client" };

const when = (seconds) => new Date(1000 * seconds).toLocaleString([], { dateStyle: "short", timeStyle: "medium" });
const versions = (one) =>
  one.weight_version_min === one.weight_version_max ? `v${one.weight_version_min}` : `v${one.weight_version_min}–${one.weight_version_max}`;
const reward = (value) => (value === null || value === undefined ? "no reward" : short(value));

export class Trajectories {
  /** `refused(error)` hears what the server refuses. */
  constructor(refused) {
    this.refused = refused;
    this.colours = "plain";
    byId("filters").addEventListener("submit", (event) => {
      event.preventDefault();
      this.load();
    });
  }

  get filters() {
    return Object.fromEntries(new FormData(byId("filters")));
  }

  /** Loads the newest, or what follows `after`. The section stays hidden where the server has no such route. */
  async load(after) {
    let page;
    try {
      page = await getJson(`/v1/trajectories${query({ ...this.filters, limit: PAGE, after })}`);
    } catch (error) {
      if (error.status === 404 && !after) byId("trajectories").hidden = true;
      else this.refused(error);
      return;
    }
    byId("trajectories").hidden = false;
    const list = byId("list");
    list.querySelector(".more")?.remove();
    if (!after) list.replaceChildren();
    list.append(...page.data.map((one) => this.row(one)));
    if (!list.children.length) list.append(el("p", "empty detail", {}, "No trajectories here yet."));
    if (page.has_more) {
      const more = el("button", "more", { type: "button" }, "More");
      more.addEventListener("click", () => this.load(page.last_id), { once: true });
      list.append(more);
    }
    if (!after && !byId("detail").children.length) byId("detail").append(el("p", "empty", {}, "Choose a trajectory to read it."));
  }

  row(one) {
    const step = one.step === null || one.step === undefined ? "" : `step ${one.step}`;
    const parts = [SAID[one.kind] ?? one.kind, one.run, step, versions(one), `${one.response_tokens} tokens`];
    const top = el("div", "top", {}, el("span", "", {}, parts.filter(Boolean).join(" · ")));
    if (one.verdict) top.append(el("span", `verdict ${one.verdict}`, {}, one.verdict.replaceAll("_", " ")));
    top.append(el("span", "reward", {}, reward(one.reward)));
    const row = el("button", "", { type: "button" }, top, el("div", "excerpt", {}, one.problem_excerpt), el("div", "excerpt answer", {}, one.response_excerpt));
    row.dataset.id = one.id;
    row.addEventListener("click", () => this.open(one.id));
    return row;
  }

  async open(id) {
    for (const row of byId("list").querySelectorAll("button[data-id]")) row.setAttribute("aria-current", String(row.dataset.id === id));
    try {
      this.shown = await getJson(`/v1/trajectories/${encodeURIComponent(id)}`);
    } catch (error) {
      return this.refused(error);
    }
    this.draw();
    if (matchMedia("(max-width: 720px)").matches) byId("detail").scrollIntoView({ behavior: "smooth" });
  }

  draw() {
    const one = this.shown;
    const facts = [
      ["id", one.id], ["group", one.group], ["sampled", when(one.created_at)], ["kind", SAID[one.kind] ?? one.kind],
      ["weights", one.weight_version_min === null ? "" : versions(one)], ["tokens", `${one.prompt_tokens} + ${one.response_tokens}, ended by ${one.finish_reason}`],
      ["reference", one.reference], ["session", one.session], ["trained", one.trained_at ? `${when(one.trained_at)} by ${one.trained_by ?? "a run"}` : "no"],
    ].filter(([, value]) => value);
    const list = el("dl", "", {}, ...facts.flatMap(([name, value]) => [el("dt", "", {}, name), el("dd", "", {}, value)]));
    byId("detail").replaceChildren(list, ...this.findings(one), ...this.problem(one), ...this.response(one));
  }

  findings(one) {
    const rows = one.findings.flatMap((finding) => [
      el("dt", "", {}, finding.grader),
      el("dd", "", {}, el("span", `verdict ${finding.verdict}`, {}, finding.verdict.replaceAll("_", " ")),
        ` · reward ${reward(finding.reward)}`, finding.explanation ? ` · ${finding.explanation}` : ""),
    ]);
    return rows.length ? [heading("Verdict"), el("dl", "", {}, ...rows)] : [];
  }

  /** The prompt; a synthetic problem beside what it was written from. */
  problem(one) {
    const text = (words) => el("pre", "text", {}, words ?? "(no text: its tokens are not of the model that is served)");
    const origin = one.origin;
    if (!origin) return [heading("Problem"), text(one.prompt)];
    const columns = [
      [one.kind === "synthetic" ? "Synthetic problem" : "Prompt for the writer", one.prompt],
      ["Original problem", origin.problem],
      ["Solution it was written from", origin.solution_response],
      ...(one.kind === "synthetic" ? [["What the writer said", origin.synthesis_response]] : []),
    ].filter(([, words]) => words);
    const blocks = columns.map(([title, words]) => el("div", "", {}, heading(title), text(words)));
    const links = [["the synthesis", origin.synthesis], ["the solution", origin.solution]].filter(([, id]) => id && id !== one.id);
    const buttons = links.map(([name, id]) => {
      const button = el("button", "quiet", { type: "button" }, `Open ${name}`);
      button.addEventListener("click", () => this.open(id));
      return button;
    });
    return [el("div", "beside", {}, ...blocks), ...buttons];
  }

  response(one) {
    const choose = el("div", "toggle", { role: "group", "aria-label": "colours of tokens" });
    for (const [name, words] of [["plain", "Plain"], ["logprob", "By probability"], ["version", "By weight version"]]) {
      const button = el("button", "", { type: "button", "aria-pressed": String(this.colours === name) }, words);
      button.addEventListener("click", () => {
        this.colours = name;
        this.draw();
      });
      choose.append(button);
    }
    const text = el("pre", "text", { id: "response" });
    const tokens = this.colours === "plain" ? null : coloured(one, this.colours);
    if (tokens) text.append(...tokens.spans);
    else text.append(one.response);
    return [heading("Response"), ...(one.response_token_texts ? [choose] : []), ...(tokens ? [key(tokens.key)] : []), text];
  }
}

const heading = (words) => el("h4", "", {}, words);

/** A span for each token, and what the colours mean. Tokens that were not sampled have no colour. */
function coloured(one, by) {
  const sampled = one.segments.filter((segment) => segment.role !== "prompt").flatMap((segment) => Array(segment.tokens).fill(segment.role === "sampled"));
  const names = [...new Set(one.weight_versions.map((span) => span.version))];
  let at = -1;
  const spans = one.response_token_texts.map((words, place) => {
    if (!(sampled[place] ?? true)) return el("span", "t", { title: "not sampled" }, words);
    at += 1;
    const span = one.weight_versions.find((span) => span.start <= at && at < span.end);
    const logprob = one.logprobs[at];
    const title = `probability ${short(Math.exp(logprob))}, logprob ${short(logprob)}, version ${span?.version ?? "?"}`;
    const look = by === "version" ? `v${names.indexOf(span?.version) % 6}` : `l${UNLIKELY.filter((limit) => Math.exp(logprob) < limit).length}`;
    return el("span", `t ${look}`, { title }, words);
  });
  const meaning = by === "version"
    ? names.map((name, at) => [`version ${name}`, `v${at % 6}`])
    : UNLIKELY.map((limit, at) => [`p < ${limit}`, `l${at + 1}`]);
  return { spans, key: meaning };
}
