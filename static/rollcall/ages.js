// While the page is not live, each panel that would be says from when it is, and for how long
// already. A panel that is live says nothing: its age is a few seconds.

import * as live from "./live.js";
import { time } from "./times.js";

const LIVE_PARTS = "[data-registration-id], [data-live-feed], [data-server-id], [data-tile]";
let readAt = new Date(document.documentElement.dataset.now).toISOString();

function panels() {
  return [...document.querySelectorAll("main .card")].filter(
    (card) => card.matches(LIVE_PARTS) || card.querySelector(LIVE_PARTS),
  );
}

function show(status) {
  for (const old of document.querySelectorAll(".panel-age")) old.remove();
  if (status !== "stale" && status !== "worker-silent") return;
  for (const panel of panels()) {
    const age = document.createElement("p");
    age.className = "panel-age";
    age.append("From ", time("stamp", readAt), ", ", time("age", readAt));
    panel.prepend(age);
  }
}

let status = "connecting";
live.watch(
  {},
  {
    heartbeat({ database, read_at: at }) {
      if (at && database) readAt = at;
    },
    status(next) {
      status = next;
      show(status);
    },
  },
);
document.addEventListener("htmx:afterSettle", () => show(status));
