// The page's one live socket (/ws/live/): what it watches, what it hears, and how old that is.
//
//   import * as live from "./live.js";
//   const stop = live.watch({ summary: true, history: true }, {
//     row(row, { before, moved, element }) {},   // one call per row and element on the page
//     gone(id, element) {},                      // not there any more, or not for this user
//     summary(summary) {},
//     transitions(list, { fresh }) {},           // newest first; fresh: false for a snapshot's
//     heartbeat(heartbeat) {},
//     status(status, since) {},                  // as verdict.js has them
//   });
//
// Rows are those of the page: every [data-registration-id], read again after each htmx swap; pass
// { rows: [ids] } for more. Inside such an element each [data-field] gets that field of the row.
// document.body.dataset.live holds the status, #live-banner says what is wrong since when, and
// #clock-banner by how much this computer's clock is off.

import { ahead, setAhead, showAll } from "./times.js";
import { SILENCE, skewed, verdict } from "./verdict.js";

const MOST_ROWS = 1000;
const JITTER = 1_000; // ms: a message on its way for less changes nothing about the clocks

// A screen without a log-in has its key in its URL; beside the socket's, no log writes it down.
const board = location.pathname.match(/^\/wallboard\/([\w-]{40,})\/$/)?.[1];

const watchers = new Set();
const known = new Map();
let socket = null;
let hub = "";
let seq = 0;
let synced = false;
let sent = "";
let tries = 0;
let retry = 0;
let heardAt = Date.now(); // Spans are by this computer's clock, instants by Rollcall's.
let lostAt = 0;
let heartbeat = null;
let loggedOut = false;
let status = "connecting";
let notLiveSince = 0;
let goneSince = 0;

export function watch(wanted, handlers = {}) {
  const watcher = { wanted, handlers };
  watchers.add(watcher);
  if (socket === null && !retry) connect();
  else ask();
  return () => {
    watchers.delete(watcher);
    ask();
  };
}

function elements(root = document) {
  return root.querySelectorAll("[data-registration-id]");
}

function wanted() {
  const rows = new Set();
  let summary = false;
  let history = false;
  for (const element of elements()) rows.add(Number(element.dataset.registrationId));
  for (const { wanted: wish } of watchers) {
    for (const id of wish.rows ?? []) rows.add(Number(id));
    summary ||= Boolean(wish.summary);
    history ||= Boolean(wish.history);
  }
  const ids = [...rows].filter((id) => id > 0).sort((a, b) => a - b);
  return { rows: ids.slice(0, MOST_ROWS), summary, history };
}

// Asks for what the page shows now; `again` also when that is what was asked last (a gap).
function ask(again = false) {
  if (socket?.readyState !== WebSocket.OPEN) return;
  const text = JSON.stringify({ watch: wanted() });
  if (text === sent && !again) return;
  sent = text;
  synced = false;
  socket.send(text);
}

function connect() {
  retry = 0;
  const server = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;
  const opening = new WebSocket(`${server}/ws/live/`, board ? ["rollcall", `wallboard.${board}`] : []);
  socket = opening;
  hub = sent = "";
  seq = 0;
  synced = false;
  let opened = false;
  opening.addEventListener("open", () => {
    opened = true;
    ask();
  });
  opening.addEventListener("message", (event) => {
    if (socket === opening) hear(JSON.parse(event.data));
  });
  opening.addEventListener("close", (event) => {
    if (socket !== opening) return;
    if (!opened || event.code === 4401) askWhetherLoggedOut();
    reconnect();
  });
}

function reconnect() {
  lostAt ||= Date.now();
  socket = null;
  if (retry) return;
  const most = Math.min(15_000, 500 * 2 ** tries++);
  retry = setTimeout(connect, most * (0.5 + Math.random() / 2));
}

// Drops a connection that says nothing any more, without waiting for its close handshake.
function abandon() {
  const dead = socket;
  reconnect();
  dead?.close();
}

// A refused socket looks like a broken one; the page itself tells whether the log-in has ended.
async function askWhetherLoggedOut() {
  try {
    const answer = await fetch(location.href, { method: "HEAD", redirect: "manual", cache: "no-store" });
    loggedOut = answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403;
  } catch {
    loggedOut = false; // The server is out of reach, which the banner says already.
  }
  judge();
}

function hear(message) {
  heardAt = Date.now();
  lostAt = 0;
  const follows = (hub === "" || hub === message.hub) && message.seq === seq + 1;
  hub = message.hub;
  seq = message.seq;
  loggedOut = false;
  if (!follows) ask(true);
  if (message.type === "heartbeat") {
    heartbeat = message;
    compareClocks(Date.parse(message.at) - heardAt);
    tell("heartbeat", message);
  } else if (message.type === "snapshot" && follows) {
    synced = true;
    tries = 0;
    take(message, false);
  } else if (message.type === "delta" && synced) {
    take(message, true);
  }
  judge();
}

