// The handset's page. A change is patched where it stands; sentences that only the server words
// are taken anew; the trace waits while somebody reads in it. And: the chart's stays by keyboard.

import * as live from "./live.js";

const FRESH = ["#own-changes", "#stays", "#handset-actions"]; // Beside #lines, after a move.
const KEPT = 700; // ms after a try, in which the worker has written its trace

let wanted = null;
let busy = false;

async function refresh(beside) {
  wanted = new Set([...(wanted ?? []), ...beside]);
  if (busy) return;
  busy = true;
  while (wanted && !document.querySelector("dialog[open]")) {
    const also = [...wanted].filter((part) => document.querySelector(part));
    wanted = null;
    await take("#lines", also.join(","));
  }
  wanted = null;
  busy = false;
}

function take(part, beside = "") {
  const swap = { target: part, select: part, swap: "outerHTML" };
  return window.htmx.ajax("GET", location.href, beside ? { ...swap, selectOOB: beside } : swap);
}

// ---- The trace -------------------------------------------------------------------------------

let reading = false;
document.addEventListener("click", ({ target }) => {
  if (target.closest("#trace summary")) reading = true;
});
document.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target?.id === "trace") reading = false;
});

let arriving = 0;
function newTry(registration) {
  const trace = document.querySelector("#trace");
  if (trace?.dataset.of !== String(registration)) return;
  clearTimeout(arriving);
  arriving = setTimeout(() => {
    const selected = trace.contains(getSelection()?.anchorNode) && !getSelection().isCollapsed;
    if (reading || selected || trace.contains(document.activeElement)) {
      trace.querySelector("[data-newer]").hidden = false;
    } else {
      take("#trace");
    }
  }, KEPT);
}

// ---- The chart -------------------------------------------------------------------------------

function tell(piece) {
  const caption = document.querySelector("#stays-caption");
  if (caption && piece) caption.textContent = piece.getAttribute("aria-label");
}

function step(from, by) {
  const pieces = [...document.querySelectorAll("#stays .stay")].sort((a, b) => a.dataset.order - b.dataset.order);
  const to = pieces[pieces.indexOf(from) + by];
  if (!to) return;
  from.setAttribute("tabindex", "-1");
  to.setAttribute("tabindex", "0");
  to.focus();
}

// What the server worded is of one (where, tried); another is worth one look, not a second.
const looked = new Map();
function news(row, { element }) {
  if (!element.dataset.tried) return;
  const where = `${row.state} ${row.silent} ${row.server?.id ?? ""}`;
  const tried = `${row.heard_at ?? ""} ${row.next_attempt_at ?? ""}`;
  if ((element.dataset.where === where && element.dataset.tried === tried) || looked.get(row.id) === where + tried) return;
  looked.set(row.id, where + tried);
  refresh(element.dataset.where === where ? [] : FRESH);
  newTry(row.id);
}

// A line that is gone may leave others; of a handset that is gone the server has no page.
function gone(id, { dataset }) {
  dataset.where = ""; // Should it come back, it is worded anew.
  looked.delete(id);
  refresh(FRESH);
}

if (document.querySelector("[data-handset]")) {
  live.watch({}, { row: news, gone });
  document.addEventListener("pointerover", ({ target }) => tell(target.closest?.(".stay")));
  document.addEventListener("focusin", ({ target }) => tell(target.closest?.(".stay")));
  document.addEventListener("keydown", (event) => {
    const piece = event.target.closest?.(".stay");
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!piece || !by) return;
    event.preventDefault();
    step(piece, by);
  });
}
