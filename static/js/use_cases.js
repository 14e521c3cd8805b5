// What prompts are for, one after another: a digit says it, u takes the last one back, s skips. The next prompts are
// fetched before they are needed, so that an answer shows the next one at once and is sent behind it.
import { post, Refused, SignedOut } from "./request.js";
import { t } from "./words.js";

const FETCH_BELOW = 4; // prompts left: a request takes less time than as many answers
const UNDO_STEPS = 100;

function lettersAreOff() {
  try {
    return JSON.parse(document.body.dataset.keys || "{}")?.off === true;
  } catch {
    return false;
  }
}

function openNaming(root) {
  const part = (name) => root.querySelector(`[data-${name}]`);
  const [stage, notice, live, done, last, undoButton] = ["stage", "notice", "announce", "done", "last", "undo-last"].map(part);
  const off = lettersAreOff();
  const waiting = [];
  const past = []; // { item, sent } of what was said here, newest last
  let next = root.dataset.next;
  let fetching = null;
  let count = 0;

  part("bar").hidden = false;
  const current = () => stage.querySelector("[data-item]");
  /** Said by a screen reader; the same words twice are said twice. */
  const say = (text) => (live.textContent = live.textContent === text ? `${text}\u00a0` : text);

  function tell(text) {
    notice.textContent = text;
    notice.hidden = false;
  }

  function prepare(item) {
    item.addEventListener("submit", (event) => {
      event.preventDefault();
      if (event.submitter?.value) answer(item, event.submitter);
    });
    return item;
  }

  function fetchMore() {
    if (fetching || !next || waiting.length >= FETCH_BELOW) return fetching;
    fetching = fetch(`${root.dataset.page}?after=${next}`, { headers: { "HX-Request": "true" }, credentials: "same-origin", cache: "no-store" })
      .then(async (answered) => {
        if (!answered.ok) throw new Error(String(answered.status));
        const page = new DOMParser().parseFromString(await answered.text(), "text/html");
        const turn = page.querySelector("[data-turn]");
        if (!turn) throw new Error("signed out");
        next = turn.dataset.next;
        const known = new Set([current(), ...waiting, ...past.map(({ item }) => item)].filter(Boolean).map((item) => item.dataset.api));
        for (const item of turn.querySelectorAll("[data-item]")) {
          if (!known.has(item.dataset.api)) waiting.push(prepare(document.adoptNode(item)));
        }
      })
      .catch(() => tell(t("The next prompts cannot be fetched. Try again when you are online.")))
      .finally(() => (fetching = null));
    return fetching;
  }

  function show(item) {
    stage.replaceChildren(...(item ? [item] : []));
    part("empty").hidden = Boolean(item);
    item?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
    draw();
  }

  async function showNext() {
    if (!waiting.length && next) await fetchMore();
    show(waiting.shift());
    fetchMore();
  }

  function draw() {
    undoButton.disabled = !past.length;
    done.textContent = count ? t("{count} named", { count }) : "";
  }

  function answer(item, button) {
    if (item !== current()) return;
    notice.hidden = true;
    const body = { use_case: button.value, saw: item.dataset.saw ?? "" };
    // Kept alive: it arrives also where the page is left meanwhile.
    const entry = { item, sent: post(item.dataset.api, JSON.stringify(body), { keepalive: true }) };
    past.push(entry);
    if (past.length > UNDO_STEPS) past.shift();
    count += 1;
    const { label } = button.dataset;
    const suggested = item.dataset.suggested;
    last.textContent = suggested ? t("You: {label}. Suggested: {suggested}.", { label, suggested }) : t("You: {label}.", { label });
    say(last.textContent);
    entry.sent.catch((error) => failed(entry, error));
    showNext();
  }

  function failed(entry, error) {
    past.splice(past.indexOf(entry), 1);
    count -= 1;
    if (error instanceof Refused) tell(error.message);
    else {
      if (current()) waiting.unshift(current());
      show(entry.item);
      tell(
        error instanceof SignedOut
          ? t("You are signed out; sign in in another tab and try again.")
          : t("The server cannot be reached. Try again when you are online."),
      );
    }
    draw();
  }

  async function undo() {
    const entry = past.pop();
    if (!entry) return say(t("Nothing to undo."));
    draw();
    try {
      await entry.sent;
      await post(entry.item.dataset.api, JSON.stringify({ use_case: "" }));
    } catch (error) {
      if (!(error instanceof Refused)) past.push(entry);
      tell(error instanceof Refused ? error.message : t("The server cannot be reached. Try again when you are online."));
      return draw();
    }
    count -= 1;
    notice.hidden = true;
    last.textContent = "";
    if (current()) waiting.unshift(current());
    show(entry.item);
    say(t("Undone."));
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat || off) return;
    if (event.target.matches("input, select, textarea")) return;
    const key = event.key.toLowerCase();
    const item = current();
    const button = item?.querySelector(`button[aria-keyshortcuts="${/^[0-9]$/.test(key) ? key : "none"}"]`);
    if (key === "u") undo();
    else if (key === "s" && item) showNext();
    else if (button) answer(item, button);
    else return;
    event.preventDefault();
  });
  undoButton.addEventListener("click", undo);
  part("skip").addEventListener("click", () => current() && showNext());
  const first = current();
  if (first) {
    prepare(first);
    first.focus({ preventScroll: true });
  }
  fetchMore();
}

for (const root of document.querySelectorAll("[data-naming]")) openNaming(root);
