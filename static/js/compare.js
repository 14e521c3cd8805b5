// Two completions side by side, the words in which they differ marked when asked for.
import { compareWords } from "./diff.js";
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
    const marked = differences.getAttribute("aria-pressed") === "true" ? compareWords(...shown.map(text)) : null;
    panes.forEach((pane, side) => {
      const id = shown[side];
      pane.querySelector("[data-pane-title]").textContent = title(id);
      const body = pane.querySelector("[data-pane-text]");
      if (marked) body.replaceChildren(...marked[side].map(([words, differs]) => piece(words, differs, side)));
      else {
        body.textContent = text(id);
        layOut(body);
      }
    });
    const tooLong = differences.getAttribute("aria-pressed") === "true" && !marked;
    dialog.querySelector("[data-too-long]").hidden = !tooLong;
    sameButton.setAttribute("aria-pressed", String(isSame(...shown)));
  }

  function piece(words, differs, side) {
    if (!differs) return document.createTextNode(words);
    const mark = document.createElement(side ? "ins" : "del");
    mark.textContent = words;
    return mark;
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