// What a message was late by makes Rollcall's clock look behind, never ahead: the greatest counts,
// until one differs by so much that a clock was set.
function compareClocks(difference) {
  if (difference <= ahead && ahead - difference < JITTER) return;
  setAhead(difference);
  showAll();
}

function take(message, fresh) {
  for (const row of message.rows) show(row);
  for (const id of message.gone ?? []) {
    known.delete(id);
    for (const element of find(id)) {
      element.classList.add("is-gone");
      tell("gone", id, element);
    }
  }
  if (message.summary) tell("summary", message.summary);
  if (message.transitions) tell("transitions", message.transitions, { fresh });
}

function find(id) {
  return document.querySelectorAll(`[data-registration-id="${Number(id)}"]`);
}

function show(row) {
  const before = known.get(row.id);
  known.set(row.id, row);
  const isMoved = before !== undefined && (before.state !== row.state || before.server?.id !== row.server?.id);
  for (const element of find(row.id)) {
    patch(element, row);
    if (isMoved) flash(element);
    tell("row", row, { before, moved: isMoved, element });
  }
}

function patch(element, row) {
  element.classList.remove("is-gone");
  if (element.dataset.state !== undefined) element.dataset.state = row.silent ? `${row.state}_silent` : row.state;
  for (const place of element.querySelectorAll("[data-field]")) {
    const value = place.dataset.field.split(".").reduce((part, name) => part?.[name], row);
    const text = value === null || value === undefined || value === "" ? "–" : String(value);
    if (place instanceof HTMLTimeElement && value) place.dateTime = text;
    else if (place.textContent !== text) place.textContent = text;
  }
}

// Many rows may move at once: all of them start their flash after one layout, not one each.
const moving = new Set();
function flash(element) {
  if (moving.size === 0) requestAnimationFrame(startFlashes);
  moving.add(element);
}

function startFlashes() {
  for (const element of moving) element.classList.remove("arrive");
  void document.body.offsetWidth; // Without a layout between, no animation would start again.
  for (const element of moving) element.classList.add("arrive");
  moving.clear();
}

function tell(name, ...given) {
  for (const { handlers } of watchers) {
    try {
      handlers[name]?.(...given);
    } catch (error) {
      reportError(error); // One part of the page must not keep the others from the news.
    }
  }
}

function say(banner, sentence) {
  const words = banner?.querySelector("span");
  if (!words || words.textContent === sentence) return;
  words.textContent = sentence;
  banner.hidden = sentence === "";
}

// A handset's page of which nothing is left: every line on it is gone.
function isGone() {
  const lines = document.querySelector("[data-handset]") ? [...elements()] : [];
  return lines.length > 0 && lines.every((line) => line.matches(".is-gone"));
}

function judge() {
  goneSince = isGone() && (goneSince || Date.now() + ahead);
  const quiet = Date.now() - heardAt;
  const lost = lostAt ? Date.now() - lostAt : 0;
  const [next, short, sentence, since] = verdict({ quiet, lost, seen: heardAt + ahead, loggedOut, board, heartbeat, gone: goneSince });
  document.body.dataset.live = next;
  const mark = document.getElementById("live-state");
  if (mark) {
    mark.dataset.live = next;
    const word = mark.querySelector("span") ?? mark;
    if (word.textContent !== short) word.textContent = short;
  }
  say(document.getElementById("live-banner"), sentence);
  const login = document.getElementById("live-login");
  if (login) login.hidden = !loggedOut;
  say(document.getElementById("clock-banner"), skewed(ahead));
  if (next !== status || since !== notLiveSince) {
    status = next;
    notLiveSince = since;
    tell("status", status, since);
  }
}

function watchdog() {
  if (watchers.size === 0) return;
  if (socket !== null && Date.now() - heardAt > SILENCE && !(lostAt && Date.now() - lostAt < SILENCE)) {
    lostAt = Date.now();
    abandon();
  }
  judge();
}

setInterval(watchdog, 1000);
document.addEventListener("visibilitychange", () => document.hidden || watchdog());
addEventListener("online", () => {
  if (retry) {
    clearTimeout(retry);
    connect();
  }
});
for (const swapped of ["htmx:afterSwap", "htmx:historyRestore"]) {
  document.addEventListener(swapped, () => {
    for (const id of known.keys()) if (find(id).length === 0) known.delete(id);
    ask();
  });
}
