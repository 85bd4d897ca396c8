// Servers are dragged to their place by the handle; the form then says the whole order. The buttons
// beside it say the same without dragging.

let row = null;
let before = "";
const list = () => document.querySelector("[data-order]");
const order = () => [...list().querySelectorAll("[data-place]")].map((place) => place.dataset.place).join();

function restore() {
  for (const id of before ? before.split(",") : []) list()?.append(list().querySelector(`[data-place="${id}"]`) ?? "");
}

function end(isMeant) {
  if (!row) return;
  row.classList.remove("dragged");
  row = null;
  if (!isMeant) restore();
  else if (order() !== before) {
    const field = list().querySelector("[data-dragged]");
    field.disabled = false;
    field.value = order();
    list().requestSubmit();
    field.disabled = true;
  }
}

document.addEventListener("pointerdown", (event) => {
  const handle = event.target.closest("[data-drag]");
  if (!handle || event.button) return;
  event.preventDefault();
  handle.setPointerCapture(event.pointerId);
  before = order();
  row = handle.closest("[data-place]");
  row.classList.add("dragged");
});
document.addEventListener("pointermove", (event) => {
  if (!row) return;
  const over = [...list().querySelectorAll("[data-place]")].find((other) => {
    const { top, bottom } = other.getBoundingClientRect();
    return other !== row && event.clientY > top && event.clientY < bottom;
  });
  if (over) over[over.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_FOLLOWING ? "before" : "after"](row);
});
document.addEventListener("pointerup", () => end(true));
document.addEventListener("pointercancel", () => end(false));
document.addEventListener("keydown", (event) => event.key === "Escape" && end(false));
// Who was asked about another primary and left the order sees it as it is.
document.addEventListener("close", restore, true);
