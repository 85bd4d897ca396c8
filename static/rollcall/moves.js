// Keeps "Who moved in the last hour" current: asked for anew when something moved, though not more
// often than each 5 s, and each minute, because the hour goes on. Not under somebody's hand.

import * as live from "./live.js";

const PATIENCE = 5_000; // ms
const MINUTE = 60_000; // ms
let timer = 0;

function ask() {
  timer = 0;
  const place = document.querySelector("#moves");
  if (!place) return;
  if (document.hidden || place.matches(":hover, :focus-within")) soon();
  else window.htmx.ajax("GET", place.dataset.moves, { target: place, swap: "outerHTML" });
}

function soon() {
  timer ||= setTimeout(ask, PATIENCE);
}

// The page was written with the newest change it lists; a snapshot may know of later ones.
let newest = Math.max(0, ...[...document.querySelectorAll("[data-transition-id]")].map(({ dataset }) => Number(dataset.transitionId)));

function hear(changes) {
  const last = Math.max(newest, ...changes.map(({ id }) => id));
  if (last > newest) soon();
  newest = last;
}

if (document.querySelector("#moves")) {
  live.watch({ history: true }, { transitions: hear });
  setInterval(soon, MINUTE);
}
