// The ranking page: rate each completion alone, then rank all. Pointer and keyboard do the same moves on one state
// (ranking_state.js); after each the page is drawn from it, the draft kept, the move said to a screen reader. The next
// task takes the place of this one without a page load.
import { comparing } from "./compare.js";
import { letDrag } from "./drag.js";
import { readKeys, showKeys } from "./keys.js";
import { layOut } from "./prose.js";
import * as moves from "./ranking_state.js";
import { shellOf } from "./shell.js";
import { openTask, tellState } from "./task.js";
import { t } from "./words.js";

const UNDO_STEPS = 200;
const SNIPPET = 90; // characters of a completion on its chip; the style cuts them to one line
const TEXT_INPUT = "textarea, input:not([type=radio], [type=checkbox]), select, [contenteditable]";

function openRanking(root, shell, { swapped = false } = {}) {
  const form = root.querySelector("form.bench-work");
  const board = root.querySelector("[data-board]");
  const list = root.querySelector("[data-completions]");
  const note = form.elements.note;
  const articles = new Map([...root.querySelectorAll("[data-completion]")].map((el) => [el.dataset.completion, el]));
  const ids = [...articles.keys()];
  const letter = (id) => articles.get(id).dataset.letter;
  const texts = new Map(ids.map((id) => [id, articles.get(id).querySelector("[data-prose]").textContent]));
  const chips = new Map(ids.map((id) => [id, makeChip(id)]));
  const keys = readKeys();
  const past = [];

  const task = openTask(root, { draft: () => moves.toDraft(state), adopt, lock, swap });
  const definition = task.data.form.definition;
  const asked = { ids, order: task.data.order_ranked?.length ? task.data.order_ranked : ids, form: definition };
  const isPair = definition.order === "strength";
  const fieldOf = (name) => definition.completion.find((field) => field.name === name);
  let state = moves.begin(asked);

  // ---- state

  function adopt(draft) {
    const isEmpty = !["values", "ranks", "flags"].some((part) => draft[part]);
    state = moves.begin(asked, isEmpty ? { ...moves.fromAnswer(task.data.answer), ...draft } : draft);
    if (note.value !== state.note) note.value = state.note;
    drawStep();
    draw();
  }

  /** A move: `next` is the state after it, `words` what a screen reader says. */
  function make(next, words, { remember = true, focus = true, keep = true } = {}) {
    if (task.isLocked() || next === state) return;
    const stepped = next.step !== state.step;
    if (remember) {
      past.push(state);
      if (past.length > UNDO_STEPS) past.shift();
    }
    state = next;
    if (stepped) drawStep();
    draw();
    if (focus) focusCurrent();
    task.say(words);
    if (keep) task.changed();
  }

  function undo() {
    if (!past.length) return task.say(t("Nothing to undo."));
    const before = past.pop();
    // The note is written, not moved: undo leaves it alone.
    make({ ...before, note: state.note }, t("Undone."), { remember: false });
  }

  const goTo = (next) => make(next, where(next), { remember: false, keep: false });
  const where = (next) => {
    const shown = moves.shownIn(next);
    return `${t("Completion {letter}, {place} of {count}.", { letter: letter(next.current), place: shown.indexOf(next.current) + 1, count: shown.length })} ${standing(next, next.current)}`;
  };

  function standing(at, id) {
    const { values, ranks } = at;
    if (!moves.scalesOf(definition).length && definition.order === "none") return `${isSeen(at, id) ? flagged(at, id) || t("Looked at") : t("Not looked at")}.`;
    const rating = headline(values[id]);
    const rated = rating === null ? t("Not rated") : t("Rated {rating}", { rating });
    if (definition.order !== "ranks") return `${rated}.`;
    return `${rated}, ${id in ranks ? t("rank {rank}", { rank: ranks[id] }) : t("not ranked")}.`;
  }

  const isSeen = (at, id) => at.seen.includes(id);
  const flagged = ({ flags }, id) => (!flags[id].length ? "" : flags[id].length === 1 ? t("1 flag") : t("{count} flags", { count: flags[id].length }));

  /** The value of the first scale, which stands for all where there is room for one. */
  function headline(values) {
    const scale = moves.scalesOf(definition)[0];
    return scale && values[scale.name] !== undefined ? values[scale.name] : null;
  }

  /** What a digit means on a scale: its values where those are digits, else places from 1. */
  const valueOf = (scale, digit) => (scale.low >= 0 && scale.high <= 9 ? digit : scale.low + digit - 1);

  function rate(digit) {
    const scale = fieldOf(state.scale);
    if (!scale) return task.say(t("There is nothing to rate here."));
    const value = valueOf(scale, digit);
    if (value < scale.low || value > scale.high) {
      return task.say(t("{scale} goes from {low} to {high}.", { scale: scale.label, low: scale.low, high: scale.high }));
    }
    const id = state.current;
    const next = moves.rateAndGoOn(state, value);
    const onwards = next.step !== state.step ? t("All are rated. Now rank them all.") : next.current !== id ? where(next) : next.scale !== state.scale ? fieldOf(next.scale).label : "";
    make(next, `${t("{letter} rated {rating}.", { letter: letter(id), rating: value })} ${onwards}`);
  }

  function giveRank(id, value, { goOn = false, alone = false } = {}) {
    if (value > ids.length) return task.say(t("There are {count} ranks.", { count: ids.length }));
    const next = alone ? moves.insert(state, id, value) : goOn ? moves.rankAndGoOn(state, id, value) : moves.rank(state, id, value);
    const tied = ids.filter((other) => other !== id && next.ranks[other] === next.ranks[id] && id in next.ranks);
    const placed = !value
      ? t("{letter} is not ranked.", { letter: letter(id) })
      : tied.length
        ? t("{letter} is rank {rank}, tied with {others}.", { letter: letter(id), rank: value, others: names(tied) })
        : t("{letter} is rank {rank}.", { letter: letter(id), rank: value });
    const onwards = moves.isComplete(next) ? t("All are rated and ranked. Enter submits.") : next.current !== id ? where(next) : "";
    make(next, `${placed} ${onwards}`);
  }

  function giveStrength(value) {
    if (value < 1 || value > 9) return task.say(t("The scale goes from 1 to 9."));
    const [first, second] = ids.map(letter);
    const words = value === moves.EVEN ? t("Both are equally good.") : t("{letter} is better, {value} on the scale.", { letter: value < moves.EVEN ? first : second, value });
    make(moves.setStrength(state, value), `${words} ${moves.isComplete(moves.setStrength(state, value)) ? t("Enter submits.") : ""}`);
  }

  function byRatings() {
    const next = moves.orderByRatings(state);
    if (next === state) return task.say(t("Rate {letters} first.", { letters: names(moves.unrated(state)) || names(ids) }));
    make(next, `${t("Ordered by your ratings.")} ${ids.map((id) => t("{letter} rank {rank}", { letter: letter(id), rank: next.ranks[id] })).join(", ")}.`);
  }

  function setStep(step) {
    if (step === state.step || !moves.hasSteps(state)) return;
    const next = moves.setStep(state, step);
    make(next, `${step === "rank" ? t("Step 2: rank all.") : t("Step 1: rate each.")} ${where(next)}`, { remember: false });
  }

  function sameAs(a, b) {
    const next = moves.toggleSame(state, a, b);
    const on = next.same.length > state.same.length;
    const pair = { first: letter(a), second: letter(b) };
    make(next, on ? t("{first} and {second} are the same.", pair) : t("{first} and {second} are no longer the same.", pair), { focus: false });
  }

  function setOutcome(outcome) {
    const next = moves.setOutcome(state, outcome);
    const words = { ranked: t("Back to the ranking."), all_bad: t("All are bad. Enter submits."), cannot_rank: t("These cannot be ranked. Enter submits.") };
    make(next, words[next.outcome], { focus: false });
  }

  function setFlag(field, id = state.current, on = !state.flags[id].includes(field.name)) {
    make(moves.setFlag(state, id, field.name, on), on ? t("{letter}: {flag}, on.", { letter: letter(id), flag: field.label }) : t("{letter}: {flag}, off.", { letter: letter(id), flag: field.label }), { focus: false });
  }

  // ---- drawing

  const names = (list) => list.map(letter).join(", ");

  function draw() {
    root.dataset.step = state.step;
    for (const [id, article] of articles) {
      article.toggleAttribute("data-current", id === state.current);
      check(article, `rank-${id}`, state.ranks[id]);
      drawFields(article, definition.completion, state.values[id], state.flags[id]);
      const rating = headline(state.values[id]);
      // Where the form asks for no rating, nobody misses one.
      const rated = !moves.scalesOf(definition).length ? "" : rating === null ? t("not rated") : t("rated {rating}", { rating });
      article.querySelector("[data-rated]").textContent = [rated, flagged(state, id)].filter(Boolean).join(" · ");
      for (const scale of article.querySelectorAll("[data-scale]")) {
        scale.toggleAttribute("data-next", id === state.current && moves.scalesOf(definition).length > 1 && scale.dataset.scale === state.scale);
      }
      drawChip(id);
    }
    const about = root.querySelector("[data-prompt-fields]");
    if (about) {
      drawFields(about, definition.prompt, state.prompt.values, state.prompt.flags);
      const count = state.prompt.flags.length;
      about.querySelector("[data-prompt-count]").textContent = count ? `· ${count === 1 ? t("1 mark") : t("{count} marks", { count })}` : "";
    }
    check(root, "strength", state.strength);
    for (const button of root.querySelectorAll("[data-outcome]")) button.setAttribute("aria-pressed", String(button.dataset.outcome === state.outcome));
    root.dataset.outcome = state.outcome;
    drawCounts();
    drawMissing();
    tellState(state);
  }

  function drawFields(place, fields, values, flags) {
    for (const control of place.querySelectorAll("[data-field]")) {
      const field = fields.find(({ name }) => name === control.dataset.field);
      if (field.kind === "flag") control.checked = flags.includes(field.name);
      else if (field.kind === "scale") control.checked = Number(control.value) === values[field.name];
      else if (control.value !== (values[field.name] ?? "")) control.value = values[field.name] ?? "";
    }
  }

  function check(place, name, value) {
    for (const radio of place.querySelectorAll(`input[name="${name}"]`)) radio.checked = Number(radio.value) === value;
  }

  function drawCounts() {
    const done = {
      rate: ids.length - moves.unrated(state).length,
      rank: isPair ? (state.strength === null ? 0 : ids.length) : ids.length - moves.unranked(state).length,
    };
    for (const button of root.querySelectorAll("[data-step][type=button]")) {
      button.setAttribute("aria-current", button.dataset.step === state.step ? "step" : "false");
      button.toggleAttribute("data-done", done[button.dataset.step] === ids.length);
    }
    for (const place of root.querySelectorAll("[data-count]")) place.textContent = `${done[place.dataset.count]}/${ids.length}`;
  }

  function drawMissing() {
    const all = (list, whole, some) => (list.length === 0 ? [] : [list.length === ids.length ? whole : some]);
    const [unrated, unranked, unseen] = [moves.unrated(state), moves.unranked(state), moves.unseen(state)];
    const words = [
      ...all(unrated, ids.length === 1 ? t("rate it") : t("rate all {count}", { count: ids.length }), t("rate {letters}", { letters: names(unrated) })),
      ...all(unranked, t("rank all {count}", { count: ids.length }), t("rank {letters}", { letters: names(unranked) })),
      ...(unseen.length ? [t("look at {letters}", { letters: names(unseen) })] : []),
      ...(isPair && state.strength === null ? [t("say which is better")] : []),
      ...moves.unsaid(state).map((field) => field.label),
    ];
    const complete = moves.isComplete(state);
    root.querySelector("[data-missing]").textContent = complete
      ? { ranked: definition.order === "none" ? (moves.scalesOf(definition).length ? t("All rated.") : t("All looked at.")) : t("All rated and ranked."), all_bad: t("You say that all are bad."), cannot_rank: t("You say that these cannot be ranked.") }[state.outcome]
      : state.outcome === "all_bad"
        ? t("Rank all or none.")
        : t("Still to do: {list}.", { list: words.join("; ") });
    root.querySelector("[data-submit]").disabled = task.isLocked() || !complete;
    // Once all is ranked: before, the labeler is not done and needs no comment.
    const contrary = complete && state.outcome === "ranked" ? moves.contradictions(state) : [];
    const hint = root.querySelector("[data-contradiction]");
    hint.hidden = contrary.length === 0;
    if (contrary.length) {
      const [better, above] = contrary[0].map(letter);
      const more = contrary.length > 1 ? ` ${t("(and {count} more)", { count: contrary.length - 1 })}` : "";
      hint.textContent = `${t("You rated {better} higher than {above} and ranked it lower.", { better, above })}${more} ${t("Fine, if you mean it.")}`;
    }
  }

  /** What changes with the step: the order of the completions, and the board. Chips stay the same elements. */
  function drawStep() {
    root.dataset.step = state.step;
    list.append(...moves.shownIn(state).map((id) => articles.get(id)));
    board.replaceChildren();
    if (state.step === "rank" && definition.order === "ranks") drawRanks();
    else if (state.step === "rate") {
      const ratings = build("div", "board-ratings");
      ratings.append(...ids.map((id) => chips.get(id)));
      board.append(build("h2", "board-title", moves.scalesOf(definition).length ? t("Your ratings") : t("What you have looked at")), ratings);
    }
  }

  function drawRanks() {
    const columns = build("ol", "rank-columns");
    for (let rank = 1; rank <= ids.length; rank += 1) columns.append(makeColumn(rank));
    const tray = build("div", "tray");
    tray.dataset.drop = "0";
    tray.append(build("h3", "tray-title", t("Not ranked yet")));
    board.append(build("h2", "board-title visually-hidden", t("Your order")), tray, columns);
  }

  function makeColumn(rank) {
    const column = build("li", "rank-column");
    const gap = build("span", "rank-gap");
    gap.dataset.insert = rank;
    const slot = build("div", "rank-slot");
    slot.dataset.drop = rank;
    const words = rank === 1 ? t("best") : rank === ids.length ? t("worst") : "";
    const head = build("span", "rank-number number", String(rank));
    if (words) head.append(build("small", "", ` ${words}`));
    slot.append(head);
    column.append(gap, slot);
    return column;
  }

  function makeChip(id) {
    const chip = build("button", "chip");
    chip.type = "button";
    chip.dataset.chip = id;
    const snippet = build("bdi", "chip-text", texts.get(id).trim().slice(0, SNIPPET));
    chip.append(build("span", "letter", letter(id)), snippet, build("span", "chip-rating number"));
    return chip;
  }

  function drawChip(id) {
    const chip = chips.get(id);
    const rating = headline(state.values[id]);
    const looked = !moves.scalesOf(definition).length && isSeen(state, id);
    chip.querySelector(".chip-rating").textContent = rating ?? (looked ? flagged(state, id) || "✓" : "–");
    chip.setAttribute("aria-label", `${t("Completion {letter}.", { letter: letter(id) })} ${standing(state, id)}`);
    chip.setAttribute("aria-current", String(id === state.current));
    chip.toggleAttribute("data-rated-chip", rating !== null || looked);
    if (state.step === "rate") return;
    const place = board.querySelector(`[data-drop="${state.ranks[id] ?? 0}"]`);
    if (!place || chip.parentElement === place) return;
    // Moving an element drops its focus.
    const focused = document.activeElement === chip;
    place.append(chip);
    if (focused) chip.focus({ preventScroll: true });
  }

  function build(tag, className, text = "") {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = text;
    return element;
  }

  function focusCurrent() {
    const article = articles.get(state.current);
    article.focus({ preventScroll: true });
    article.scrollIntoView({ block: "nearest" });
    if (state.step === "rate") article.querySelector("[data-body]").scrollTop = 0;
  }

  function lock(on) {
    for (const fieldset of root.querySelectorAll("form.bench-work fieldset, [data-prompt-fields] fieldset")) fieldset.disabled = on;
    note.readOnly = on;
    root.toggleAttribute("data-locked", on);
    drawMissing();
  }

  // ---- pointer

  root.addEventListener("change", ({ target }) => {
    const id = target.closest("[data-completion]")?.dataset.completion;
    const name = target.dataset.field;
    if (id && target.name === `rank-${id}`) return giveRank(id, Number(target.value));
    if (target.name === "strength") return giveStrength(Number(target.value));
    if (!name || !["radio", "checkbox", "select-one"].includes(target.type)) return;
    const value = target.type === "radio" ? Number(target.value) : target.value;
    if (id) {
      const field = fieldOf(name);
      if (field.kind === "flag") return setFlag(field, id, target.checked);
      return make(moves.setValue(state, id, name, value), t("{letter}, {field}: {value}.", { letter: letter(id), field: field.label, value }), { focus: false });
    }
    const field = definition.prompt.find((one) => one.name === name);
    if (field.kind === "flag") make(moves.setPromptFlag(state, name, target.checked), target.checked ? t("{flag}, on.", { flag: field.label }) : t("{flag}, off.", { flag: field.label }), { focus: false });
    else make(moves.setPromptValue(state, name, value), `${field.label}: ${value}.`, { focus: false });
  });
  // Texts are written, not moved: no undo step for each letter.
  root.addEventListener("input", ({ target }) => {
    const name = target.dataset.field;
    if (target === note) state = { ...state, note: note.value };
    else if (name && target.matches("textarea, input[type=text]")) {
      const id = target.closest("[data-completion]")?.dataset.completion;
      state = id ? moves.setValue(state, id, name, target.value) : moves.setPromptValue(state, name, target.value);
      drawMissing();
    } else return;
    task.changed();
  });
  // After a click the arrow keys should move between completions, not change the radio that was clicked. A click that a
  // key makes on a radio has no detail, and there the arrows do what arrows do in a group of radios.
  root.addEventListener("click", (event) => {
    const radio = event.target.closest?.("input[type=radio]");
    if (radio?.closest("[data-completion]") && event.detail > 0 && !task.isLocked()) focusCurrent();
    const by = event.target.closest?.("[data-move]");
    if (by) goTo(moves.move(state, Number(by.dataset.move)));
    const chip = event.target.closest?.("[data-chip]");
    if (chip) goTo(moves.goTo(state, chip.dataset.chip));
    const command = event.target.closest?.("[data-command]")?.dataset.command;
    if (command) commands[command]();
    const outcome = event.target.closest?.("[data-outcome][type=button]");
    if (outcome) setOutcome(outcome.dataset.outcome);
  });
  form.addEventListener("focusin", ({ target }) => {
    const id = target.closest("[data-completion]")?.dataset.completion;
    if (!id || id === state.current || task.isLocked()) return;
    state = moves.goTo(state, id);
    draw();
  });
  for (const step of root.querySelectorAll("[data-step][type=button]")) {
    step.addEventListener("click", () => setStep(step.dataset.step));
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  letDrag(root, {
    // A chip from the board, or a completion by its head.
    pick: (element) => {
      if (state.step !== "rank" || definition.order !== "ranks" || task.isLocked()) return null;
      const id = element.closest("[data-chip]")?.dataset.chip ?? element.closest("[data-handle]")?.closest("[data-completion]").dataset.completion;
      return id ? { id, ghost: chips.get(id) } : null;
    },
    drop: (id, place) => {
      if (place.dataset.insert) giveRank(id, Number(place.dataset.insert), { alone: true });
      else giveRank(id, Number(place.dataset.drop));
    },
  });

  const compare = comparing(root.querySelector("#compare"), {
    text: (id) => texts.get(id),
    title: (id) => `${letter(id)} · ${standing(state, id)}`,
    ids: () => moves.shownIn(state),
    isSame: (a, b) => state.same.some((pair) => pair.includes(a) && pair.includes(b)),
    same: sameAs,
    say: task.say,
    say_where: (a, b) => t("{first} beside {second}.", { first: letter(a), second: letter(b) }),
  });

  function openCompare() {
    if (ids.length < 2) return task.say(t("There is nothing to compare it with."));
    const shown = moves.shownIn(state);
    const at = shown.indexOf(state.current);
    compare.open(state.current, shown[at + 1] ?? shown[at - 1]);
  }

  // ---- keyboard

  const arrows = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };
  const commands = {
    undo,
    by_ratings: () => state.step === "rank" && definition.order === "ranks" && byRatings(),
    step: () => setStep(state.step === "rank" ? "rate" : "rank"),
    skip: () => task.open("skip"),
    compare: openCompare,
    note: () => openAndFocus(note),
    guidelines: () => root.querySelector("[data-guidelines]")?.click(),
    question: () => task.open("question"),
    flag: () => task.open("flag"),
    prompt: () => openAndFocus(root.querySelector("[data-prompt-fields] [data-field]")),
    all_bad: () => setOutcome("all_bad"),
    cannot_rank: () => setOutcome("cannot_rank"),
    same: sameAsBefore,
    keys: () => task.open("keys"),
  };

  function openAndFocus(control) {
    if (!control) return;
    const details = control.closest("details");
    if (details) details.open = true;
    control.focus();
  }

  /** The completion in focus and the one before it are the same. */
  function sameAsBefore() {
    const shown = moves.shownIn(state);
    const at = shown.indexOf(state.current);
    if (state.step !== "rank" || shown.length < 2) return task.say(t("Two are said to be the same while ranking."));
    sameAs(shown[at - 1] ?? shown[at + 1], state.current);
  }

  document.addEventListener(
    "keydown",
    (event) => {
      if (root.querySelector("dialog[open]") || task.isLocked()) return;
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        return submit();
      }
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.matches?.(TEXT_INPUT)) {
        if (event.key === "Escape") focusCurrent();
        return;
      }
      if (onKey(event)) event.preventDefault();
    },
    { signal: task.signal },
  );

  function onKey(event) {
    const digit = event.code?.match(/^(?:Digit|Numpad)([0-9])$/)?.[1] ?? event.key.match(/^[0-9]$/)?.[0];
    if (digit !== undefined) {
      // A key held down is one press.
      if (!event.repeat) onDigit(Number(digit), event.shiftKey && event.code?.startsWith("Digit"));
      return true;
    }
    if (event.key in arrows && !event.target.matches?.("input[type=radio], summary")) {
      if (event.target.closest?.("code.block, .bench-prompt")) return false;
      goTo(moves.move(state, arrows[event.key]));
      return true;
    }
    if (event.key === "Enter" && isLastStep() && !event.target.matches?.("button, a, summary")) {
      submit();
      return true;
    }
    if (event.key === "Escape" && event.target.closest?.("[data-prompt-fields]")) {
      focusCurrent();
      return true;
    }
    if (event.repeat) return false;
    const command = event.key === "Backspace" ? "undo" : keys.commandOf(event);
    const flag = command ? null : keys.flagOf(event, definition.completion);
    // Some commands are of the other pages.
    if (command) commands[command]?.();
    else if (flag) setFlag(flag);
    return Boolean(commands[command] || flag);
  }

  const isLastStep = () => state.step === "rank" || definition.order === "none" || state.outcome !== "ranked";

  function onDigit(value, alone) {
    if (state.step === "rate") return rate(value);
    if (isPair) return giveStrength(value);
    giveRank(document.activeElement?.dataset?.chip ?? state.current, value, { goOn: value > 0, alone: alone && value > 0 });
  }

  function submit() {
    if (task.isLocked()) return;
    const [unseen] = moves.unseen(state);
    if (unseen) return goTo(moves.goTo(state, unseen));
    if (!moves.isComplete(state)) return task.say(root.querySelector("[data-missing]").textContent);
    task.submit(moves.toAnswer(state));
  }

  // ---- the next task in place of this one

  function swap(next) {
    const fresh = shell.fill(next);
    if (!fresh) return false;
    root.replaceWith(fresh);
    history.pushState(null, "", next.urls.page);
    openRanking(fresh, shell, { swapped: true });
    return true;
  }

  // ---- begin

  form.noValidate = true;
  root.dataset.live = "";
  root.dataset.order = definition.order;
  for (const element of root.querySelectorAll("[data-steps]")) element.hidden = !moves.hasSteps(state);
  for (const element of root.querySelectorAll("[data-moves]")) element.hidden = ids.length < 2;
  for (const text of root.querySelectorAll("[data-prose]")) layOut(text);
  for (const sign of root.querySelectorAll("[data-flag-key]")) {
    const field = definition.completion.find(({ name }) => name === sign.dataset.flagKey);
    sign.textContent = keys.flagKey(field);
    sign.hidden = !sign.textContent;
  }
  showKeys(root, keys);
  task.start({ swapped });
  focusCurrent();
  if (swapped) task.say(`${t("Next task: {count} completions.", { count: ids.length })} ${where(state)}`);
}

for (const root of document.querySelectorAll("[data-ranking]")) openRanking(root, shellOf(root));
window.addEventListener("popstate", () => location.reload());
