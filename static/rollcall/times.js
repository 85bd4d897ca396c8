// Keeps every <time data-time> current: ages, spans, countdowns each second, clocks once.
// The words are those of registrations/templatetags/rollcall.py; the title keeps the UTC time.

// Rollcall's clock is the one that counts: `ahead` is by how many ms it is ahead of this computer's.
// The page says when it was written; the live socket then knows it better.
const [opened] = performance.getEntriesByType("navigation");
export let ahead = Date.parse(document.documentElement.dataset.now) - (performance.timeOrigin + (opened?.responseStart ?? 0));
export const now = () => Date.now() + ahead;
export function setAhead(ms) {
  ahead = ms;
}

// Each site's zone counts unless the viewer chose one for all; the server is told this computer's.
const OWN = Intl.DateTimeFormat().resolvedOptions().timeZone;
const choice = document.documentElement.dataset.zone;
const chosen = choice === "browser" ? OWN : choice;
if (choice === "browser") document.cookie = `zone=${OWN}; path=/; SameSite=Lax`;

const pad = (n) => String(n).padStart(2, "0");

export function span(seconds) {
  const s = Math.floor(Math.abs(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${pad(Math.floor((s % 3600) / 60))} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

const formats = new Map();
function format(zone, day) {
  const key = `${zone} ${Object.keys(day)}`;
  if (!formats.has(key)) {
    const options = { timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
    formats.set(key, new Intl.DateTimeFormat("en-GB", { ...options, ...day }));
  }
  return formats.get(key);
}

const abbreviations = new Map();
const REGIONS = ["en-US", "en-GB", "en-AU"]; // Each knows the names of its own part of the world.
export function abbreviation(at, zone) {
  if (!abbreviations.has(zone)) {
    const options = { timeZone: zone, timeZoneName: "short" };
    abbreviations.set(zone, REGIONS.map((region) => new Intl.DateTimeFormat(region, options)));
  }
  const name = (region) => region.formatToParts(at).find((part) => part.type === "timeZoneName").value;
  const names = abbreviations.get(zone).map(name);
  return names.find((each) => !/\d/.test(each)) ?? names[0].replace("GMT", "UTC");
}

function clock(at, zone) {
  const day = (date) => new Intl.DateTimeFormat("en-CA", { timeZone: zone }).format(date);
  const [then, today] = [day(at), day(now())];
  const year = then.slice(0, 4) === today.slice(0, 4) ? {} : { year: "numeric" };
  const named = then === today ? {} : { day: "numeric", month: "short", ...year };
  return format(zone, named).format(at).replace(",", "");
}

// An instant in a sentence of the browser's own: `14:02:11 MST`.
export function stamp(instant) {
  const at = new Date(instant);
  const zone = chosen || OWN;
  return `${clock(at, zone)} ${abbreviation(at, zone)}`;
}

const GRACE = 10; // s past its time, after which nobody knows whether a step was taken
function left(seconds) {
  const s = Math.floor(seconds);
  return s < 3600 ? `in ${Math.floor(s / 60)}:${pad(s % 60)}` : `in ${span(s)}`;
}

// A page that is live would have heard that it came to nothing; one that is not cannot know.
function late(element, at, passed) {
  const { due, over, trying } = element.dataset;
  if (passed < GRACE) return due;
  const said = trying && document.body.dataset.live === "live" ? trying : `${over}: unknown since`;
  return `${said} ${local(element, at)}`;
}

function local(element, at) {
  const own = element.dataset.zone || "UTC";
  const zone = chosen || own;
  const named = element.dataset.time === "named-clock" || clock(at, zone) !== clock(at, own);
  return clock(at, zone) + (named ? ` ${abbreviation(at, zone)}` : "");
}

function words(element, instant) {
  const at = new Date(element.dateTime);
  const passed = (instant - at) / 1000;
  switch (element.dataset.time) {
    case "age":
      return `${span(Math.max(0, passed))} ago`;
    case "lasting":
      return span(Math.max(0, passed));
    case "countdown":
      return passed > -1 ? "now" : left(-passed);
    case "deadline":
      return passed < 0 ? left(-passed) : late(element, at, passed);
    case "stamp":
      return stamp(at);
    default:
      return local(element, at);
  }
}

function show(element, instant) {
  const text = words(element, instant);
  if (element.textContent !== text) element.textContent = text;
}

for (const field of document.querySelectorAll("input[data-own-zone]")) field.value ||= OWN;

// What was written before this computer told its zone.
showAll();

export function showAll(root = document) {
  const instant = now();
  for (const element of root.querySelectorAll("time[data-time]")) show(element, instant);
}

// Makes a time of our own, as the server would have written it.
export function time(kind, iso, zone) {
  const element = document.createElement("time");
  element.dataset.time = kind;
  if (zone) element.dataset.zone = zone;
  set(element, iso);
  return element;
}

function set(element, iso) {
  if (element.dateTime === iso) return;
  element.dateTime = iso;
  element.title = `${iso.replace("T", " ").replace(/\.\d+Z$/, "")} UTC`;
  show(element, now());
}

// Puts another instant into a place that holds a time; `none` is said where there is no instant.
// A time that is there keeps its kind: only what had none is made as `kind`.
export function put(place, kind, iso, zone, none = "–") {
  if (!place) return;
  const old = place.querySelector("time");
  if (iso && old) set(old, iso);
  else place.replaceChildren(iso ? time(kind, iso, zone) : none);
}

setInterval(() => {
  if (!document.hidden) showAll();
}, 1000);
document.addEventListener("visibilitychange", () => document.hidden || showAll());
