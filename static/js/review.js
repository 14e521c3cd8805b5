// The page on which a labeler reviews what another wrote: accept it, edit it, or send it back.
import { openEditor } from "./editor.js";
import { showDifferences } from "./marked.js";
import { layOut } from "./prose.js";
import { t } from "./words.js";
import { openWriting } from "./writing.js";

const VERDICTS = ["accept", "edit", "send_back"]; // by their digits, from 1

function openReview(root) {
  const form = root.querySelector("form.writing");
  const { verdict: choices, note } = form.elements;
  const part = (name) => root.querySelector(`[data-${name}]`);
  const all = (name) => [...root.querySelectorAll(`[data-${name}]`)];
  // One of each for every turn of a dialogue or part of a prompt, else just one.
  const [written, edited, boxes] = [all("written"), all("edited"), all("editor")];
  const differences = part("differences");
  const editors = boxes.map((box) =>
    openEditor(box.querySelector("textarea"), {
      changed: () => {
        page.draw();
        page.task.changed();
      },
      say: (text) => page.task.say(text),
    }),
  );
  const page = openWriting(root, {
    draft: () => ({ verdict: choices.value, ...edit(), note: note.value }),
    adopt,
    lock,
    problem,
    answer: () => ({ verdict: choices.value, ...(choices.value === "edit" && edit()), note: note.value }),
    commands: {
      preview: () => choices.value === "edit" && !marking() && editors[at()].preview(),
      compare: () => choices.value === "edit" && mark(!marking()),
      note: () => note.focus(),
    },
    typing,
  });
  const textsOf = ({ turns = [], text }) => [...turns.map(({ content }) => content), text];
  const original = textsOf(page.task.data.written);
  const roles = page.task.data.written.turns.map(({ role }) => role);
  // As a field keeps it: every line end is one sign.
  const unchanged = original.map((text) => text.replace(/\r\n?/g, "\n"));

  /** The answer as it is edited, in the shape of a written one. */
  function edit() {
    const texts = editors.map((editor) => editor.value);
    const pasted = editors.reduce((sum, editor) => sum + editor.pasted, 0);
    return { turns: roles.map((role, index) => ({ role, content: texts[index] })), text: texts.at(-1), pasted };
  }

  /** The turn that has the focus, else the first. */
  const at = () => Math.max(0, boxes.findIndex((box) => box.contains(document.activeElement)));

  function adopt(draft) {
    const from = draft.verdict === undefined ? (page.task.data.answer ?? {}) : draft;
    choices.value = from.verdict ?? "";
    const texts = typeof from.text === "string" ? textsOf(from) : original;
    // Kept as one number, and given back to the fields as far as it reaches.
    let left = from.pasted ?? 0;
    editors.forEach((editor, index) => {
      const text = texts[index] ?? original[index];
      const share = Math.min(left, [...text].length);
      left -= share;
      editor.set(text, share);
    });
    note.value = from.note ?? "";
    mark(false);
    show();
  }

  function lock(on) {
    for (const editor of editors) editor.lock(on);
    note.readOnly = on;
    for (const choice of choices) choice.disabled = on;
  }

  function problem() {
    const verdict = choices.value;
    if (!verdict) return t("Accept it, edit it, or send it back.");
    const blank = verdict === "edit" ? editors.findIndex((editor) => editor.blank) : -1;
    if (blank >= 0 && editors.length === 1) return t("Your edit leaves nothing; send it back instead.");
    if (blank >= 0) return t("Part {number} is empty; write it, or send it back instead.", { number: blank + 1 });
    if (verdict === "edit" && editors.every((editor, index) => editor.value === unchanged[index])) return t("You have changed nothing yet.");
    if (verdict === "send_back" && !note.value.trim()) return t("Say what is to be changed; the author reads it.");
    return "";
  }

  // ---- what the verdict asks for

  function show() {
    const verdict = choices.value;
    part("edit").hidden = verdict !== "edit";
    part("texts").dataset.verdict = verdict;
    if (verdict !== "edit") mark(false);
    note.required = verdict === "send_back";
    part("note-wanted").hidden = verdict !== "send_back";
    part("note-optional").hidden = verdict === "send_back";
    page.draw();
  }

  function choose(verdict) {
    choices.value = verdict;
    chosen();
  }

  function chosen() {
    const verdict = choices.value;
    show();
    page.task.changed();
    const words = { accept: t("Accept."), edit: t("Edit."), send_back: t("Send back.") }[verdict];
    page.task.say([words, problem()].filter(Boolean).join(" "));
    if (verdict === "edit") editors[0].focus();
    else if (verdict === "send_back") note.focus();
  }

  /** Digits choose, wherever no text is written. */
  function typing(event) {
    const verdict = VERDICTS[Number(event.key) - 1];
    const chord = event.ctrlKey || event.metaKey || event.altKey;
    if (!verdict || chord || event.target.matches("textarea, select, input:not([type=radio])")) return false;
    choose(verdict);
    return true;
  }

  // ---- the words that differ

  const marking = () => differences.getAttribute("aria-pressed") === "true";

  function mark(on) {
    const was = marking();
    const left = written.map((pane, index) => on && showDifferences([pane, edited[index]], [unchanged[index], editors[index].value]));
    const shown = left.every(Boolean);
    if (!shown) {
      written.forEach((pane, index) => {
        pane.textContent = original[index];
        layOut(pane);
        edited[index].replaceChildren();
      });
    }
    part("too-long").hidden = !on || shown;
    if (shown === was) return;
    differences.setAttribute("aria-pressed", String(shown));
    const back = edited.includes(document.activeElement) || document.activeElement === document.body;
    for (const pane of edited) pane.hidden = !shown;
    for (const box of boxes) box.hidden = shown;
    root.querySelector("#edit-title").classList.toggle("visually-hidden", !shown);
    if (shown) edited[0].focus();
    else if (back) editors[0].focus();
    page.task.say(shown ? t("Differences marked.") : t("Differences not marked."));
  }

  differences.addEventListener("click", () => mark(!marking()));
  for (const choice of choices) choice.addEventListener("change", chosen);
  note.addEventListener("input", () => {
    page.draw();
    page.task.changed();
  });

  page.start();
  if (choices.value === "edit") editors[0].focus();
  else if (choices.value === "send_back") note.focus();
  else written[0].focus();
}

for (const root of document.querySelectorAll("[data-review]")) openReview(root);
