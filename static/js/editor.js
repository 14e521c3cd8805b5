// A writing field: one <textarea> with what surrounds it in templates/demos/_editor.html. It counts words, says how many
// are wanted, shows the text as Markdown looks, and counts the characters that came by paste or drop.
//
//   const editor = openEditor(textarea, { changed, say });
//
//   changed()           is called after each change by the labeler, not after set()
//   say(text)           tells a screen reader
//   editor.value        the text, to the byte
//   editor.pasted       how many of its characters were pasted or dropped in (Unicode code points)
//   editor.blank        whether there is nothing but white space
//   editor.set(text, pasted = 0)  show another text; the caret stays where the text is the same
//   editor.insert(text) put text in place of the selection, as if it were typed: it can be undone, and is no paste
//   editor.lock(on)     read-only while an answer is on its way
//   editor.hint(on)     whether the number of words that is wanted applies to this text
//   editor.preview(on)  show the preview, or the field again; without an argument the other one
//   editor.focus()      to the field, or to the preview where that is shown
import { post, Refused, SignedOut } from "./request.js";
import { t } from "./words.js";

/** Words as the labeler's language cuts them; scripts without spaces count too. */
const cutter = typeof Intl.Segmenter === "function" ? new Intl.Segmenter(undefined, { granularity: "word" }) : null;

export function countWords(text) {
  if (!cutter) return text.split(/\s+/).filter(Boolean).length;
  let words = 0;
  for (const piece of cutter.segment(text)) if (piece.isWordLike) words += 1;
  return words;
}

/** Code points, as the server counts characters; a line end is one, as the field keeps it. */
const characters = (text) => [...text.replace(/\r\n?/g, "\n")].length;

// What was last copied, cut or dragged out of one of these fields, and how much was pasted there: moving one's own text
// about is no pasting.
let own = { text: null, pasted: 0 };

export function openEditor(field, { changed = () => {}, say = () => {} } = {}) {
  const box = field.closest("[data-editor]");
  const part = (name) => box.querySelector(`[data-${name}]`);
  const pane = part("preview");
  const views = part("views");
  const low = Number(box.dataset.wordsLow) || null;
  const high = Number(box.dataset.wordsHigh) || null;
  let hinting = true;
  let pasted = 0;
  let length = null; // "short", "right" or "long": said when it changes
  let asked = 0; // which preview was asked for last
  let scrolled = 0;

  // ---- counting

  function wanted() {
    if (!hinting || (!low && !high)) return "";
    if (low && high) return low === high ? t("{low} are wanted", { low }) : t("{low} to {high} are wanted", { low, high });
    return low ? t("{low} or more are wanted", { low }) : t("up to {high} are wanted", { high });
  }

  function draw({ aloud }) {
    const words = countWords(field.value);
    const counted = words === 1 ? t("1 word") : t("{count} words", { count: words });
    part("count").textContent = wanted() ? `${counted}; ${wanted()}` : counted;
    const now = low && words < low ? "short" : high && words > high ? "long" : "right";
    part("count").classList.toggle("warn", Boolean(wanted()) && now === "long");
    if (aloud && wanted() && now !== length) {
      say({ short: t("Shorter than wanted: {counted}.", { counted }), right: t("As long as wanted: {counted}.", { counted }), long: t("Longer than wanted: {counted}.", { counted }) }[now]);
    }
    length = now;
  }

  function bring(text) {
    if (field.readOnly || !text) return;
    if (text === own.text) pasted = Math.max(pasted, own.pasted);
    else pasted += characters(text);
  }

  function keepOwn() {
    const text = field.value.slice(field.selectionStart, field.selectionEnd);
    if (text) own = { text, pasted: Math.min(pasted, characters(text)) };
  }

  field.addEventListener("paste", (event) => bring(event.clipboardData?.getData("text/plain")));
  field.addEventListener("drop", (event) => bring(event.dataTransfer?.getData("text/plain")));
  for (const name of ["copy", "cut", "dragstart"]) field.addEventListener(name, keepOwn);
  field.addEventListener("input", () => {
    // What was pasted and is gone again does not count; never more than there is.
    pasted = Math.min(pasted, characters(field.value));
    draw({ aloud: true });
    changed();
  });

  // ---- the preview, which the server makes: it alone knows how Markdown becomes HTML that can do no harm

  const previewing = () => !pane.hidden;

  async function show() {
    const mine = (asked += 1);
    pane.textContent = t("One moment…");
    try {
      const { html } = await post(box.dataset.previewUrl, JSON.stringify({ text: field.value }));
      if (mine !== asked) return;
      pane.innerHTML = html;
      // A link would leave the page.
      for (const link of pane.querySelectorAll("a")) link.target = "_blank";
      if (!pane.textContent.trim()) pane.textContent = t("There is nothing to show yet.");
    } catch (error) {
      if (mine !== asked) return;
      pane.textContent =
        error instanceof SignedOut
          ? t("You are signed out; the preview needs you signed in. Your text is kept.")
          : error instanceof Refused
            ? error.message
            : t("The preview needs the connection, and there is none. Your text is kept; go on writing.");
      say(pane.textContent);
    }
  }

  function preview(on = !previewing()) {
    if (on === previewing()) return;
    // A field that is not shown forgets how far it was scrolled; caret and selection it keeps.
    if (on) scrolled = field.scrollTop;
    const moves = box.contains(document.activeElement) || document.activeElement === document.body;
    pane.hidden = !on;
    field.hidden = on;
    for (const button of views.querySelectorAll("[data-view]")) {
      button.setAttribute("aria-pressed", String((button.dataset.view === "preview") === on));
    }
    if (on) show();
    if (moves) focus();
    if (!on) field.scrollTop = scrolled;
  }

  const focus = () => (previewing() ? pane : field).focus({ preventScroll: true });

  for (const button of views.querySelectorAll("[data-view]")) {
    button.addEventListener("click", () => preview(button.dataset.view === "preview"));
  }
  views.hidden = false;

  // ----

  function set(text, pastedBefore = 0) {
    pasted = pastedBefore;
    if (field.value !== text) {
      field.value = text;
      if (previewing()) show();
    }
    draw({ aloud: false });
  }

  function insert(text) {
    preview(false);
    field.focus();
    // Deprecated, and the one way that the browser's own undo knows of.
    if (!document.execCommand("insertText", false, text)) {
      field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  draw({ aloud: false });
  return {
    get value() {
      return field.value;
    },
    get pasted() {
      return pasted;
    },
    get blank() {
      return field.value.trim() === "";
    },
    set,
    insert,
    preview,
    focus,
    lock(on) {
      field.readOnly = on;
    },
    hint(on) {
      hinting = on;
      draw({ aloud: false });
    },
  };
}
