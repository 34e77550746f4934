// Start, pause, resume, stop; and the key.

import { keys, post } from "./api.js";
import { byId } from "./dom.js";

/** States in which a button does something. */
const ENABLED = {
  start: ["idle", "finished", "failed"],
  pause: ["running"],
  resume: ["paused"],
  stop: ["running", "paused"],
};

export class Controls {
  /** `done(status)` hears of a new status, `refused(error)` of refusals. */
  constructor(done, refused) {
    this.done = done;
    this.refused = refused;
    this.busy = false;
    byId("start").addEventListener("click", () => this.askStart());
    byId("pause").addEventListener("click", () => this.send("pause"));
    byId("resume").addEventListener("click", () => this.send("resume"));
    byId("stop").addEventListener("click", () => byId("stop-dialog").showModal());
    byId("stop-dialog").addEventListener("close", () => {
      if (byId("stop-dialog").returnValue === "stop") this.send("stop");
    });
    byId("start-go").addEventListener("click", (event) => {
      event.preventDefault();
      this.start();
    });
  }

  /** Shows what can be done in `state`. */
  show(state) {
    this.state = state;
    byId("controls").hidden = state === undefined;
    for (const [id, states] of Object.entries(ENABLED)) byId(id).disabled = this.busy || !states.includes(state);
  }

  async send(verb, body) {
    this.busy = true;
    this.show(this.state);
    try {
      this.done(await post(`/v1/train/${verb}`, body));
    } catch (error) {
      this.refused(error);
    } finally {
      this.busy = false;
      this.show(this.state);
    }
  }

  askStart() {
    byId("start-error").textContent = "";
    byId("start-dialog").returnValue = "";
    byId("start-dialog").showModal();
  }

  /** Sends the form; the dialog stays with the server's words if it refuses. */
  async start() {
    let config;
    try {
      config = JSON.parse(byId("start-config").value.trim() || "{}");
    } catch {
      byId("start-error").textContent = "The further settings are no JSON object.";
      return;
    }
    if (byId("start-recipe").value) config.recipe = byId("start-recipe").value;
    if (byId("start-steps").value) config.steps = Number(byId("start-steps").value);
    if (byId("start-run").value) config.run_id = byId("start-run").value;
    byId("start-go").disabled = true;
    try {
      const status = await post("/v1/train/start", { config, resume: byId("start-resume").checked });
      byId("start-dialog").close();
      this.done(status);
    } catch (error) {
      byId("start-error").textContent = error.message;
      if (error.status === 401 || error.status === 403) this.refused(error);
    } finally {
      byId("start-go").disabled = false;
    }
  }
}

/** Asks for the key, saying why; calls `then` once there is a new one. */
export function askKey(why, then) {
  const dialog = byId("key-dialog");
  if (dialog.open) return;
  byId("key-why").textContent = why;
  byId("key-input").value = "";
  dialog.returnValue = "";
  dialog.addEventListener("close", () => {
    if (dialog.returnValue !== "set") return;
    keys.set(byId("key-input").value.trim());
    then();
  }, { once: true });
  dialog.showModal();
}
