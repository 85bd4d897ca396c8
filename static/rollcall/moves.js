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

if (document.querySelector("#moves")) {
  live.watch({ history: true }, { transitions: (_, { fresh }) => fresh && soon() });
  setInterval(soon, MINUTE);
}
