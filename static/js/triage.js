// Prompts to decide, one after another, by keyboard: k keep, r redact, d drop, u undo, m mark words, digits take a finding
// off. The next ones are fetched before they are needed, so that a decision shows the next prompt at once and is sent
// behind it; one that is refused is told, one that does not get through comes back.
import { post, Refused, SignedOut } from "./request.js";
import { t } from "./words.js";

const FETCH_BELOW = 3; // items left: a request takes less time than three decisions
const UNDO_STEPS = 100;
const SAID = { release: t("Kept."), redact: t("Redacted."), drop: t("Dropped.") };

function lettersAreOff() {
  try {
    return JSON.parse(document.body.dataset.keys || "{}")?.off === true;
  } catch {
    return false;
  }
}

function openTriage(root) {
  const part = (name) => root.querySelector(`[data-${name}]`);
  const [stage, notice, live, done, undoButton] = ["stage", "notice", "announce", "done", "undo-last"].map(part);
  const off = lettersAreOff();
  const waiting = [];
  const past = []; // { item, sent } of what was decided here, newest last
  let next = root.dataset.next;
  let fetching = null;
  let count = 0;

  part("bar").hidden = false;
  const current = () => stage.querySelector("[data-item]");

  /** Said by a screen reader; the same words twice are said twice. */
  const say = (text) => (live.textContent = live.textContent === text ? `${text}\u00a0` : text);
  function tell(text, page) {
    notice.replaceChildren(text);
    if (page) {
      const link = document.createElement("a");
      [link.href, link.textContent] = [page, t("The prompt")];
      notice.append(" ", link);
    }
    notice.hidden = false;
  }

  // ---- the items

  function prepare(item) {
    const { words, kind } = item.elements;
    item.addEventListener("submit", (event) => {
      event.preventDefault();
      decide(item, event.submitter?.value ?? "release");
    });
    words.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        mark(item);
      } else if (event.key === "Escape") {
        words.blur();
        item.focus();
      }
    });
    kind.addEventListener("change", () => words.value.trim() && mark(item));
    for (const box of item.querySelectorAll("input[name=real]")) {
      box.addEventListener("change", () => drawFinding(item, box));
    }
    return item;
  }

  function drawFinding(item, box) {
    for (const place of item.querySelectorAll(`mark[data-finding="${box.value}"]`)) place.toggleAttribute("data-off", !box.checked);
  }

  function fetchMore() {
    if (fetching || !next || waiting.length >= FETCH_BELOW) return fetching;
    const address = `${root.dataset.page}?after=${encodeURIComponent(next)}`;
    fetching = fetch(address, { headers: { "HX-Request": "true" }, credentials: "same-origin", cache: "no-store" })
      .then(async (answer) => {
        if (!answer.ok) throw new Error(String(answer.status));
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const turn = page.querySelector("[data-turn]");
        if (!turn) throw new Error(t("You are signed out; sign in in another tab and try again."));
        next = turn.dataset.next;
        const known = new Set([current(), ...waiting, ...past.map(({ item }) => item)].filter(Boolean).map(nameOf));
        for (const item of turn.querySelectorAll("[data-item]")) {
          if (!known.has(nameOf(item))) waiting.push(prepare(document.adoptNode(item)));
        }
      })
      .catch(() => tell(t("The next prompts cannot be fetched. Try again when you are online.")))
      .finally(() => (fetching = null));
    return fetching;
  }

  const nameOf = (item) => `${item.dataset.api}#${item.dataset.blind}`;

  async function show(item) {
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
    done.textContent = count ? t("{count} decided", { count }) : "";
  }

  // ---- deciding

  const marksOf = (item) => [...item.querySelectorAll("[data-marks] li")].map((li) => ({ words: li.dataset.words, kind: li.dataset.kind }));

  /** Put what stands in the field onto the list of marked words. */
  function mark(item) {
    const { words, kind } = item.elements;
    const said = words.value.trim();
    if (!said) return;
    const line = document.createElement("li");
    [line.dataset.words, line.dataset.kind] = [said, kind.value];
    const name = document.createElement("bdi");
    name.textContent = said;
    const remove = document.createElement("button");
    [remove.type, remove.className, remove.textContent] = ["button", "button small quiet", t("Remove")];
    remove.addEventListener("click", () => {
      line.remove();
      words.focus();
    });
    line.append(name, ` (${kind.selectedOptions[0].textContent}) `, remove);
    item.querySelector("[data-marks]").append(line);
    [words.value, kind.value] = ["", ""];
    say(t("Marked: {words}", { words: said }));
    item.focus({ preventScroll: true });
  }

  function decide(item, outcome) {
    if (item !== current()) return;
    mark(item);
    const boxes = [...item.querySelectorAll("input[name=real]")];
    const marks = marksOf(item);
    if (outcome === "redact" && !marks.length && !boxes.some((box) => box.checked) && (boxes.length || item.dataset.blind)) {
      tell(t("There is nothing to redact: mark the words, or choose one of the findings."));
      item.elements.words.focus();
      return;
    }
    notice.hidden = true;
    const body = { outcome, marks, real: boxes.length ? boxes.filter((box) => box.checked).map((box) => Number(box.value)) : null };
    if (item.dataset.blind) body.blind = item.dataset.blind;
    // Kept alive: it arrives also where the page is left meanwhile.
    const entry = { item, sent: post(item.dataset.api, JSON.stringify(body), { keepalive: true }) };
    past.push(entry);
    if (past.length > UNDO_STEPS) past.shift();
    count += 1;
    say(SAID[outcome]);
    entry.sent.catch((error) => failed(entry, error));
    showNext();
  }

  function failed(entry, error) {
    past.splice(past.indexOf(entry), 1);
    count -= 1;
    // Somebody else's word stands; the rest can be said again.
    if (error instanceof Refused && error.status === 409) tell(error.message, entry.item.dataset.page);
    else {
      if (current()) waiting.unshift(current());
      show(entry.item);
      tell(
        error instanceof Refused
          ? error.message
          : error instanceof SignedOut
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
      await post(entry.item.dataset.undo, JSON.stringify(entry.item.dataset.blind ? { blind: entry.item.dataset.blind } : {}));
    } catch (error) {
      if (error instanceof Refused) tell(error.message, entry.item.dataset.page);
      else {
        past.push(entry);
        tell(t("The server cannot be reached. Try again when you are online."));
      }
      return draw();
    }
    count -= 1;
    notice.hidden = true;
    if (current()) waiting.unshift(current());
    show(entry.item);
    say(t("Undone."));
  }

  // ---- the keyboard

  const actions = {
    k: (item) => decide(item, "release"),
    r: (item) => decide(item, "redact"),
    d: (item) => decide(item, "drop"),
    m: (item) => {
      // What is selected in the text is what is meant.
      const chosen = String(getSelection()).trim();
      if (chosen && item.querySelector("[data-text]").contains(getSelection().anchorNode)) item.elements.words.value = chosen;
      item.elements.words.focus();
    },
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || off) return;
    if (event.target.matches("input:not([type=checkbox]), select, textarea")) return;
    const key = event.key.toLowerCase();
    const item = current();
    if (key === "u") undo();
    else if (item && /^[1-9]$/.test(key)) {
      const box = item.querySelectorAll("input[name=real]")[Number(key) - 1];
      if (!box) return;
      box.checked = !box.checked;
      drawFinding(item, box);
      say(box.checked ? t("Finding {number} is personal data.", { number: key }) : t("Finding {number} is none.", { number: key }));
    } else if (item && actions[key] && !event.repeat) actions[key](item);
    else return;
    event.preventDefault();
  });
  undoButton.addEventListener("click", undo);
  const first = current();
  if (first) {
    prepare(first);
    first.focus({ preventScroll: true });
  }
  fetchMore();
}

for (const root of document.querySelectorAll("[data-triage]")) openTriage(root);
