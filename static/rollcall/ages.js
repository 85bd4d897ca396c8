// While the page is not live, each panel that would be says since when, and for how long already. A
// panel that is live says nothing: its age is a few seconds.

import * as live from "./live.js";
import { time } from "./times.js";

const LIVE_PARTS = "[data-registration-id], [data-live-feed], [data-server-id], [data-tile]";
const WORDS = { stale: "From ", "worker-silent": "Incomplete since " };
let status = "connecting";
let since = 0;

function panels() {
  return [...document.querySelectorAll("main .card")].filter(
    (card) => card.matches(LIVE_PARTS) || card.querySelector(LIVE_PARTS),
  );
}

function show() {
  for (const old of document.querySelectorAll(".panel-age")) old.remove();
  if (!WORDS[status]) return;
  const at = new Date(since).toISOString();
  for (const panel of panels()) {
    const age = document.createElement("p");
    age.className = "panel-age";
    age.append(WORDS[status], time("stamp", at), ", ", time("age", at));
    panel.prepend(age);
  }
}

live.watch(
  {},
  {
    status(...next) {
      [status, since] = next;
      show();
    },
  },
);
document.addEventListener("htmx:afterSettle", show);
