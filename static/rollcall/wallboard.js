// The wallboard: drawn by the server, drawn anew when the live summary changes. Many groups take
// turns; a board that is not live turns grey and says so larger than anything on it.

import * as live from "./live.js";
import { now, stamp } from "./times.js";
import "./trouble.js";

const AT_MOST = 2_000; // ms between two drawings
const AT_LEAST = 60_000; // ms after which one is made although nothing changed: the last hour moves on
const TURN = 12_000; // ms a page of groups stands

let drawnAt = Date.now();
let waiting = 0;
let turn = 0;

async function draw() {
  waiting = 0;
  drawnAt = Date.now();
  await window.htmx.ajax("GET", location.href, { target: "#board", swap: "outerHTML" });
  showTurn();
}

function drawSoon() {
  waiting ||= setTimeout(draw, Math.max(0, drawnAt + AT_MOST - Date.now()));
}

// ---- Groups take turns -----------------------------------------------------------------------

// How many groups have room at once, with the line that says which they are.
function fits(cards, said) {
  const groups = document.querySelector("[data-rotate]");
  for (const part of [...cards, said]) part.hidden = false;
  if (!matchMedia("(min-width: 1000px)").matches) return cards.length;
  const { columnGap, gridTemplateColumns } = getComputedStyle(groups);
  const gap = parseFloat(columnGap);
  const room = groups.parentElement.clientHeight - said.offsetHeight - gap;
  const tallest = Math.max(...cards.map((card) => card.offsetHeight));
  return gridTemplateColumns.split(" ").length * Math.max(1, Math.floor((room + gap) / (tallest + gap)));
}

function showTurn() {
  const cards = [...document.querySelectorAll(".board-group")];
  const said = document.querySelector("[data-pages]");
  const each = Math.max(1, fits(cards, said));
  const pages = Math.ceil(cards.length / each);
  const page = pages ? ((turn % pages) + pages) % pages : 0;
  cards.forEach((card, at) => (card.hidden = Math.floor(at / each) !== page));
  said.hidden = pages < 2;
  said.textContent = `Groups ${page * each + 1} to ${Math.min(cards.length, (page + 1) * each)} of ${cards.length}, the worst first`;
}

function next(step) {
  turn += step;
  showTurn();
}

setInterval(next, TURN, 1);
addEventListener("keydown", ({ key }) => {
  if (key === "ArrowRight") next(1);
  if (key === "ArrowLeft") next(-1);
});
addEventListener("resize", showTurn);
document.fonts.ready.then(showTurn);
showTurn();

// ---- Age -------------------------------------------------------------------------------------

live.watch(
  { summary: true },
  {
    summary: drawSoon,
    heartbeat() {
      if (Date.now() - drawnAt > AT_LEAST) drawSoon();
    },
    status(status, since) {
      const alarm = document.getElementById("board-not-live");
      const dead = status === "stale" || status === "worker-silent";
      alarm.hidden = !dead;
      alarm.textContent = dead ? `NOT LIVE since ${stamp(since)}` : "";
      if (status === "live") drawSoon();
    },
  },
);

setInterval(() => {
  document.getElementById("board-clock").textContent = stamp(now());
}, 250);
