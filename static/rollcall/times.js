// Keeps every <time data-time> current: ages, spans, countdowns each second, clocks once.
// The words are those of registrations/templatetags/rollcall.py; the title keeps the UTC time.

const pad = (n) => String(n).padStart(2, "0");

export function span(seconds) {
  const s = Math.floor(Math.abs(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${pad(Math.floor((s % 3600) / 60))} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

const formats = new Map();
function format(zone, withDay) {
  const key = `${zone} ${withDay}`;
  if (!formats.has(key)) {
    const options = { timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
    formats.set(key, new Intl.DateTimeFormat("en-GB", withDay ? { ...options, day: "numeric", month: "short" } : options));
  }
  return formats.get(key);
}

const abbreviations = new Map();
function abbreviation(at, zone) {
  if (!abbreviations.has(zone)) {
    abbreviations.set(zone, new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "short" }));
  }
  return abbreviations.get(zone).formatToParts(at).find((part) => part.type === "timeZoneName").value;
}

function clock(at, zone) {
  const day = (date) => new Intl.DateTimeFormat("en-CA", { timeZone: zone }).format(date);
  return format(zone, day(at) !== day(new Date())).format(at).replace(",", "");
}

function words(element, now) {
  const at = new Date(element.dateTime);
  const passed = (now - at) / 1000;
  switch (element.dataset.time) {
    case "age":
      return `${span(Math.max(0, passed))} ago`;
    case "lasting":
      return span(Math.max(0, passed));
    case "countdown": {
      const left = Math.floor(-passed);
      if (left <= 0) return "now";
      return left < 3600 ? `in ${Math.floor(left / 60)}:${pad(left % 60)}` : `in ${span(left)}`;
    }
    default: {
      const zone = element.dataset.zone || "UTC";
      const name = element.dataset.time === "named-clock" ? ` ${abbreviation(at, zone)}` : "";
      return clock(at, zone) + name;
    }
  }
}

function show(element, now) {
  const text = words(element, now);
  if (element.textContent !== text) element.textContent = text;
}

export function showAll(root = document) {
  const now = Date.now();
  for (const element of root.querySelectorAll("time[data-time]")) show(element, now);
}

// Makes a time of our own, as the server would have written it.
export function time(kind, iso, zone) {
  const element = document.createElement("time");
  element.dataset.time = kind;
  element.dataset.zone = zone;
  element.dateTime = iso;
  element.title = `${iso.replace("T", " ").replace(/\.\d+Z$/, "")} UTC`;
  show(element, Date.now());
  return element;
}

// Puts another instant into a place that holds a time; `none` is said where there is no instant.
export function put(place, kind, iso, zone, none = "–") {
  if (!place) return;
  const old = place.querySelector("time");
  if (iso && old && old.dateTime === iso) return;
  place.replaceChildren(iso ? time(kind, iso, zone) : none);
}

setInterval(() => {
  if (!document.hidden) showAll();
}, 1000);
document.addEventListener("visibilitychange", () => document.hidden || showAll());
