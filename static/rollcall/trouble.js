// The tab tells trouble without being looked into: how many are not well on primary, and `?` when
// the page cannot know. Title and icon are the page's own again as soon as there is none.

import * as live from "./live.js";

const mark = document.querySelector("link[rel=icon]");
const calm = mark.getAttribute("href");
const WELL = ["primary", "disabled"];
let count = 0;
let blind = false;
let told = "";

function show() {
  const own = document.title.replace(/^\((\d+|\?)\) /, "");
  const title = `${blind ? "(?) " : count ? `(${count}) ` : ""}${own}`;
  if (document.title !== title) document.title = title;
  const wanted = blind || count ? mark.dataset.trouble : calm;
  if (mark.getAttribute("href") !== wanted) mark.setAttribute("href", wanted);
}

// The bell counts what is on; parts of the page that list it ask anew when it changes, also when it
// has changed since the page was made.
function tell(incidents, open) {
  const now = JSON.stringify([open, incidents]);
  const bell = document.getElementById("bell");
  let shown = null;
  if (bell) {
    const mark = bell.querySelector(".bell-count");
    shown = Number(mark.textContent);
    mark.hidden = !open;
    mark.textContent = open;
    bell.setAttribute("aria-label", `Incidents: ${open || "none"} open`);
  }
  const isNews = told ? told !== now : shown !== open;
  told = now;
  if (isNews) document.body.dispatchEvent(new Event("rollcall:incidents"));
}

live.watch(
  { summary: true },
  {
    summary({ states, incidents, incidents_open: open }) {
      tell(incidents, open);
      count = Object.keys(states).reduce((sum, key) => sum + (WELL.includes(key) ? 0 : states[key]), 0);
      show();
    },
    status(status) {
      blind = status === "stale" || status === "worker-silent";
      show();
    },
  },
);
// A page that htmx brings has a title of its own.
document.addEventListener("htmx:afterSettle", show);
