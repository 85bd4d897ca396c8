// The live fleet on the page: what the socket says becomes rows, tiles, lanes and the list of
// changes. Rows are patched where they stand and never sorted anew under the cursor.

import * as live from "./live.js";
import { put, span, time } from "./times.js";

const sprite = document.querySelector(".rail use")?.getAttribute("href").split("#")[0];
const ICONS = {
  primary: "circle-check", secondary: "switch-horizontal", fallback: "lifebuoy", registering: "loader-2",
  unregistered: "phone-off", rejected: "shield-x", held: "hand-stop", unknown: "help-circle",
  disabled: "circle-off", silent: "ear-off", up: "activity-heartbeat",
};
const WORDS = {
  primary: "On primary", secondary: "On secondary", fallback: "On fallback", registering: "Registering",
  unregistered: "Unregistered", rejected: "Rejected", held: "Held back", unknown: "Unknown", disabled: "Off",
};
const GONE = "Not there any more";
const ORDER = [
  "primary", "primary_silent", "secondary", "secondary_silent", "fallback", "fallback_silent",
  "registering", "held", "unregistered", "rejected", "unknown", "disabled",
];
const ALWAYS = new Set(["primary", "secondary", "fallback", "registering", "unregistered", "rejected"]);

const word = (key) => (key.endsWith("_silent") ? `${WORDS[key.slice(0, -7)]}, server silent` : WORDS[key] || key);
const number = (n) => n.toLocaleString("en-US");
const iconOf = (key) => ICONS[key.endsWith("_silent") ? "silent" : key] || "help-circle";

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon state-icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${sprite}#${name}`);
  svg.append(use);
  return svg;
}

function setIcon(place, key) {
  place.querySelector(".state-icon use")?.setAttribute("href", `${sprite}#${iconOf(key)}`);
}

function setText(place, text) {
  if (place && place.textContent !== text) place.textContent = text;
}

function chip(key, words, className = "chip") {
  const made = element("span", className, icon(iconOf(key)), element("span", "", words));
  made.dataset.state = key;
  return made;
}

// ---- Rows ------------------------------------------------------------------------------------

// Plain fields (data-field) are live.js's; here are those that need an icon, a time or a sentence.
function showRow(row, { before, moved, element: place }) {
  const zone = place.dataset.zone || "UTC";
  const key = row.silent ? `${row.state}_silent` : row.state;
  const part = (name) => place.querySelector(`[data-part="${name}"]`);
  const state = part("state");
  if (state && state.firstElementChild?.dataset.state !== key) state.replaceChildren(chip(key, word(key)));
  const assumed = part("assumed");
  if (assumed) {
    setText(assumed, row.assumed_word);
    assumed.hidden = !row.assumed_word;
  }
  put(part("since"), "lasting", row.since, zone);
  put(part("next"), "countdown", row.state === "disabled" ? null : row.next_attempt_at, zone);
  put(part("expires"), "countdown", row.expires_at, zone, "No binding");
  put(part("heard"), "age", row.heard_at, zone, "never");
}

function showGone(_id, place) {
  const part = (name) => place.querySelector(`[data-part="${name}"]`);
  part("state")?.replaceChildren(chip("unknown", GONE));
  const situation = place.querySelector(".situation");
  if (situation) {
    situation.dataset.state = "unknown";
    setIcon(situation, "unknown");
    setText(situation.querySelector("[data-field=state_word]"), GONE);
  }
  for (const name of ["since", "next", "expires", "heard"]) put(part(name), "age", null);
}

// ---- Summary ---------------------------------------------------------------------------------

function showBar(svg, states, total, keys = ORDER) {
  let at = 0;
  for (const rect of svg.querySelectorAll("rect")) {
    const key = rect.dataset.state;
    const width = total && keys.includes(key) ? (100 * (states[key] || 0)) / total : 0;
    rect.setAttribute("x", at.toFixed(3));
    rect.setAttribute("width", width.toFixed(3));
    at += width;
  }
}

function showStates(summary) {
  const section = document.querySelector("#states");
  if (!section) return;
  showBar(section.querySelector(".bar"), summary.states, summary.total);
  for (const tile of section.querySelectorAll("[data-tile]")) {
    const count = summary.states[tile.dataset.tile] || 0;
    setText(tile.querySelector(".tile-count"), number(count));
    tile.classList.toggle("none", !count);
    tile.hidden = !count && !ALWAYS.has(tile.dataset.tile);
  }
}

// A server's own page: who is on it by state, each leading to those in the list.
function showStatesOn(server, place) {
  const links = ORDER.filter((key) => server.states[key]).map((key) => {
    const link = element("a", "", chip(key, `${number(server.states[key])} ${word(key).toLowerCase()}`, "chip bare"));
    const plain = key.replace("_silent", "");
    const silent = `${plain}_silent` in server.states ? `&silent=${key !== plain}` : "";
    link.href = `${place.dataset.list}&state=${plain}${silent}`;
    return link;
  });
  place.replaceChildren(...(links.length ? links : ["No handset is on it."]));
}

