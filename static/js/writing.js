// What the pages on which people write share: keys, the form, and whether the answer can go.
import { readKeys, showKeys } from "./keys.js";
import { layOut } from "./prose.js";
import { openTask, tellState } from "./task.js";

/**
 * Open the page `root` of a written answer.
 *
 * `draft()`, `adopt(draft)` and `lock(on)` are task.js's; `problem()` says what is missing, or ""; `answer()` gives the
 * submit body. `commands` are the page's own, by the names in keys.js, beside those that every page has. `typing(event)`,
 * where a page has it, may take a key pressed anywhere and say so.
 * Returns { task, keys, draw() }; call `start()` once the page can adopt a draft.
 */
export function openWriting(root, { draft, adopt, lock, problem, answer, commands = {}, typing = () => false }) {
  const form = root.querySelector("form.writing");
  const keys = readKeys();
  const task = openTask(root, { draft, adopt, lock: lockPage });
  const all = {
    guidelines: () => root.querySelector("[data-guidelines]")?.click(),
    question: () => task.open("question"),
    flag: () => task.open("flag"),
    skip: () => task.open("skip"),
    keys: () => task.open("keys"),
    ...commands,
  };

  function lockPage(on) {
    lock(on);
    root.toggleAttribute("data-locked", on);
    draw();
  }

  function draw() {
    root.querySelector("[data-missing]").textContent = problem();
    root.querySelector("[data-submit]").disabled = task.isLocked() || problem() !== "";
    tellState(draft());
  }

  function submit() {
    if (problem()) return task.say(problem());
    task.submit(answer());
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  document.addEventListener("keydown", (event) => {
    if (root.querySelector("dialog[open]") || task.isLocked()) return;
    const chord = event.ctrlKey || event.metaKey || event.altKey;
    const inText = event.target.matches("input:not([type=radio], [type=checkbox]), select, textarea");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.altKey) {
      event.preventDefault();
      submit();
    } else if (typing(event)) {
      event.preventDefault();
    } else if (event.key === "Escape" && event.target.matches("textarea")) {
      event.target.blur();
    } else if (!chord && (!inText || event.key.length > 1)) {
      // In a text only keys that write nothing, such as F9.
      const act = all[keys.commandOf(event)];
      if (!act) return;
      event.preventDefault();
      act(event);
    }
  });

  function start() {
    form.noValidate = true;
    showKeys(root, keys);
    for (const piece of root.querySelectorAll("[data-prose]")) layOut(piece);
    root.dataset.live = "";
    task.start();
  }

  return { task, keys, draw, start };
}
