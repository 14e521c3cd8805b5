// One answer to look at: digits say what it is, Control+Enter saves, and the letter of notes leads to the note.
import { readKeys, showKeys } from "./keys.js";

function openLabelError(form) {
  const keys = readKeys();
  const { verdict: choices, note } = form.elements;
  showKeys(form, keys);
  const writing = (target) => target.matches("textarea, select, input:not([type=radio])");

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
      return;
    }
    if (event.key === "Escape" && event.target === note) {
      note.blur();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || writing(event.target)) return;
    const choice = /^[1-9]$/.test(event.key) ? choices[Number(event.key) - 1] : null;
    if (choice) {
      choice.checked = true;
      choice.focus({ preventScroll: true }); // a screen reader says it
    } else if (keys.commandOf(event) === "note") {
      note.focus();
    } else {
      return;
    }
    event.preventDefault();
  });
}

for (const form of document.querySelectorAll("[data-label-error]")) openLabelError(form);
