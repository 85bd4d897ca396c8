// Handsets that move are seen moving: how many goes from the lane they leave to the lane that takes
// them, and the lanes' counts run. The bars run by themselves (rollcall.css).

import * as live from "./live.js";

const TRAVEL = 900; // ms
const RUN = 450; // ms; sums come twice a second at most
const still = matchMedia("(prefers-reduced-motion: reduce)");
const held = new Map(); // As it was last seen, by server: first as the page was written.

function countOf(card, id) {
  return card.querySelector(`.lane[data-server-id="${id}"] [data-lane-held]`);
}

function valueOf(place) {
  return Number(place.textContent.replaceAll(",", ""));
}

function isSeen(place) {
  const { top, bottom } = place.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

function travel(from, to, n, state) {
  const [start, end] = [from.getBoundingClientRect(), to.getBoundingClientRect()];
  const flight = document.createElement("span");
  flight.className = "flight";
  flight.dataset.state = state;
  flight.setAttribute("aria-hidden", "true");
  flight.textContent = n.toLocaleString("en-US");
  document.body.append(flight);
  const { width, height } = flight.getBoundingClientRect();
  const at = (box) => `translate(${box.right - width}px, ${box.top + (box.height - height) / 2}px)`;
  const steps = [
    { transform: at(start), opacity: 0 },
    { transform: at(start), opacity: 1, offset: 0.15 },
    { transform: at(end), opacity: 1, offset: 0.85 },
    { transform: at(end), opacity: 0 },
  ];
  flight.animate(steps, { duration: TRAVEL, easing: "ease-in-out" }).finished.finally(() => flight.remove());
}

// Counts up or down to what the place says already.
function run(place, before) {
  const now = valueOf(place);
  const begun = performance.now();
  const step = (at) => {
    const part = Math.min(1, (at - begun) / RUN);
    if (place.dataset.run !== String(begun)) return;
    place.textContent = Math.round(before + (now - before) * part).toLocaleString("en-US");
    if (part < 1) requestAnimationFrame(step);
  };
  place.dataset.run = begun;
  requestAnimationFrame(step);
}

function show(card, group) {
  const changed = group.servers
    .map((server) => ({ server, by: server.held - (held.get(server.id) ?? server.held), place: countOf(card, server.id) }))
    .filter(({ by, place }) => by && place && isSeen(place));
  for (const { server, place } of changed) run(place, held.get(server.id));
  const leaving = changed.filter(({ by }) => by < 0).map((each) => ({ ...each, left: -each.by }));
  for (const { server, by, place } of changed.filter(({ by }) => by > 0)) {
    let wanted = by;
    for (const from of leaving) {
      const n = Math.min(wanted, from.left);
      if (!n) continue;
      travel(from.place, place, n, server.role);
      from.left -= n;
      wanted -= n;
    }
  }
}

function take(summary) {
  const moves = !still.matches && !document.hidden;
  for (const group of summary.groups) {
    const card = document.querySelector(`[data-group-id="${group.id}"]`);
    if (moves && card) show(card, group);
    for (const server of group.servers) held.set(server.id, server.held);
  }
}

const lanes = document.querySelectorAll(".lane[data-server-id]");
for (const lane of lanes) held.set(Number(lane.dataset.serverId), valueOf(lane.querySelector("[data-lane-held]")));
if (lanes.length) live.watch({ summary: true }, { summary: take });
