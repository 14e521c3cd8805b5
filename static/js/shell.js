// A ranking page without its task, to be filled with another one: the markup is the server's, once.
import { t } from "./words.js";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const BLANK = "__id__"; // stands for a completion's id in the blank

/** The shell of the page `root`: { fill(task) → a new <main>, or null where that task needs a page of its own }. */
export function shellOf(root) {
  const first = JSON.parse(root.querySelector("#task-data").textContent);
  const shell = root.cloneNode(true);
  shell.querySelector("[data-completions]").replaceChildren();
  shell.querySelector("[data-turns]").replaceChildren();
  for (const notice of shell.querySelectorAll(".messages, p.refusal")) notice.remove();

  return {
    fill(task) {
      if (task.kind !== first.kind || task.form?.id !== first.form?.id || task.replaces || !task.urls) return null;
      const fresh = shell.cloneNode(true);
      // Not a cloned script's text: what was parsed as a script stays inert, and its content is data alone.
      const own = { ...task, urls: { ...first.urls, ...task.urls } };
      fresh.querySelector("#task-data").textContent = JSON.stringify(own);
      veil(fresh.querySelector("[data-veil]"), task.categories ?? []);
      const count = task.completions.length;
      fresh.querySelector("h1").textContent =
        task.form.definition.order !== "none" ? t("Rank {count} completions", { count }) : count === 1 ? t("Judge 1 completion") : t("Judge {count} completions", { count });
      fresh.querySelector("[data-turns]").append(...task.messages.map((message) => turn(fresh, message, task.messages.length)));
      const completions = task.completions.map(({ id, text }, index) => completion(fresh, id, text, index, task.completions.length));
      fresh.querySelector("[data-completions]").append(...completions);
      return fresh;
    },
  };
}

const copy = (fresh, name) => fresh.querySelector(`template[data-blank="${name}"]`).content.firstElementChild.cloneNode(true);

/** Over a task with sensitive `categories` the veil lies again, whatever was unveiled on the page before. */
function veil(element, categories) {
  const label = (name) => element.querySelector(`[data-category="${CSS.escape(name)}"]`)?.textContent ?? name;
  element.hidden = !categories.length;
  element.querySelector("[data-veil-names]").textContent = categories.map(label).join(", ");
  element.querySelector("[data-veil-show]").checked = false;
}

function turn(fresh, { role, content }, count) {
  const element = copy(fresh, "turn");
  element.className = `turn turn-${role}`;
  element.querySelector("[data-role]").textContent = { user: t("User"), assistant: t("Assistant"), system: t("System") }[role] ?? role;
  element.querySelector("[data-role]").hidden = count === 1 && role === "user";
  element.querySelector("[data-prose]").textContent = content;
  return element;
}

function completion(fresh, id, text, index, count) {
  const element = copy(fresh, "completion");
  const letter = LETTERS[index];
  for (const part of [element, ...element.querySelectorAll("*")]) {
    for (const attribute of [...part.attributes]) {
      if (attribute.value.includes(BLANK)) attribute.value = attribute.value.replaceAll(BLANK, id);
    }
  }
  element.dataset.letter = letter;
  for (const place of element.querySelectorAll("[data-letter-here]")) place.textContent = letter;
  for (const place of element.querySelectorAll("[data-place]")) place.textContent = t("{place} of {count}", { place: index + 1, count });
  element.querySelector("[data-prose]").textContent = text;
  for (const radio of element.querySelectorAll("[data-scale=rank] input")) if (Number(radio.value) > count) radio.closest("label").remove();
  return element;
}
