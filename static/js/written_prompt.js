// The page on which a labeler writes a prompt: of any task, with examples, or for a use that somebody stated.
import { openEditor } from "./editor.js";
import { t } from "./words.js";
import { openWriting } from "./writing.js";

/** The prompt as a model will get it; the same as labeling/demos/layout.py, which says more. */
function laidOut(content) {
  if (content.text !== undefined) return content.text;
  const pairs = content.pairs.map(({ query, response }) => `Query: ${query}\nResponse: ${response}`);
  return [content.instruction, ...pairs, `Query: ${content.query}\nResponse:`].join("\n\n");
}

const isBlank = (text) => text.trim() === "";

function openWrittenPrompt(root) {
  const form = root.querySelector("form.writing");
  const cases = root.querySelector("[data-use-cases]");
  const list = root.querySelector("[data-pairs]");
  const add = root.querySelector("[data-add]");
  const events = { changed, say: (text) => page.task.say(text) };
  const editors = Object.fromEntries(
    ["text", "instruction", "query"].filter((name) => form.elements[name]).map((name) => [name, openEditor(form.elements[name], events)]),
  );
  const least = Number(list?.dataset.least);
  const most = Number(list?.dataset.most);
  const wanted = cases.querySelector("input:checked")?.value ?? "";
  let made = 0; // rows: their ids must differ
  let pairs = list ? [...list.children].map(openPair) : [];

  const page = openWriting(root, { draft: answer, adopt, lock, problem, answer, commands: { preview: () => all()[0].preview() }, typing });

  // ---- what was written

  /** All editors in the order of the page. */
  const all = () => [editors.text, editors.instruction, ...pairs.flatMap(({ query, response }) => [query, response]), editors.query].filter(Boolean);
  const useCase = () => cases.querySelector("input:checked")?.value ?? "";

  function content() {
    if (editors.text) return { text: editors.text.value };
    return {
      instruction: editors.instruction.value,
      pairs: pairs.map(({ query, response }) => ({ query: query.value, response: response.value })),
      query: editors.query.value,
    };
  }

  function answer() {
    return { ...content(), use_case: useCase(), pasted: all().reduce((sum, { pasted }) => sum + pasted, 0) };
  }

  function problem() {
    if (!useCase()) return t("Choose what it is for.");
    if (editors.text) return editors.text.blank ? t("Write the prompt first.") : "";
    if (editors.instruction.blank) return t("Write the instruction.");
    const open = pairs.findIndex(({ query, response }) => query.blank || response.blank);
    if (open >= 0) return t("Example {number} is not complete.", { number: open + 1 });
    return editors.query.blank ? t("Write the last query.") : "";
  }

  function adopt(draft) {
    const isEmpty = draft.text === undefined && draft.instruction === undefined;
    const from = isEmpty ? { ...page.task.data.answer, ...draft } : draft;
    const chosen = from.use_case ?? wanted;
    for (const radio of cases.querySelectorAll("input")) radio.checked = radio.value === chosen;
    if (list) setRows(Math.min(most, Math.max(least, from.pairs?.length ?? 0)));
    // Kept as one number, and given back to the fields as far as it reaches.
    let left = from.pasted ?? 0;
    const put = (editor, text = "") => {
      const share = Math.min(left, [...text].length);
      left -= share;
      editor.set(text, share);
    };
    if (editors.text) put(editors.text, from.text);
    if (editors.instruction) put(editors.instruction, from.instruction);
    for (const [index, { query, response }] of pairs.entries()) {
      put(query, from.pairs?.[index]?.query);
      put(response, from.pairs?.[index]?.response);
    }
    if (editors.query) put(editors.query, from.query);
    draw();
  }

  function lock(on) {
    cases.disabled = on;
    for (const editor of all()) editor.lock(on);
    for (const button of root.querySelectorAll("[data-pair-tools] button, [data-add]")) button.disabled = on;
    if (!on) drawRows();
  }

  function draw() {
    page.draw();
    const written = content();
    const nothing = written.text === undefined ? isBlank(written.instruction + written.query + written.pairs.map(({ query, response }) => query + response).join("")) : isBlank(written.text);
    root.querySelector("[data-whole]").hidden = nothing;
    root.querySelector("[data-whole-text]").textContent = laidOut(written);
  }

  function changed() {
    draw();
    page.task.changed();
  }

  // ---- examples

  function openPair(row) {
    made += 1;
    const pair = { row };
    for (const name of ["query", "response"]) {
      const field = row.querySelector(`[name=pair_${name}]`);
      field.id = `pair-${name}-${made}`;
      field.setAttribute("aria-describedby", `${field.id}-count`);
      field.closest("[data-editor]").querySelector("[data-count]").id = `${field.id}-count`;
      field.closest("[data-editor]").querySelector("[data-label]").htmlFor = field.id;
      pair[name] = openEditor(field, events);
    }
    row.querySelector("[data-up]").addEventListener("click", () => move(pair, -1));
    row.querySelector("[data-down]").addEventListener("click", () => move(pair, 1));
    row.querySelector("[data-remove]").addEventListener("click", () => remove(pair));
    row.querySelector("[data-pair-tools]").hidden = false;
    return pair;
  }

  function addRow() {
    list.append(root.querySelector("[data-pair-template]").content.cloneNode(true));
    pairs.push(openPair(list.lastElementChild));
  }

  function setRows(count) {
    while (pairs.length > count) pairs.pop().row.remove();
    while (pairs.length < count) addRow();
    drawRows();
  }

  function drawRows() {
    for (const [index, { row }] of pairs.entries()) {
      const number = index + 1;
      row.querySelector("[data-number]").textContent = number;
      const set = (name, label, off) => {
        const button = row.querySelector(`[data-${name}]`);
        button.setAttribute("aria-label", label);
        button.disabled = off;
      };
      set("up", t("Move example {number} up", { number }), index === 0);
      set("down", t("Move example {number} down", { number }), number === pairs.length);
      set("remove", t("Remove example {number}", { number }), pairs.length <= least);
    }
    if (!list) return;
    add.hidden = false;
    add.disabled = pairs.length >= most;
  }

  function move(pair, by) {
    const from = pairs.indexOf(pair);
    const to = from + by;
    if (to < 0 || to >= pairs.length) return;
    const focused = document.activeElement;
    pairs.splice(from, 1);
    pairs.splice(to, 0, pair);
    if (by < 0) pairs[to + 1].row.before(pair.row);
    else pairs[to - 1].row.after(pair.row);
    drawRows();
    // A button at the end of its way goes dead.
    if (focused.disabled) pair.query.focus();
    else focused.focus();
    page.task.say(t("Now example {number} of {count}.", { number: to + 1, count: pairs.length }));
    changed();
  }

  function remove(pair) {
    const index = pairs.indexOf(pair);
    pairs.splice(index, 1);
    pair.row.remove();
    drawRows();
    pairs[Math.min(index, pairs.length - 1)].query.focus();
    page.task.say(t("Removed. {count} examples are left.", { count: pairs.length }));
    changed();
  }

  add?.addEventListener("click", () => {
    addRow();
    drawRows();
    pairs.at(-1).query.focus();
    changed();
  });

  // ---- keys

  /** Digits choose the use case, outside of texts; with Alt, arrows move the example. */
  function typing(event) {
    const { target, key } = event;
    const isChord = event.ctrlKey || event.metaKey;
    const pair = event.altKey && !isChord && pairs.find(({ row }) => row.contains(target));
    if (pair && (key === "ArrowUp" || key === "ArrowDown")) {
      move(pair, key === "ArrowUp" ? -1 : 1);
      return true;
    }
    if (isChord || event.altKey || target.matches("textarea, select, input:not([type=radio])")) return false;
    if (key === "Escape" && target.matches("input")) {
      target.blur();
      return true;
    }
    const radio = /^\d$/.test(key) && cases.querySelectorAll("input")[(Number(key) + 9) % 10];
    if (!radio) return false;
    radio.checked = true;
    page.task.say(radio.closest("label").querySelector("strong").textContent);
    changed();
    return true;
  }

  cases.addEventListener("change", changed);
  drawRows();
  page.start();
  if (useCase()) all()[0].focus();
  else cases.querySelector("input").focus();
}

for (const root of document.querySelectorAll("[data-written-prompt]")) openWrittenPrompt(root);
