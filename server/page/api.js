// Requests to the server that this page came from, with the key that this tab knows.

const STORED = "svs-api-key";

export const keys = {
  get: () => sessionStorage.getItem(STORED) ?? "",
  set: (key) => (key ? sessionStorage.setItem(STORED, key) : sessionStorage.removeItem(STORED)),
};

/** A refusal: the status and the server's own words; `status` is 0 where no answer came. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Longest wait for an answer, ms. */
const PATIENCE_MS = 20000;

async function ask(path, options = {}) {
  const key = keys.get();
  const headers = { ...options.headers, ...(key ? { authorization: `Bearer ${key}` } : {}) };
  let response;
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    response = await fetch(path, { ...options, headers, signal, cache: "no-store", redirect: "error", credentials: "omit" });
  } catch {
    throw new Refused(0, "the server does not answer");
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw new Refused(response.status, body?.error?.message ?? `${path} answered ${response.status}`);
}

export const getJson = async (path) => (await ask(path)).json();

export const getText = async (path) => (await ask(path)).text();

export async function post(path, body) {
  const options = { method: "POST" };
  if (body !== undefined) Object.assign(options, { body: JSON.stringify(body), headers: { "content-type": "application/json" } });
  return (await ask(path, options)).json();
}

/** A query string of what is not empty. */
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}
