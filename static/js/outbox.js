// Answers on their way. An answer is kept in this browser before it is sent and until the server has it, so that a
// lost connection, a reload or a closed lid loses nothing. It goes out again to the byte, with the same key: the server
// stores it once and gives the first acknowledgement again.
import { post, Refused, SignedOut } from "./request.js";
import { t } from "./words.js";

const FIRST_RETRY = 2_000; // ms; doubles up to:
const LAST_RETRY = 30_000; // ms: a labeler who looks up should see it go soon after the network is back

// Answers of another person at this browser wait until that person signs in.
const user = document.body.dataset.user ?? "";
const prefix = `kwise:answer:${user}:`;
const inTransit = new Map();
let wait = FIRST_RETRY;
let timer = null;

/** A browser that refuses storage still works, without surviving a reload. */
const fallback = new Map();
export const store = {
  get(name) {
    try {
      return JSON.parse(localStorage.getItem(name) ?? fallback.get(name) ?? "null");
    } catch {
      return null;
    }
  },
  set(name, value) {
    const text = JSON.stringify(value);
    try {
      localStorage.setItem(name, text);
    } catch {
      fallback.set(name, text);
    }
  },
  remove(name) {
    fallback.delete(name);
    try {
      localStorage.removeItem(name);
    } catch {
      // Nothing was stored there.
    }
  },
  names() {
    try {
      return [...Object.keys(localStorage), ...fallback.keys()];
    } catch {
      return [...fallback.keys()];
    }
  },
};

/** The answer of this lease that is still here: {lease, url, page, key, body, refused?}, or null. */
export const waitingFor = (lease) => store.get(prefix + lease);

export const forget = (lease) => {
  store.remove(prefix + lease);
  show();
};

function waiting() {
  const names = user ? store.names().filter((name) => name.startsWith(prefix)) : [];
  return names.map((name) => store.get(name)).filter(Boolean);
}

/**
 * Keep `entry` and send it now. Tells the document by an event how it went, at once and on every later try:
 * `answer:stored`, `answer:waits` (detail.signedOut), `answer:refused` (detail.message); detail.lease names it.
 */
export function send(entry) {
  store.set(prefix + entry.lease, entry);
  wait = FIRST_RETRY;
  return deliver(entry);
}

function deliver(entry) {
  // A double click, or the retry meeting the first try: one request at a time for one answer.
  if (!inTransit.has(entry.lease)) {
    inTransit.set(entry.lease, attempt(entry).finally(() => inTransit.delete(entry.lease)));
  }
  return inTransit.get(entry.lease);
}

async function attempt(entry) {
  const tell = (name, detail) =>
    document.dispatchEvent(new CustomEvent(`answer:${name}`, { detail: { lease: entry.lease, ...detail } }));
  try {
    const result = await post(entry.url, entry.body, { key: entry.key });
    forget(entry.lease);
    tell("stored", { result });
  } catch (error) {
    if (error instanceof Refused) {
      // Sending it again would get the same answer. It stays here, to be looked at.
      store.set(prefix + entry.lease, { ...entry, refused: error.message });
      tell("refused", { message: error.message, status: error.status });
    } else {
      tell("waits", { signedOut: error instanceof SignedOut });
      retryLater();
    }
  }
  show();
}

function retryLater() {
  clearTimeout(timer);
  timer = setTimeout(deliverAll, wait);
  wait = Math.min(wait * 2, LAST_RETRY);
}

function deliverAll() {
  for (const entry of waiting()) if (!entry.refused) deliver(entry);
}

function show() {
  const badge = document.querySelector("[data-outbox-count]");
  if (!badge) return;
  const entries = waiting();
  const refused = entries.filter((entry) => entry.refused);
  badge.hidden = entries.length === 0;
  badge.replaceChildren();
  if (refused.length) {
    const link = document.createElement("a");
    link.href = refused[0].page;
    link.textContent = t("An answer was not taken");
    badge.append(link);
  } else if (entries.length) {
    badge.textContent = entries.length === 1 ? t("Offline — 1 answer waiting") : t("Offline — {count} answers waiting", { count: entries.length });
  }
}

/** Send what an earlier page left, and again whenever the network comes back. */
export function startOutbox() {
  if (!user) return;
  const now = () => {
    wait = FIRST_RETRY;
    deliverAll();
  };
  window.addEventListener("online", now);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && now());
  now();
}
