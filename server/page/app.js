// Asks the server how it is doing, again and again, and shows what it says.

import { getJson, getText, query } from "./api.js";
import { Controls, askKey } from "./controls.js";
import { byId } from "./dom.js";
import { Scrape } from "./exposition.js";
import { Serving } from "./serving.js";
import { KEPT, Training } from "./training.js";
import { Trajectories } from "./trajectories.js";

/** Between two rounds of questions, ms; doubled after each failure up to `SLOWEST_MS`. */
const ROUND_MS = 2000;
const SLOWEST_MS = 60000;
/** How long a refusal is shown, ms. */
const HELD_MS = 8000;
/** Steps asked for at once, and steps of which all metrics are asked for. */
const PAGE = 1000;
const RECENT = 50;
const AT_WORK = ["running", "stopping"];

const training = new Training();
const serving = new Serving();
const trajectories = new Trajectories(refused);
const controls = new Controls((status) => { show(status); soon(); }, refused);

let wait_ms = ROUND_MS;
let timer;
/** Whether the server has the route that tells the metrics of earlier steps; not known before it was asked. */
let tells_history;
let opened = false;
/** Until when a refusal stays. */
let held_until = 0;

/** Shows a refusal; asks for a key where one is missing. */
function refused(error) {
  if (error.status === 401 || error.status === 403) askKey(error.message, () => { held_until = 0; soon(); });
  notice(error.message, HELD_MS);
}

/** Shows words, or hides them; for `hold_ms` nothing takes their place unless it is more. */
function notice(words, hold_ms = 0) {
  if (!words && Date.now() < held_until) return;
  held_until = Date.now() + hold_ms;
  byId("notice").textContent = words;
  byId("notice").hidden = !words;
}

/** Shows where the run stands. */
function show(status) {
  const state = byId("state");
  state.textContent = status.state;
  state.className = `pill ${status.state}`;
  controls.show(status.state);
  byId("training").hidden = status.state === "idle";
  const run = status.run_id ? [`run ${status.run_id}`, `step ${status.step} of ${status.steps}`] : ["no run yet"];
  if (AT_WORK.includes(status.state) && status.phase) run.push(status.phase);
  run.push(`weights ${status.weight_version}`);
  if (status.stalled) run.push(`stalled for ${Math.round(status.stalled.since_s)} s: ${status.stalled.waits_for}`);
  byId("where").textContent = run.join("  ·  ");
  byId("progress").style.width = `${status.steps ? (100 * status.step) / status.steps : 0}%`;
  byId("span").textContent = status.run_id ? `run ${status.run_id}` : "";
  notice(status.error ?? "");
}

/** Brings the charts up to the status: from the metrics of all steps where the server tells them, else from the last. */
async function follow(status) {
  if (!status.run_id) return;
  if (status.run_id !== training.run || status.step < training.newest) training.reset(status.run_id);
  if (tells_history !== false && training.newest < status.step) {
    try {
      await recall(status.step);
      tells_history = true;
    } catch (error) {
      if (error.status !== 404) throw error;
      tells_history = false;
    }
  }
  if (training.newest < status.step) training.add([{ step: status.step, metrics: status.metrics }]);
}

/** Asks for the steps up to `last` that are not held; of many only for the metrics that are shown. */
async function recall(last) {
  const ask = (values) => getJson(`/v1/train/metrics${query({ limit: PAGE, ...values })}`);
  let keys;
  if (last - training.newest > RECENT) {
    const recent = await ask({ since_step: last - RECENT });
    const names = new Set(recent.data.flatMap((record) => Object.keys(record.metrics)));
    keys = [...names].filter((name) => training.shows(name)).join(",");
  }
  for (let more = true; more;) {
    const page = await ask({ since_step: Math.max(training.newest, last - KEPT), keys });
    training.add(page.data);
    more = page.has_more && page.data.length > 0;
  }
}

async function round() {
  try {
    const scrape = new Scrape(await getText("/metrics"));
    byId("model").textContent = scrape.model;
    document.title = `${scrape.model} · svs`;
    byId("held").hidden = !scrape.value("svs_paused");
    serving.add(scrape);
    await train();
    if (!opened) await trajectories.load();
    opened = true;
    wait_ms = ROUND_MS;
  } catch (error) {
    wait_ms = Math.min(2 * wait_ms, SLOWEST_MS);
    // What a key would open is not asked for again until there is one.
    if (error.status === 401) return refused(error);
    notice(`${error.message}; asking again in ${Math.round(wait_ms / 1000)} s`);
  }
  soon(wait_ms);
}

async function train() {
  let status;
  try {
    status = await getJson("/v1/train/status");
  } catch (error) {
    if (error.status !== 404) throw error;
    byId("state").textContent = "serving only";
    return;
  }
  show(status);
  await follow(status);
}

/** The next round after `ms`; none while nobody looks. */
function soon(ms = 0) {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(round, ms);
}

document.addEventListener("visibilitychange", () => soon());
byId("key").addEventListener("click", () => askKey("The server's API key for this page:", () => soon()));
soon();
