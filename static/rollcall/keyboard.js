// Keyboard: `/` search, `?` help, `g` and a letter for pages, arrows, Enter and x in tables.

const PAGES = { o: "/", i: "/incidents/", h: "/handsets/", g: "/groups/", s: "/readiness/", t: "/history/", r: "/reports/", j: "/jobs/" };
let awaited = 0;

const typing = (target) =>
  target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) && target.type !== "checkbox";

function move(step) {
  const rows = [...document.querySelectorAll("[data-rows] tbody tr")].filter((row) => row.querySelector("[data-open-row]"));
  if (!rows.length) return false;
  const at = rows.indexOf(document.activeElement?.closest("tr"));
  const next = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step))];
  next.querySelector("[data-open-row]").focus();
  return true;
}

function press(key) {
  if (Date.now() < awaited && PAGES[key]) {
    location.assign(PAGES[key]);
    return true;
  }
  awaited = 0;
  switch (key) {
    case "/": {
      const fields = [...document.querySelectorAll("[data-shortcut='/']")];
      const field = fields.find((f) => f.closest("main")) || fields[0];
      field?.focus();
      field?.select();
      return Boolean(field);
    }
    case "?":
      document.querySelector("#shortcuts")?.showModal();
      return true;
    case "g":
      awaited = Date.now() + 1200;
      return true;
    case "ArrowDown":
      return move(1);
    case "ArrowUp":
      return move(-1);
    case "a": {
      const apply = document.querySelector("#changes-bar:not([hidden]) [data-apply-changes]");
      apply?.click();
      return Boolean(apply);
    }
    case "x": {
      const box = document.activeElement?.closest("tr")?.querySelector("input[type=checkbox]");
      box?.click();
      return Boolean(box);
    }
    default:
      return false;
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (typing(event.target)) {
    if (event.key === "Escape") event.target.blur();
    if (event.key === "ArrowDown" && event.target.type === "search" && move(1)) event.preventDefault();
    return;
  }
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
    return;
  }
  if (press(event.key)) event.preventDefault();
});
