// One way to speak to our own API: JSON in, JSON out, the session's CSRF token, a time limit.
import { t } from "./words.js";

const GIVE_UP_AFTER = 20_000; // ms: a slow line gets an answer through in this, a dead one should not hold the page

/** The network failed or the server did: the same request may be sent again. */
export class Unreachable extends Error {}

/** The server knows nobody by this session; after signing in the same request may be sent again. */
export class SignedOut extends Error {}

/** The server understood and said no; `message` is its sentence. */
export class Refused extends Error {
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

function csrfToken() {
  // The cookie first: signing in again in another tab changes it, and the token in this page's HTML grows old.
  const cookie = document.cookie.match(/(?:^|;\s*)csrftoken=([^;]+)/);
  return cookie ? decodeURIComponent(cookie[1]) : (document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "");
}

/** POST `body` (a JSON text); `signal` gives it up. The answer's JSON, or null where it is empty. */
export function post(url, body, { key, keepalive = false, signal } = {}) {
  const headers = { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrfToken() };
  if (key) headers["Idempotency-Key"] = key;
  return answerTo(url, { method: "POST", headers, body, keepalive, signal });
}

/** GET. The answer's JSON. */
export const get = (url) => answerTo(url, { headers: { Accept: "application/json" }, cache: "no-store" });

async function answerTo(url, options) {
  let response;
  let answer = null;
  try {
    const late = AbortSignal.timeout(GIVE_UP_AFTER);
    const signal = options.signal ? AbortSignal.any([late, options.signal]) : late;
    response = await fetch(url, { ...options, signal, credentials: "same-origin" });
    const text = await response.text();
    if (text && response.headers.get("Content-Type")?.includes("json")) answer = JSON.parse(text);
  } catch (error) {
    throw new Unreachable(error.message);
  }
  if (response.ok) return answer;
  const { code, message } = answer?.error ?? {};
  if (response.status === 401 || code === "not_authenticated") throw new SignedOut(message);
  if (response.status >= 500 || response.status === 429 || response.status === 408) throw new Unreachable(message);
  throw new Refused(message ?? t("The server answered {status}.", { status: response.status }), response.status, code);
}
