// Selecting rows: "these 12" are the ticked ones; "all 812 that match" is the filter itself, which
// the server applies again when the order is given.

let last = null;

const form = () => document.querySelector("#selection");
const boxes = () => [...document.querySelectorAll("#selection [name=registrations]")];

// `all` lives on the form, which a new filter replaces: "all that match" never outlives its filter.
function show() {
  const own = form();
  const bar = own?.querySelector("[data-selected-bar]");
  if (!bar) return;
  const all = own.dataset.all === "true";
  const rows = boxes();
  const ticked = rows.filter((box) => box.checked);
  const whole = document.querySelector("[data-match-count]")?.textContent || "0";
  const page = own.querySelector("[data-select-page]");
  if (page) {
    page.checked = rows.length > 0 && ticked.length === rows.length;
    page.indeterminate = ticked.length > 0 && !page.checked;
  }
  bar.hidden = !ticked.length;
  bar.querySelector("[data-selected-count]").textContent = all ? `All ${whole}` : ticked.length;
  const more = bar.querySelector("[data-select-match]");
  if (more) more.hidden = all || !page?.checked;
  for (const field of bar.querySelectorAll("[data-match-field]")) {
    field.disabled = !all;
    field.value = !all ? "" : field.name === "match" ? own.dataset.match : whole;
  }
}

// The list was drawn anew with the same filter: who was ticked and is still there stays so.
export function keepSelected(work) {
  const ticked = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
  const all = form()?.dataset.all;
  return work().then(() => {
    for (const box of boxes()) box.checked = ticked.has(box.value);
    if (form() && all) form().dataset.all = all;
    show();
  });
}

document.addEventListener("click", (event) => {
  const box = event.target.closest("#selection [name=registrations]");
  if (box || event.target.matches("[data-select-page]") || event.target.closest("[data-select-none]")) {
    form().dataset.all = "false";
  }
  if (box) {
    const rows = boxes();
    if (event.shiftKey && last && rows.includes(last)) {
      const [from, to] = [rows.indexOf(last), rows.indexOf(box)].sort((a, b) => a - b);
      for (const other of rows.slice(from, to + 1)) other.checked = box.checked;
    }
    last = box;
    show();
  } else if (event.target.matches("[data-select-page]")) {
    for (const other of boxes()) other.checked = event.target.checked;
    show();
  } else if (event.target.closest("[data-select-match]")) {
    form().dataset.all = "true";
    show();
  } else if (event.target.closest("[data-select-none]")) {
    for (const other of boxes()) other.checked = false;
    show();
  }
});
document.addEventListener("htmx:configRequest", (event) => {
  // "All that match" is said by the filter: the ticked rows of this page would only be a part.
  if (event.target.closest?.("#selection") && event.detail.parameters.match !== undefined) {
    event.detail.parameters.delete?.("registrations") ?? delete event.detail.parameters.registrations;
  }
});
document.addEventListener("htmx:afterSettle", () => show());
show();