function showLane(server, total) {
  for (const lane of document.querySelectorAll(`.lane[data-server-id="${server.id}"]`)) {
    showBar(lane.querySelector(".bar"), server.states, total, ORDER.slice(0, 6));
    setText(lane.querySelector("[data-lane-held]"), number(server.held));
    const trouble = lane.querySelector("[data-lane-trouble]");
    setText(trouble, server.trouble);
    trouble.hidden = !server.trouble;
    lane.querySelector(".lane-health").replaceChildren(chip(server.condition, server.word));
  }
  for (const place of document.querySelectorAll(`[data-on-server="${server.id}"]`)) showStatesOn(server, place);
  for (const old of document.querySelectorAll(`[data-server-row="${server.id}"] .chip`)) old.replaceWith(chip(server.condition, server.word));
}

function showGroup(group) {
  for (const card of document.querySelectorAll(`[data-group-id="${group.id}"]`)) {
    setText(card.querySelector("[data-group-total]"), number(group.total));
    const hold = card.querySelector("[data-hold]");
    setText(hold.lastElementChild, group.hold);
    hold.hidden = !group.hold;
    const foot = card.querySelector("[data-homeless]");
    const without = ORDER.slice(6).filter((key) => group.states[key]);
    foot.hidden = !without.length;
    foot.replaceChildren(
      ...without.map((key) => {
        const link = element("a", "", chip(key, `${number(group.states[key])} ${word(key).toLowerCase()}`, "chip bare"));
        link.href = `/handsets/?group=${group.id}&state=${key}`;
        return link;
      }),
    );
  }
  for (const server of group.servers) showLane(server, group.total);
}

// Sites whose network is suspected: nothing moves there, and every page of the fleet says so.
function showSuspected(sentences) {
  const place = document.querySelector("#suspected");
  if (!place || place.dataset.said === sentences.join()) return;
  place.dataset.said = sentences.join();
  place.replaceChildren(
    ...sentences.map((sentence) => {
      const notice = element("div", "notice", icon("plug-connected-x"), element("span", "", sentence));
      notice.dataset.state = "unregistered";
      return notice;
    }),
  );
}

function showSummary(summary) {
  showSuspected(summary.suspected_words);
  setText(document.querySelector("[data-summary=headline]"), summary.headline);
  put(document.querySelector("[data-summary=as_of]"), "age", summary.as_of, "UTC");
  showStates(summary);
  summary.groups.forEach(showGroup);
}

// ---- Changes ---------------------------------------------------------------------------------

function took(seconds) {
  if (seconds < 0.1) return `${Math.round(seconds * 1000)} ms`;
  return seconds < 10 ? `${seconds.toFixed(1)} s` : span(seconds);
}

function sentence(change) {
  const parts = [change.cause_word];
  if (change.from.server && change.from.server !== change.to.server) parts.push(` from ${change.from.server}`);
  if (change.seconds !== null) {
    parts.push(`, took ${took(change.seconds)}`);
  }
  if (change.reason) parts.push(`. ${change.reason}`);
  if (change.asked_by) parts.push(` Asked by ${change.asked_by}.`);
  return parts.join("");
}

// Times of several zones side by side carry their zone's name.
const mixed = (zones) => new Set(Object.values(zones)).size > 1;

function changeItem(change, zones, nameless) {
  const where = change.to.server ? `, ${change.to.server}` : "";
  const what = element("span", nameless ? "strong" : "soft", `${word(change.to.state)}${where}`);
  const link = element("a", "strong link", change.name || change.extension);
  link.href = `/handsets/mac/${change.mac}/`;
  const state = element("span", "", icon(iconOf(change.to.state)));
  state.dataset.state = change.to.state;
  const body = element("div", "change-what", element("div", "", ...(nameless ? [] : [link, " "]), what), element("div", "sub", sentence(change)));
  const item = element("li", "change", state, body, time(mixed(zones) ? "named-clock" : "clock", change.at, zones[change.site] || "UTC"));
  item.dataset.transitionId = change.id;
  return item;
}

function showChanges(changes, { fresh: arriving }) {
  const feed = document.querySelector("[data-live-feed]");
  if (!feed) return;
  const { liveFeed: about, limit } = feed.dataset;
  const zones = JSON.parse(document.querySelector("#zones")?.textContent || "{}");
  const known = new Set([...feed.children].map((item) => item.dataset.transitionId));
  const fresh = changes
    .filter((c) => !known.has(String(c.id)) && (about === "all" || c.group === about || c.mac === about))
    .sort((a, b) => a.at.localeCompare(b.at) || a.id - b.id)
    .slice(-Number(limit));
  for (const change of fresh) {
    const item = changeItem(change, zones, feed.dataset.nameless !== undefined);
    const at = Date.parse(change.at);
    const older = [...feed.children].find((other) => Date.parse(other.querySelector("time").dateTime) <= at);
    feed.insertBefore(item, older ?? null);
    if (arriving) item.classList.add("arrive");
  }
  while (feed.children.length > Number(limit)) feed.lastElementChild.remove();
  if (feed.children.length) document.querySelector("#no-changes")?.remove();
}

if (document.querySelector("#live-state")) {
  const feed = document.querySelector("[data-live-feed]");
  live.watch(
    { summary: true, history: Boolean(feed) },
    {
      row: showRow,
      gone: showGone,
      summary: showSummary,
      transitions: showChanges,
      heartbeat: ({ read_at: at }) => at && put(document.querySelector("[data-summary=as_of]"), "age", at, "UTC"),
    },
  );
}
