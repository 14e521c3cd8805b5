// The page on which a labeler writes both sides of a dialogue that goes on from the prompt. The turns alternate, so that
// a turn's place says whose it is. One of them is in the editor, mostly the last; the others are shown to be read.
import { openEditor } from "./editor.js";
import { layOut } from "./prose.js";
import { openSuggestion } from "./suggestion.js";
import { t } from "./words.js";
import { openWriting } from "./writing.js";

const blank = () => ({ content: "", pasted: 0 });
const isBlank = (turn) => turn.content.trim() === "";

function openDialogue(root) {
  const { first } = root.dataset;
  const mostTurns = Number(root.dataset.mostTurns);
  const mostCharacters = Number(root.dataset.mostCharacters);
  const form = root.querySelector("form.writing");
  const part = (name) => form.querySelector(`[data-${name}]`);
  const list = part("turns");
  const template = root.querySelector("template[data-blank=turn]").content.firstElementChild;

  let turns = [blank()]; // { content, pasted: characters of it that were pasted }
  let at = 0; // the turn in the editor
  let pastedBefore = 0; // in the answer that is corrected, of which nobody knows the turn
  // States before and after a step: { turns, at }. A step adds, opens or removes a turn; the text has the browser's undo.
  let done = [];
  let undone = [];

  const editor = openEditor(form.elements.text, {
    changed: () => {
      turns[at] = { content: editor.value, pasted: editor.pasted };
      draw();
      page.task.changed();
    },
    say: (text) => page.task.say(text),
  });
  const suggestion = openSuggestion(root, {
    editor,
    task: () => page.task,
    turns: () => turns.slice(0, at).map(({ content }, index) => ({ role: speaker(index), content })),
    mine: () => speaker(at) === "assistant",
  });
  const page = openWriting(root, {
    draft: () => ({ turns, at, pasted: pastedBefore, suggestions: suggestion.used }),
    adopt,
    lock: (on) => {
      editor.lock(on);
      suggestion.lock(on);
      list.inert = on;
      draw();
    },
    problem,
    answer,
    commands: { ...suggestion.commands, preview: () => editor.preview(), undo: (event) => (event.shiftKey ? redo() : undo()) },
    typing: (event) => {
      if (event.key !== "Enter" || !event.altKey || event.ctrlKey || event.metaKey) return false;
      add();
      return true;
    },
  });

  // ---- what is written

  const speaker = (index) => ((index % 2 === 0) === (first === "assistant") ? "assistant" : "user");
  const name = (index) => (speaker(index) === "assistant" ? t("Assistant") : t("User"));

  /** The turns but for blank ones at the end: those are not written yet. */
  function written() {
    const last = turns.findLastIndex((turn) => !isBlank(turn));
    return turns.slice(0, last + 1);
  }

  function problem() {
    const all = written();
    const empty = all.findIndex(isBlank);
    if (!all.length) return t("Write the first turn.");
    if (empty >= 0) return t("Turn {number} is empty: write it, or remove it.", { number: empty + 1 });
    if (speaker(all.length - 1) === "user") return t("Answer as the assistant: a dialogue ends with its turn.");
    if (all.length < 2) return t("Add a turn of the user, and answer it.");
    const units = all.reduce((sum, { content }) => sum + content.length, 0);
    const count = units > mostCharacters ? all.reduce((sum, { content }) => sum + [...content].length, 0) : units;
    return count > mostCharacters ? t("The dialogue has {count} characters; at most {most} are kept.", { count, most: mostCharacters }) : "";
  }

  function answer() {
    const all = written();
    return {
      turns: all.slice(0, -1).map(({ content }, index) => ({ role: speaker(index), content })),
      text: all.at(-1).content,
      pasted: all.reduce((sum, { pasted }) => sum + pasted, pastedBefore),
      suggestions: suggestion.used,
    };
  }

  function adopt(draft) {
    const { answer } = page.task.data;
    const good = Array.isArray(draft.turns) && draft.turns.length > 0 && draft.turns.every((turn) => typeof turn?.content === "string");
    if (good && draft.turns[draft.at]) {
      turns = draft.turns.map(({ content, pasted = 0 }) => ({ content, pasted }));
      at = draft.at;
      pastedBefore = draft.pasted ?? 0;
    } else if (answer) {
      turns = [...answer.turns.map(({ content }) => content), answer.text].map((content) => ({ content, pasted: 0 }));
      at = turns.length - 1;
      pastedBefore = answer.pasted ?? 0;
    } else {
      [turns, at, pastedBefore] = [[blank()], 0, 0];
    }
    [done, undone] = [[], []];
    suggestion.adopt(good ? draft.suggestions : answer?.suggestions);
    show();
  }

  // ---- steps

  const state = () => structuredClone({ turns, at });

  /** Do `change`, which can be taken back. */
  function step(change) {
    done.push(state());
    undone = [];
    change();
    show();
    page.task.changed();
  }

  function goBack(from, to, said) {
    if (!from.length || page.task.isLocked()) return;
    to.push(state());
    ({ turns, at } = from.pop());
    show();
    page.task.say(said);
    page.task.changed();
  }

  const undo = () => goBack(done, undone, t("Taken back."));
  const redo = () => goBack(undone, done, t("Done again."));

  /** On to the next turn; from a former one back to the last. */
  function add() {
    if (page.task.isLocked()) return;
    const last = turns.length - 1;
    if (isBlank(turns[at])) {
      editor.focus();
      return page.task.say(t("Turn {number} is empty: write it first.", { number: at + 1 }));
    }
    if (at === last && turns.length === mostTurns) return page.task.say(t("A dialogue has at most {count} turns.", { count: mostTurns }));
    step(() => {
      if (at === last) turns.push(blank());
      at = turns.length - 1;
    });
    tellWhose();
    editor.focus();
  }

  function edit(index) {
    step(() => (at = index));
    tellWhose();
    editor.focus();
  }

  /** With the reply to it, so that the two still speak in turn. */
  function remove(index) {
    const count = Math.min(2, turns.length - index);
    step(() => {
      const open = at >= index && at < index + count;
      turns.splice(index, count);
      if (open || !turns.length) {
        if (!turns.length || !isBlank(turns.at(-1))) turns.push(blank());
        at = turns.length - 1;
      } else if (at > index) {
        at -= count;
      }
    });
    list.focus();
    page.task.say(count === 1 ? t("One turn removed.") : t("Two turns removed: it and the reply."));
  }

  const tellWhose = () =>
    page.task.say(
      speaker(at) === "assistant"
        ? t("Turn {number}: you write as the assistant.", { number: at + 1 })
        : t("Turn {number}: you write as the user.", { number: at + 1 }),
    );

  // ---- showing

  function item(turn, index) {
    const element = template.cloneNode(true);
    const find = (what) => element.querySelector(`[data-${what}]`);
    const values = { number: index + 1, who: name(index) };
    element.classList.add(`turn-${speaker(index)}`);
    find("role").textContent = t("{number}. {who}", values);
    find("open").hidden = index !== at;
    find("content").hidden = find("actions").hidden = index === at;
    if (index === at) return element;
    find("content").textContent = turn.content;
    layOut(find("content"));
    find("edit").setAttribute("aria-label", t("Edit turn {number}, {who}", values));
    find("remove").setAttribute("aria-label", t("Remove turn {number}, {who}, and the reply to it", values));
    find("edit").addEventListener("click", () => edit(index));
    find("remove").addEventListener("click", () => remove(index));
    return element;
  }

  /** All of it anew, after a step. */
  function show() {
    const had = list.contains(document.activeElement);
    // The turn that is written at the end is in the editor, and nowhere else.
    const shown = at === turns.length - 1 ? turns.slice(0, at) : turns;
    part("list").replaceChildren(...shown.map(item));
    part("none").hidden = shown.length > 0;
    const open = part("list").children[at];
    list.scrollTop = open ? open.offsetTop - list.offsetTop : list.scrollHeight;
    if (had) list.focus();
    editor.preview(false);
    editor.hint(speaker(at) === "assistant");
    editor.set(turns[at].content, turns[at].pasted);
    part("label").textContent =
      speaker(at) === "assistant" ? t("Turn {number}, as the assistant", { number: at + 1 }) : t("Turn {number}, as the user", { number: at + 1 });
    draw();
  }

  function draw() {
    const last = at === turns.length - 1;
    part("add-label").textContent = last ? t("Add the turn") : t("Back to the last turn");
    part("add").disabled = page.task.isLocked() || isBlank(turns[at]) || (last && turns.length === mostTurns);
    part("undo").disabled = page.task.isLocked() || !done.length;
    part("redo").disabled = page.task.isLocked() || !undone.length;
    page.draw();
    suggestion.draw();
  }

  part("add").addEventListener("click", add);
  part("undo").addEventListener("click", undo);
  part("redo").addEventListener("click", redo);
  part("script").hidden = false;
  page.start();
  suggestion.start();
  editor.focus();
}

for (const root of document.querySelectorAll("[data-dialogue]")) openDialogue(root);
