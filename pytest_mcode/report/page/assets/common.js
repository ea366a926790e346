"use strict";
// Texts of models, names and data are put on the page as text alone: nothing here reads HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const state = { group: 0, baseline: 1 };
const $ = (id) => document.getElementById(id);

/** An element with its attributes and children; a string is text. */
function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** The text with what acts on a display spelled out: control characters and those that turn the order of letters. */
function visible(text) {
  return text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (letter) => {
    if (letter === "\r") return "";
    const code = letter.charCodeAt(0);
    return code < 256 ? "\\x" + code.toString(16).padStart(2, "0") : "\\u" + code.toString(16).padStart(4, "0");
  });
}

/** What a block of the page holds, unpacked. */
async function unpacked(id) {
  const bytes = Uint8Array.from(atob($(id).textContent.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const runName = (run) => visible(`${run.number} ${run.label}`);
