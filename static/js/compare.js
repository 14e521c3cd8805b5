// Two completions side by side, the words in which they differ marked when asked for.
import { showDifferences } from "./marked.js";
import { layOut } from "./prose.js";
import { t } from "./words.js";

/**
 * The dialog `dialog` over the completions of a task. `text(id)`, `title(id)` give what stands in a pane; `ids()` the
 * completions in the order of the step; `isSame(a, b)` and `same(a, b)` read and change what the labeler said of two.
 * Returns { open(left, right), redraw() }.
 */
export function comparing(dialog, { text, title, ids, isSame, same, say, say_where }) {
  const panes = [...dialog.querySelectorAll("[data-pane]")];
  const differences = dialog.querySelector("[data-differences]");
  const sameButton = dialog.querySelector("[data-same]");
  const shown = [null, null];

  function draw() {
    const asked = differences.getAttribute("aria-pressed") === "true";
    const bodies = panes.map((pane) => pane.querySelector("[data-pane-text]"));
    const marked = asked && showDifferences(bodies, shown.map(text));
    panes.forEach((pane, side) => {
      pane.querySelector("[data-pane-title]").textContent = title(shown[side]);
      if (marked) return;
      bodies[side].textContent = text(shown[side]);
      layOut(bodies[side]);
    });
    dialog.querySelector("[data-too-long]").hidden = !asked || marked;
    sameButton.setAttribute("aria-pressed", String(isSame(...shown)));
  }

  /** Another completion on this side: the next by `by` that the other side does not show. */
  function turn(side, by) {
    const list = ids().filter((id) => id !== shown[1 - side]);
    const at = list.indexOf(shown[side]) + by;
    shown[side] = list[(at + list.length) % list.length];
    draw();
    panes[side].querySelector("[data-pane-text]").scrollTop = 0;
    say(say_where(...shown));
  }

  function toggleDifferences() {
    const on = differences.getAttribute("aria-pressed") !== "true";
    differences.setAttribute("aria-pressed", String(on));
    draw();
    say(on ? t("Differences marked.") : t("Differences not marked."));
  }

  function toggleSame() {
    same(...shown);
    draw();
  }

  differences.addEventListener("click", toggleDifferences);
  sameButton.addEventListener("click", toggleSame);
  panes.forEach((pane, side) => {
    for (const button of pane.querySelectorAll("[data-turn]")) {
      button.addEventListener("click", () => turn(side, Number(button.dataset.turn)));
    }
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) turn(event.shiftKey ? 0 : 1, by);
    else if (event.key === "d") toggleDifferences();
    else if (event.key === "z") toggleSame();
    else return;
    event.preventDefault();
  });

  return {
    open(left, right) {
      [shown[0], shown[1]] = [left, right];
      draw();
      dialog.showModal();
      say(say_where(left, right));
    },
  };
}
