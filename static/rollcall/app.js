// What every page needs: times, keyboard, menus, dialogs, theme, and the live fleet.

import "./times.js";
import "./keyboard.js";
import "./selection.js";
import "./fleet.js";
import "./lanes.js";
import "./moves.js";
import "./places.js";
import "./handset.js";
import "./trouble.js";
import "./ages.js";

function markTheme() {
  const chosen = document.documentElement.dataset.themeChoice;
  for (const button of document.querySelectorAll("button[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === chosen));
  }
}

document.addEventListener("click", (event) => {
  const theme = event.target.closest("button[data-theme-choice]");
  if (theme) {
    localStorage.setItem("rollcall.theme", theme.dataset.themeChoice);
    dispatchEvent(new Event("rollcall:theme"));
    markTheme();
  }
  const opener = event.target.closest("[data-open]");
  if (opener) document.querySelector(opener.dataset.open).showModal();
  const closer = event.target.closest("dialog [data-close]");
  if (closer) {
    event.preventDefault();
    closer.closest("dialog").close();
  }
  if (event.target instanceof HTMLDialogElement) event.target.close();
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target) || theme) menu.open = false;
  }
});

// A filter's button says how many of its choices are on; the form itself is never swapped.
document.addEventListener("change", (event) => {
  const menu = event.target.closest("#filters details.menu");
  if (!menu) return;
  const on = [...menu.querySelectorAll("input")].filter((i) => (i.type === "checkbox" ? i.checked : i.value)).length;
  const count = menu.querySelector(".filter-count");
  count.hidden = !on;
  count.textContent = on;
});

// What is filled in within an option chooses that option.
document.addEventListener("input", (event) => {
  const option = event.target.closest(".options > label")?.querySelector("input[type=radio]");
  if (option) option.checked = true;
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id === "dialog") event.detail.target.showModal();
});
document.addEventListener("htmx:beforeHistorySave", () => {
  for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
});
markTheme();
