// The page on which a labeler writes the ideal answer.
import { openEditor } from "./editor.js";
import { openSuggestion } from "./suggestion.js";
import { t } from "./words.js";
import { openWriting } from "./writing.js";

function openDemonstration(root) {
  const editor = openEditor(root.querySelector("form.writing").elements.text, {
    changed: () => {
      page.draw();
      page.task.changed();
    },
    say: (text) => page.task.say(text),
  });
  const suggestion = openSuggestion(root, { editor, task: () => page.task });
  const current = () => ({ text: editor.value, pasted: editor.pasted, suggestions: suggestion.used });
  const page = openWriting(root, {
    draft: current,
    adopt,
    lock: (on) => {
      editor.lock(on);
      suggestion.lock(on);
    },
    problem: () => (editor.blank ? t("Write an answer first.") : ""),
    // To the byte: an answer may begin with a space or end with an empty line.
    answer: current,
    commands: { preview: () => editor.preview(), ...suggestion.commands },
  });

  function adopt(draft) {
    const from = draft.text === undefined ? (page.task.data.answer ?? {}) : draft;
    editor.set(from.text ?? "", from.pasted ?? 0);
    suggestion.adopt(from.suggestions);
    page.draw();
  }

  page.start();
  suggestion.start();
  editor.focus();
}

for (const root of document.querySelectorAll("[data-demonstration]")) openDemonstration(root);
