// What every task page shares, whatever is asked on it: the draft, the lease and its clock, skipping, submitting, and
// going on to the next task, which is fetched while the labeler works on this one.
import { forget, send, startOutbox, store, waitingFor } from "./outbox.js";
import { post, Refused, SignedOut } from "./request.js";
import { t } from "./words.js";

const SAVE_AFTER = 800; // ms without a change: a burst of keys becomes one request
const SAVE_AGAIN = 5_000; // ms until a draft that could not be saved is tried again
const RENEW_EVERY = 60_000; // ms: a lease lasts minutes, so one sign of life in one is plenty
const WARN_AT = 120; // seconds left
const FORGET_DRAFTS_AFTER = 30 * 86_400_000; // ms

const draftOf = (lease) => `kwise:draft:${document.body.dataset.user}:${lease}`;

/** Tell whoever follows along (coach.js) what the labeler has made of the task so far. */
export const tellState = (state) => document.dispatchEvent(new CustomEvent("task:state", { detail: state }));

/**
 * Open the task that `root` shows, whose data lie in its #task-data.
 *
 * `draft()` gives what is to be kept, `adopt(draft)` shows one, `lock(on)` makes the page read-only while an answer is
 * on its way. `swap(task)`, where a page has it, shows another task in place of this one and says whether it could.
 * Returns { data, signal, start(), changed(), submit(answer), say(text), open(dialog), activeSeconds(), isLocked() };
 * `signal` aborts when another task has taken the page: whatever listens outside `root` must end with it.
 */
