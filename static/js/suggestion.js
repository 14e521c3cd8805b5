// Suggestions by a model, under the writing field: asked for, growing while they are written, taken over or left.
//
//   const suggestion = openSuggestion(root, { editor, task, turns, mine });
//
//   task()       what openTask gave; asked for late, since both need each other
//   turns()      the turns before the one in the editor, where it is a dialogue
//   mine()       whether what is in the editor is the assistant's to say
//   suggestion.used    the numbers of those that went into the text, for draft and answer
//   suggestion.adopt(numbers)   with a draft
//   suggestion.draw()  after the editor shows another turn
//   suggestion.lock(on)
//   suggestion.commands   by their names in keys.js
import { get, post, Refused, SignedOut } from "./request.js";
import { t } from "./words.js";

const ASK_EVERY = 300; // ms: the worker stores new text about four times a second
const ASK_AT_LEAST = 4_000; // ms: as slow as it gets while nothing new comes
const SLOWER = 1.4;

const ended = (state) => state === "done" || state === "stopped" || state === "failed";

export function openSuggestion(root, { editor, task, turns = () => [], mine = () => true }) {
  const box = root.querySelector("[data-suggestion]");
  const part = (name) => box.querySelector(`[data-suggestion-${name}]`);
  let used = [];
  let locked = false;
  let left = null; // how many more may be asked for; null before the server said it
  let shown = null; // { number, turn, state, text, length, error }: length in code points, as the server counts
  let asking = false;
  let problem = "";
  let timer = null;
  let last = null; // { turn, text }: what was taken over last, to know whether it was changed since

  const url = (rest = "") => `${task().data.urls.suggestions}${rest}`;
  const turn = () => task().data.messages.length + turns().length;
  const writing = () => shown !== null && !ended(shown.state);
  // A suggestion for another turn is none for this one.
  const here = () => shown !== null && shown.turn === turn();

  // ---- asking and following

  async function ask() {
    if (locked || asking || !mine()) return;
    if (here() && writing()) return stop();
    if (left === 0) return task().say(t("You have had all suggestions for this task."));
    if (turns().some(({ content }) => content.trim() === "")) return fail(t("A turn before this one is empty; write it first."));
    asking = true;
    problem = "";
    draw();
    try {
      // What is written for a turn that is not shown any more would stand in the way.
      if (writing()) await post(url(`${shown.number}/stop/`), "{}");
      const said = turns().map(({ role, content }) => ({ role, content }));
      follow(await post(url(), JSON.stringify(said.length ? { turns: said } : {})));
      if (left !== null) left -= 1;
      task().say(t("A suggestion is being written."));
    } catch (error) {
      fail(why(error));
    }
    asking = false;
    draw();
  }

  async function stop() {
    try {
      take(await post(url(`${shown.number}/stop/?from=${shown.length}`), "{}"));
    } catch (error) {
      fail(why(error));
    }
  }

  function follow(suggestion) {
    shown = suggestion;
    clearTimeout(timer);
    if (writing()) timer = setTimeout(() => look(ASK_EVERY), ASK_EVERY);
    draw();
  }

  async function look(pause) {
    const { number, length } = shown;
    let again = pause;
    try {
      const news = await get(url(`${number}/?from=${length}`));
      if (shown.number !== number || ended(shown.state)) return;
      again = news.length > length ? ASK_EVERY : Math.min(pause * SLOWER, ASK_AT_LEAST);
      take(news);
    } catch (error) {
      if (error instanceof Refused) {
        shown = { ...shown, state: "stopped" };
        return fail(error.message);
      }
      problem = why(error);
      again = ASK_AT_LEAST;
      draw();
    }
    if (writing() && !locked && !task().signal.aborted) timer = setTimeout(() => look(again), again);
  }

  /** What the server tells beyond what is shown already. */
  function take(news) {
    problem = "";
    shown = { ...news, text: shown.text + news.text };
    draw();
    if (!ended(shown.state)) return;
    clearTimeout(timer);
    // One that failed by what it said is emptied.
    if (shown.length === 0) shown.text = "";
    draw();
    task().say(shown.error || (shown.state === "done" ? t("The suggestion is there.") : t("The suggestion is stopped.")));
  }

  function fail(message) {
    problem = message;
    draw();
    task().say(message);
  }

  function why(error) {
    if (error instanceof SignedOut) return t("You are signed out; suggestions need you signed in. Your text is kept.");
    if (error instanceof Refused) return error.message;
    return t("Suggestions need the connection, and there is none. Go on writing.");
  }

  /** After a reload: the last one, where it is for this turn. */
  async function resume() {
    try {
      const { suggestions, left: more } = await get(url());
      left = more;
      const latest = suggestions.at(-1);
      if (latest && !shown && (latest.turn === turn() || !ended(latest.state))) follow(latest);
      else draw();
    } catch {
      // Asking tells what is wrong.
    }
  }

  // ---- taking over

  /** Into the field: in place of nothing, or of the one taken over before and left as it was; else below the text. */
  function use() {
    if (part("use").disabled) return;
    const { text, number } = shown;
    const field = root.querySelector("[data-editor] textarea");
    editor.preview(false);
    field.focus();
    const whole = editor.blank || (last?.turn === turn() && editor.value === last.text);
    field.setSelectionRange(whole ? 0 : field.value.length, field.value.length);
    if (!used.includes(number)) used = [...used, number];
    editor.insert(whole ? text : `\n\n${text}`);
    last = whole ? { turn: turn(), text: editor.value } : null;
    draw();
    task().changed();
    task().say(whole ? t("The suggestion is in the field.") : t("The suggestion is below your text."));
  }

  // ---- showing

  function draw() {
    if (!box) return;
    const now = here();
    const busy = now && writing();
    box.hidden = task().data.replaces !== null || !mine();
    part("ask-label").textContent = busy ? t("Stop") : now ? t("Another") : t("Suggest an answer");
    part("ask").disabled = locked || asking || (left === 0 && !busy);
    part("use").disabled = locked || !now || busy || !shown.text.trim();
    part("use").hidden = !now;
    part("text").hidden = !now || !shown.text;
    if (now && part("text").textContent !== shown.text) {
      const { scrollTop, scrollHeight, clientHeight } = part("text");
      part("text").textContent = shown.text;
      // On with the text, unless somebody reads further up.
      if (scrollTop + clientHeight >= scrollHeight - 4 && busy) part("text").scrollTop = part("text").scrollHeight;
    }
    part("state").textContent = problem || (now ? words() : left === 0 ? t("You have had all suggestions for this task.") : "");
    part("state").classList.toggle("warn", Boolean(problem || (now && shown.error)));
  }

  function words() {
    if (shown.error) return shown.error;
    if (shown.state === "waiting") return t("Asked for…");
    if (shown.state === "writing") return t("Being written…");
    return shown.state === "stopped" ? t("Stopped.") : t("A model wrote this. Check it, and make it yours.");
  }

  if (box) {
    part("ask").addEventListener("click", ask);
    part("use").addEventListener("click", use);
  }
  return {
    get used() {
      return used;
    },
    adopt(numbers) {
      used = Array.isArray(numbers) ? numbers : [];
    },
    start() {
      draw();
      if (box && task().data.replaces === null) resume();
    },
    draw,
    lock(on) {
      locked = on;
      draw();
    },
    commands: box ? { suggest: ask, use_suggestion: use } : {},
  };
}
