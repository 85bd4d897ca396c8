// Rows stay where they stand while the page is read: they are never sorted anew under the cursor and
// none vanishes. What the list would look like now is asked for when something changed; the bar says
// how many rows would come, go or stand elsewhere, and puts them there when it is told to.

import * as live from "./live.js";
import { keepSelected } from "./selection.js";

const LEAST = 3_000; // ms between two questions, more where an answer takes long
const SELDOM = 30_000; // ms between them where only somebody's edit changes the list
let asking = false;
let wanted = false;
let next = 0;
let timer = 0;
let answer = null;

const bar = () => document.querySelector("#changes-bar");
const shown = () => [...document.querySelectorAll("[data-rows] tr[data-registration-id]")];
const idOf = (row) => Number(row.dataset.registrationId);

// How many of these numbers have to be taken out for the rest to rise: who stands elsewhere.
function outOfOrder(places) {
  const ends = [];
  for (const place of places) {
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ends[middle] < place) low = middle + 1;
      else high = middle;
    }
    ends[low] = place;
  }
  return places.length - ends.length;
}

export function compare(here, there) {
  const places = new Map(there.map((id, place) => [id, place]));
  const known = new Set(here);
  const staying = here.filter((id) => places.has(id));
  return {
    come: there.filter((id) => !known.has(id)).length,
    go: here.length - staying.length,
    elsewhere: outOfOrder(staying.map((id) => places.get(id))),
  };
}

function sentence({ come, go, elsewhere }) {
  const parts = [];
  if (come) parts.push(`${come} new here`);
  if (go) parts.push(`${go} no longer here`);
  if (elsewhere) parts.push(`${elsewhere} in another place`);
  const all = come + go + elsewhere;
  return `${all} change${all === 1 ? "" : "s"}: ${parts.join(", ")}`;
}

function show({ ids, total }) {
  const own = bar();
  if (!own) return;
  const rows = shown();
  const changes = compare(rows.map(idOf), ids);
  const some = changes.come + changes.go + changes.elsewhere > 0;
  const words = own.querySelector("[data-changes-words]");
  const said = some ? sentence(changes) : "";
  if (words.textContent !== said) words.textContent = said;
  own.hidden = !some;
  const there = new Set(ids);
  for (const row of rows) row.classList.toggle("is-leaving", !there.has(idOf(row)));
  for (const count of document.querySelectorAll("[data-match-count]")) {
    if (count.textContent !== String(total)) count.textContent = total;
    const range = count.previousElementSibling; // "1–50 of" is not said of fewer than 50
    if (range?.dataset.last) range.hidden = total < Number(range.dataset.last);
  }
}

async function ask() {
  timer = 0;
  const own = bar();
  if (!own || asking || document.hidden) return;
  asking = true;
  wanted = false;
  const begun = performance.now();
  try {
    const response = await fetch(own.dataset.places, { headers: { Accept: "application/json" }, redirect: "error" });
    if (response.ok && own.isConnected) show((answer = await response.json()));
  } catch {
    // The page says already that Rollcall is out of reach; the next change asks again.
  } finally {
    asking = false;
    next = Date.now() + Math.max(LEAST, 4 * (performance.now() - begun));
    if (wanted) changed();
  }
}

function changed() {
  wanted = true;
  if (!bar() || timer || asking) return;
  timer = setTimeout(ask, Math.max(300, next - Date.now()));
}

function swapped() {
  clearTimeout(timer);
  timer = 0;
  answer = null;
  next = Date.now() + LEAST;
}

async function apply() {
  const row = document.activeElement?.closest("tr[data-registration-id]");
  const focused = row && `#${row.querySelector("[data-open-row]").id}`;
  await keepSelected(() =>
    window.htmx.ajax("GET", location.href, { target: "#results", select: "#results", swap: "outerHTML" }),
  );
  const again = (focused && document.querySelector(focused)) || document.querySelector("[data-open-row]");
  again?.focus({ preventScroll: true });
}

if (bar()) {
  const moves = () => bar()?.dataset.moves === "yes";
  live.watch(
    { summary: true },
    {
      row: (row, { before }) => before && moves() && changed(),
      gone: changed,
      summary: () => moves() && changed(),
    },
  );
  setInterval(changed, SELDOM);
  document.addEventListener("visibilitychange", () => document.hidden || changed());
  document.addEventListener("htmx:afterSwap", (event) => event.detail.target.id === "results" && swapped());
  document.addEventListener("click", (event) => event.target.closest("[data-apply-changes]") && apply());
}

// ---- The form of filters ---------------------------------------------------------------------

// What says nothing does not go into the address, so that it can be read and sent to a colleague.
document.addEventListener("htmx:configRequest", (event) => {
  if (event.target.id !== "filters") return;
  const given = event.detail.parameters;
  for (const name of [...new Set(given.keys())]) {
    const values = given.getAll(name).filter((value) => value !== "");
    given.delete(name);
    for (const value of values) given.append(name, value);
  }
});

// Of two that exclude each other the later one holds.
document.addEventListener("change", (event) => {
  const box = event.target.closest("[data-alone]");
  if (!box?.checked) return;
  for (const other of box.form.querySelectorAll(`[data-alone][name="${box.name}"]`)) other.checked = other === box;
}, true);

// The columns are those of the list as its address has it by now.
document.addEventListener("submit", (event) => {
  const query = event.target.querySelector("[data-current-query]");
  if (query) query.value = location.search.slice(1);
}, true);
