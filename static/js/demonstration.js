// The page on which a labeler writes the ideal answer.
import { readKeys, showKeys } from "./keys.js";
import { layOut } from "./prose.js";
import { openTask } from "./task.js";

/** Words as the labeler's language cuts them; scripts without spaces count too. */
const cutter = typeof Intl.Segmenter === "function" ? new Intl.Segmenter(undefined, { granularity: "word" }) : null;

function countWords(text) {
  if (!cutter) return text.split(/\s+/).filter(Boolean).length;
  let words = 0;
  for (const piece of cutter.segment(text)) if (piece.isWordLike) words += 1;
  return words;
}

function openDemonstration(root) {
  const form = root.querySelector("form.writing");
  const text = form.elements.text;
  const task = openTask(root, { draft: () => ({ text: text.value }), adopt, lock });
  const keys = readKeys();
  const commands = {
    guidelines: () => root.querySelector("[data-guidelines]")?.click(),
    question: () => task.open("question"),
    skip: () => task.open("skip"),
    keys: () => task.open("keys"),
  };

  function adopt(draft) {
    const value = draft.text ?? task.data.answer?.text ?? "";
    if (text.value !== value) text.value = value;
    draw();
  }

  function lock(on) {
    text.readOnly = on;
    root.toggleAttribute("data-locked", on);
    draw();
  }

  const isBlank = () => text.value.trim() === "";

  function draw() {
    const words = countWords(text.value);
    root.querySelector("[data-count]").textContent = `${words} ${words === 1 ? "word" : "words"}`;
    root.querySelector("[data-missing]").textContent = isBlank() ? "Write an answer first." : "";
    root.querySelector("[data-submit]").disabled = task.isLocked() || isBlank();
  }

  function submit() {
    if (isBlank()) return task.say("Write an answer first.");
    // To the byte: an answer may begin with a space or end with an empty line.
    task.submit({ text: text.value });
  }

  text.addEventListener("input", () => {
    draw();
    task.changed();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  document.addEventListener("keydown", (event) => {
    if (root.querySelector("dialog[open]") || task.isLocked()) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      submit();
    } else if (event.target === text) {
      if (event.key === "Escape") text.blur();
    } else if (!event.ctrlKey && !event.metaKey && !event.altKey && !event.target.matches("input, select, textarea")) {
      const act = commands[keys.commandOf(event)];
      if (!act) return;
      event.preventDefault();
      act();
    }
  });

  form.noValidate = true;
  showKeys(root, keys);
  root.dataset.live = "";
  for (const piece of root.querySelectorAll("[data-prose]")) layOut(piece);
  task.start();
  text.focus();
}

for (const root of document.querySelectorAll("[data-demonstration]")) openDemonstration(root);
