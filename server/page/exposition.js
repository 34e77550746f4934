// Prometheus's text format, as far as the page needs it.

const SAMPLE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED = { "\\n": "\n", '\\"': '"', "\\\\": "\\" };

/** Samples: `{name, labels, value}`. */
export function parse(text) {
  const samples = [];
  for (const line of text.split("\n")) {
    const found = line[0] === "#" ? null : SAMPLE.exec(line);
    if (!found) continue;
    const labels = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(LABEL)) {
      labels[name] = value.replace(/\\[n"\\]/g, (escaped) => ESCAPED[escaped]);
    }
    samples.push({ name: found[1], labels, value: Number(found[3]) });
  }
  return samples;
}

/** The scrape as a page reads it. vLLM's names are found behind any prefix. */
export class Scrape {
  constructor(text) {
    this.samples = parse(text);
  }

  /** The sum of all samples of `name`. */
  value(name) {
    const own = this.all(name);
    return own.length ? own.reduce((sum, sample) => sum + sample.value, 0) : undefined;
  }

  /** The sum of all samples whose name ends with `end`: vLLM's name without the prefix that the server has. */
  served(end) {
    const sample = this.samples.find((sample) => sample.name.endsWith(end));
    return sample && this.value(sample.name);
  }

  all(name) {
    return this.samples.filter((sample) => sample.name === name);
  }

  /** Measurements of a histogram between its bounds: `[bound, count]`. */
  buckets(name) {
    const up = this.all(`${name}_bucket`).map((sample) => [sample.labels.le, sample.value]);
    return up.map(([bound, count], at) => [bound, count - (at ? up[at - 1][1] : 0)]);
  }

  get model() {
    return this.samples.find((sample) => sample.labels.model_name)?.labels.model_name ?? "";
  }
}
