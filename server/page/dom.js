// Elements. Text enters the page here and only as text: nothing that a model, a client or the server says is ever markup.

/** An element with classes (`"card wide"`), attributes and children; strings become text nodes. */
export function el(tag, classes = "", attributes = {}, ...children) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.map((child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element with attributes and children. */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);

/** A number as a person reads it: three significant digits, thousands shortened. */
export function short(value) {
  if (value === undefined || value === null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e6) return `${trim(value / 1e6, 2)} M`;
  if (size >= 1e4) return `${trim(value / 1e3, 1)} k`;
  if (size >= 100) return String(Math.round(value));
  if (size >= 1) return trim(value, 2);
  if (size >= 0.001 || size === 0) return trim(value, 3);
  return value.toExponential(1);
}

const trim = (value, digits) => String(Number(value.toFixed(digits)));
