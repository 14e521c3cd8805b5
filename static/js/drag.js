// Dragging with mouse, pen or finger, by pointer events: HTML's own drag and drop knows no touch.
const BEGINS_AT = 6; // pixels: less is a click with an unsteady hand

/**
 * Let things under `root` be dragged onto [data-drop] and [data-insert] elements.
 *
 * `pick(element)` gives { id, ghost: element to show under the pointer } where a drag may begin, else null.
 * `drop(id, place)` is called with the element it was let go on. Escape or letting go elsewhere changes nothing.
 */
export function letDrag(root, { pick, drop }) {
  root.addEventListener("pointerdown", (down) => {
    if (down.button !== 0 || !down.isPrimary) return;
    const picked = pick(down.target);
    if (picked) follow(root, down, picked, drop);
  });
}

function follow(root, down, { id, ghost: original }, drop) {
  let ghost = null;
  let place = null;
  const ending = new AbortController();
  const on = (target, name, act) => target.addEventListener(name, act, { signal: ending.signal });

  function begin() {
    ghost = original.cloneNode(true);
    ghost.className = "chip ghost";
    ghost.removeAttribute("data-chip");
    ghost.setAttribute("aria-hidden", "true");
    ghost.style.width = `${original.offsetWidth}px`;
    document.body.append(ghost);
    root.dataset.dragging = "";
    document.getSelection().removeAllRanges();
  }

  function move(event) {
    if (event.pointerId !== down.pointerId) return;
    if (!ghost) {
      if (Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < BEGINS_AT) return;
      begin();
    }
    event.preventDefault();
    ghost.style.translate = `${event.clientX + 8}px ${event.clientY - ghost.offsetHeight / 2}px`;
    const under = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-insert], [data-drop]") ?? null;
    if (under === place) return;
    place?.removeAttribute("data-over");
    place = under;
    place?.setAttribute("data-over", "");
  }

  function end(event) {
    if (event?.pointerId !== undefined && event.pointerId !== down.pointerId) return;
    ending.abort();
    place?.removeAttribute("data-over");
    delete root.dataset.dragging;
    if (!ghost) return;
    ghost.remove();
    // The click that follows letting go is not a click.
    const swallow = (click) => click.stopPropagation();
    window.addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => window.removeEventListener("click", swallow, { capture: true }));
    if (event?.type === "pointerup" && place) drop(id, place);
  }

  on(window, "pointermove", move);
  on(window, "pointerup", end);
  on(window, "pointercancel", end);
  on(window, "keydown", (event) => event.key === "Escape" && end());
  on(window, "blur", () => end());
}
