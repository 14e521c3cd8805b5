// The page on which a labeler writes the ideal answer.
import { openEditor } from "./editor.js";
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
  const page = openWriting(root, {
    draft: () => ({ text: editor.value, pasted: editor.pasted }),
    adopt,
    lock: editor.lock,
    problem: () => (editor.blank ? t("Write an answer first.") : ""),
    // To the byte: an answer may begin with a space or end with an empty line.
    answer: () => ({ text: editor.value, pasted: editor.pasted }),
    commands: { preview: () => editor.preview() },
  });

  function adopt(draft) {
    const from = draft.text === undefined ? (page.task.data.answer ?? {}) : draft;
    editor.set(from.text ?? "", from.pasted ?? 0);
    page.draw();
  }

  page.start();
  editor.focus();
}

for (const root of document.querySelectorAll("[data-demonstration]")) openDemonstration(root);