export function openTask(root, { draft, adopt, lock, swap = () => false }) {
  const data = JSON.parse(root.querySelector("#task-data").textContent);
  const part = (name) => root.querySelector(`[data-${name}]`);
  const ending = new AbortController();
  const { signal } = ending;
  // A correction holds no place, so that no time runs.
  const correcting = data.replaces !== null;
  // A practice task holds none either; there the time runs in this browser alone, to be seen.
  const practising = data.practice === true;
  const draftName = draftOf(data.id);
  let version = data.draft_version ?? 0;
  let saved = version;
  let saveTimer = null;
  let saving = null;
  let sendingDraft = new AbortController();
  let activeSeconds = 0;
  // The time of a correction begins with the first sign of work at it, not with a look at the page.
  let lastActive = correcting ? 0 : Date.now();
  let opened = false;
  let openedTried = 0;
  let lastRenewed = Date.now();
  // Without a key, click or scroll for so long (ms) the labeler is elsewhere, and time stops counting.
  const idleAfter = (data.idle_seconds ?? 60) * 1000;
  // Of a task fetched ahead the time begins when the answer before it has arrived.
  let begun = data.state !== "ahead";
  let expiresAt = Date.now() + data.seconds_left * 1000;
  let grace = data.grace_seconds ?? 0;
  let warned = false;
  let locked = false;
  let leaving = false;
  let ahead = null;

  // ---- words to the labeler

  const live = part("announce");
  /** Said by a screen reader; the same words twice are said twice. */
  function say(text) {
    live.textContent = live.textContent === text ? `${text}\u00a0` : text;
  }

  const notice = part("notice");
  function tell(kind, text, link) {
    notice.className = `bench-notice message ${kind}`;
    notice.replaceChildren(text);
    if (link) {
      const anchor = document.createElement("a");
      [anchor.href, anchor.textContent] = [link.href, link.label];
      notice.append(" ", anchor);
    }
    notice.hidden = false;
  }
  const signIn = () => ({ href: `${root.dataset.signIn}?next=${encodeURIComponent(location.pathname)}`, label: t("Sign in") });

  const status = part("saved");
  function showStatus(text, kind = "muted") {
    status.textContent = text;
    status.className = `bench-saved ${kind}`;
  }

  // ---- the draft: in this browser at once, on the server soon after

  function changed() {
    if (locked) return;
    version += 1;
    keep();
    showStatus(t("Saving…"));
    clearTimeout(saveTimer);
    saveTimer = setTimeout(save, SAVE_AFTER);
  }

  const current = () => ({ ...draft(), active_seconds: activeSeconds });
  const keep = () => store.set(draftName, { version, saved, revision: data.revision, at: Date.now(), draft: current() });

  async function save() {
    clearTimeout(saveTimer);
    if (saving) await saving;
    if (locked || saved >= version || signal.aborted) return;
    // The server keeps drafts of open tasks alone.
    if (correcting || practising) return showStatus(t("Kept in this browser"));
    saving = attemptSave();
    await saving;
    saving = null;
  }

  async function attemptSave() {
    const sending = version;
    sendingDraft = new AbortController();
    try {
      const answer = await post(data.urls.draft, JSON.stringify({ version: sending, draft: current() }), { signal: sendingDraft.signal });
      renewed(answer);
      if (answer?.saved === false && answer.draft_version >= sending) {
        // Another browser saved meanwhile. The labeler works here now, so this is the newest.
        version = Math.max(version, answer.draft_version + 1);
        saveTimer = setTimeout(save, SAVE_AFTER);
        return;
      }
      saved = Math.max(saved, sending);
      if (version === sending && !locked) {
        keep();
        showStatus(t("Draft saved"), "ok");
      }
    } catch (error) {
      if (locked || signal.aborted) return;
      if (error instanceof SignedOut) {
        showStatus(t("Kept in this browser"), "warn");
        tell("warning", t("You are signed out. Your work is kept in this browser."), signIn());
      } else if (error instanceof Refused) {
        showStatus(t("Kept in this browser"), "warn");
        // Before the answer that came before has arrived, the server does not know that this one is at work.
        if (begun) tell("warning", error.message);
      } else {
        showStatus(t("Offline — kept in this browser"), "warn");
      }
      if (!(error instanceof Refused)) saveTimer = setTimeout(save, SAVE_AGAIN);
    }
  }

  function newestDraft() {
    const local = store.get(draftName);
    if (local?.draft && local.revision === data.revision && local.version > version) {
      version = local.version;
      saveTimer = setTimeout(save, SAVE_AFTER);
      return local.draft;
    }
    if (data.draft) showStatus(t("Draft saved"), "ok");
    return data.draft ?? {};
  }

  function forgetOldDrafts() {
    for (const name of store.names().filter((name) => name.startsWith("kwise:draft:"))) {
      if (!(store.get(name)?.at > Date.now() - FORGET_DRAFTS_AFTER)) store.remove(name);
    }
  }

  // The same task in a second tab: both show the newest.
  function onStorage(event) {
    if (event.key !== draftName || locked) return;
    clearTimeout(saveTimer);
    const other = store.get(draftName);
    if (!other) {
      setLock(true);
      showStatus("");
      tell("warning", t("This task was finished in another tab."), { href: data.urls.work, label: t("Your work") });
      return;
    }
    if (other.version <= version) return;
    version = other.version;
    saved = Math.max(saved, other.saved);
    adopt(other.draft);
    showStatus(t("Changed in another tab"));
  }

  function onPageHide() {
    if (saved >= version || locked || correcting || practising) return;
    post(data.urls.draft, JSON.stringify({ version, draft: current() }), { keepalive: true }).catch(() => {});
  }

  // ---- the lease

  const clock = part("clock");
  clock.parentElement.hidden = correcting;
  function renewed(answer) {
    if (!Number.isFinite(answer?.seconds_left)) return;
    begun = answer.state !== "ahead";
    expiresAt = Date.now() + answer.seconds_left * 1000;
    grace = answer.grace_seconds ?? grace;
    lastRenewed = Date.now();
    warned = false;
    if (answer.taken_back) tell("warning", answer.taken_back, { href: data.urls.next, label: t("Next task") });
    showClock();
  }

  async function renew() {
    lastRenewed = Date.now();
    if (practising) return renewed(data);
    try {
      renewed(await post(data.urls.heartbeat, "{}"));
    } catch (error) {
      if (error instanceof Refused && begun) tell("warning", error.message);
      // Otherwise the clock goes on by itself; what is here stays here, and a late answer is still taken.
    }
  }

  /** The server counts no more time for a correction than since it was told of it. */
  async function openCorrection() {
    if (!correcting || opened || Date.now() - openedTried < SAVE_AGAIN) return;
    openedTried = Date.now();
    try {
      await post(data.urls.correct, "{}");
      opened = true;
    } catch {
      // The next key or move tries again; why it may not be corrected is said when it is sent.
    }
  }

  function active() {
    lastActive = Date.now();
    openCorrection();
    // Also once the time is up: the place may still be free.
    if (Date.now() - lastRenewed > RENEW_EVERY && begun && !locked && !correcting) renew();
  }

  const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

  function showClock() {
    if (correcting) return;
    const left = Math.max(0, Math.round((expiresAt - Date.now()) / 1000));
    const spare = Math.max(0, Math.round((expiresAt - Date.now()) / 1000 + grace));
    clock.textContent = !begun ? "" : left ? minutes(left) : spare ? t("Time is up; yours for {time} more", { time: minutes(spare) }) : t("Time is up");
    clock.classList.toggle("warn", begun && left <= WARN_AT);
    if (!begun) return;
    if (left <= WARN_AT && left > 0 && !warned) {
      warned = true;
      say(t("Two minutes left. Go on working to keep this task."));
    }
    if (!left && !spare && notice.hidden && !locked) {
      tell("warning", t("The time for this task ran out. Your draft is saved; you can still finish, and your answer is taken."));
    }
  }

  function tick() {
    if (document.visibilityState === "visible" && Date.now() - lastActive < idleAfter) activeSeconds += 1;
    showClock();
  }

  // ---- the next task, fetched while this one is worked on

  async function fetchAhead() {
    if (correcting || !data.urls.ahead || ahead || signal.aborted) return;
    try {
      ahead = await post(data.urls.ahead, "{}");
    } catch {
      // Then the next one comes with the answer's acknowledgement, or from the queue.
    }
  }

  async function begin() {
    try {
      renewed(await post(data.urls.begin, "{}"));
      fetchAhead();
    } catch (error) {
      if (error instanceof Refused) tell("warning", error.message);
    }
  }

  // ---- submitting

  function setLock(on) {
    locked = on;
    lock(on);
  }

  /** Send the answer (an object): once, kept here until the server has it. */
  function submit(answer) {
    if (locked) return;
    const why = correcting ? root.querySelector("[data-reason]") : null;
    if (why && !why.value.trim()) {
      tell("error", t("Say in a few words why you correct your answer."));
      why.focus();
      return;
    }
    clearTimeout(saveTimer);
    keep();
    setLock(true);
    sendingDraft.abort(); // It is part of the answer, and would be refused where it arrived behind it.
    showStatus(t("Sending…"));
    const body = JSON.stringify({
      revision: data.revision,
      replaces: data.replaces,
      ...answer,
      ...(why && { reason: why.value.trim() }),
      active_seconds: activeSeconds,
    });
    const url = correcting || !data.urls.ahead ? data.urls.submit : `${data.urls.submit}?ahead=1${ahead ? `&has=${ahead.id}` : ""}`;
    send({ lease: data.id, url, page: location.pathname, key: data.idempotency_key, body });
    // The answer is safe in this browser, the next task is here: nothing to wait for.
    if (ahead) leave(ahead);
  }

  function leave(next) {
    if (!correcting && next && swap(next)) {
      leaving = true;
      clearTimeout(saveTimer);
      clearInterval(ticking);
      ending.abort();
      return;
    }
    if (waitingFor(data.id)) return; // The page may only go once the answer has arrived.
    leaving = true;
    location.assign(correcting ? data.urls.work : (next?.urls?.page ?? data.urls.next));
  }

  function listenForAnswer() {
    const on = (name, act) => document.addEventListener(`answer:${name}`, ({ detail }) => !leaving && act(detail), { signal });
    on("stored", ({ lease, result }) => {
      store.remove(draftOf(lease));
      if (lease === data.id) {
        showStatus(t("Stored"), "ok");
        say(t("Stored."));
        return leave(result?.next ?? null);
      }
      // The answer before this task: with it the server has begun this one and fetched the one behind it, or, after a
      // long time offline, begun another.
      if (result?.next?.id === data.id) renewed(result.next);
      else if (result?.next && version === 0 && !locked) return leave(result.next);
      ahead ??= result?.ahead ?? null;
      if (!ahead) fetchAhead();
      if (version > saved) save();
    });
    on("waits", ({ lease, signedOut }) => {
      if (lease !== data.id) {
        if (signedOut) tell("warning", t("You are signed out. Your answers are kept in this browser; sign in, and they are sent."), signIn());
        return;
      }
      showStatus(signedOut ? t("Signed out — answer waits") : t("Offline — answer waits"), "warn");
      if (signedOut) tell("warning", t("You are signed out. Your answer is kept in this browser; sign in, and it is sent."), signIn());
      else tell("warning", t("Offline — your answer waits in this browser and is sent when the connection is back."));
    });
    on("refused", ({ lease, message }) => {
      if (lease !== data.id) return;
      setLock(false);
      showStatus(t("Not taken"), "bad");
      tell("error", message);
    });
  }

  // ---- what is veiled

  /** Blurred text is not read out either, until it is asked for. */
  function veil() {
    const [cover, box] = [part("veil"), part("veil-show")];
    if (!cover) return;
    const draw = () => {
      for (const text of root.querySelectorAll("[data-prose], [data-pane-text]")) text.inert = !cover.hidden && !box.checked;
    };
    box.addEventListener("change", draw);
    draw();
  }

  // ---- dialogs

  function dialogs() {
    for (const opener of root.querySelectorAll("[data-open]")) {
      opener.addEventListener("click", () => open(opener.dataset.open));
    }
    for (const dialog of root.querySelectorAll("dialog")) {
      dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
      dialog.querySelector("[data-close]")?.addEventListener("click", () => dialog.close());
    }
    sends("skip", data.urls.skip, (fields) => ({ reason: [fields.get("reason"), fields.get("detail").trim()].filter(Boolean).join(": ") }), () => {
      locked = true;
      forget(data.id);
      store.remove(draftName);
      leave(null);
    });
    // What is written stays with the task: it comes back when the prompt does.
    sends("flag", data.urls.flag, marked, () => {
      locked = true;
      forget(data.id);
      leave(null);
    });
    sends("question", data.urls.question, (fields) => ({ text: fields.get("text") }), (dialog) => {
      dialog.querySelector("form").reset();
      dialog.close();
      say(t("Your question is sent. The answer comes to your queue page."));
      showStatus(t("Question sent"), "ok");
    });
  }

  async function marked(fields) {
    await save();
    const words = fields.get("words").trim();
    return { marks: words ? [{ words, kind: fields.get("kind") }] : [], note: fields.get("note").trim() };
  }

  /** What is selected in the prompt is what is meant, unless something stands there. */
  function fillFromSelection(dialog) {
    const [field, chosen] = [dialog.querySelector("[data-selection]"), getSelection()];
    const text = String(chosen).trim();
    if (field && !field.value && text && root.querySelector(".bench-prompt")?.contains(chosen.anchorNode)) field.value = text;
  }

  /** A dialog whose form goes out as JSON. */
  function sends(name, url, read, done) {
    const dialog = root.querySelector(`#${name}`);
    const form = dialog?.querySelector("form");
    form?.addEventListener("submit", async (event) => {
      event.preventDefault();
      const problem = form.querySelector("[data-problem]");
      const button = form.querySelector("button.primary");
      button.disabled = true;
      problem.hidden = true;
      try {
        await post(url, JSON.stringify(await read(new FormData(form))));
        done(dialog);
      } catch (error) {
        problem.textContent =
          error instanceof SignedOut
            ? t("You are signed out; sign in in another tab and try again.")
            : error instanceof Refused
              ? error.message
              : t("The server cannot be reached. Try again when you are online.");
        problem.hidden = false;
      }
      button.disabled = false;
    });
  }

  function open(name) {
    const dialog = root.querySelector(`#${name}`);
    if (root.querySelector("dialog[open]") || locked || !dialog) return;
    fillFromSelection(dialog);
    dialog.showModal();
  }

  let ticking = null;
  function start({ swapped = false } = {}) {
    const draftNow = newestDraft();
    activeSeconds = Number.isInteger(draftNow.active_seconds) ? draftNow.active_seconds : 0;
    adopt(draftNow);
    dialogs();
    veil();
    listenForAnswer();
    for (const name of ["keydown", "pointerdown", "wheel", "input"]) {
      window.addEventListener(name, active, { passive: true, capture: true, signal });
    }
    window.addEventListener("storage", onStorage, { signal });
    window.addEventListener("online", save, { signal });
    window.addEventListener("pagehide", onPageHide, { signal });
    // The form by which an answer is kept that was to be looked at again; looking is work, too.
    const keeping = root.querySelector("[data-keep]");
    keeping?.addEventListener("submit", () => (keeping.elements.active_seconds.value = activeSeconds));
    openCorrection();
    ticking = setInterval(tick, 1000);
    showClock();
    if (begun) fetchAhead();
    else if (!swapped) begin();
    if (swapped) return;
    forgetOldDrafts();
    const left = waitingFor(data.id);
    if (left?.refused) tell("error", left.refused);
    else if (left) {
      setLock(true);
      showStatus(t("Sending…"));
    }
    startOutbox();
  }

  return { data, signal, start, changed, submit, say, open, activeSeconds: () => activeSeconds, isLocked: () => locked };
}
