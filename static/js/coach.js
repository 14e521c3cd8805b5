// The notes beside a practice task: the one that is shown follows what the labeler does. It reads what the task's own
// script tells of its state, and changes nothing about the work.
import { store } from "./outbox.js";
import { isRated } from "./ranking_state.js";
import { t } from "./words.js";

const CLOSED = `kwise:coach:${document.body.dataset.user ?? ""}`;

const hasTie = ({ ranks }) => new Set(Object.values(ranks)).size < Object.keys(ranks).length;

/** What a note may wait for, and whether it has happened in a state of the task. `closed:<dialog>` is another. */
const HAPPENED = {
  rated: (state) => state.ids.some((id) => isRated(state, id)),
  rated_all: (state) => state.ids.every((id) => isRated(state, id)),
  ranked_all: (state) => state.ids.every((id) => id in state.ranks),
  tied: hasTie,
  same: (state) => state.same.length > 0,
  by_ratings: (state) => state.byRatings,
  all_bad: (state) => state.outcome === "all_bad",
  flagged: (state) => state.ids.some((id) => state.flags[id].length > 0),
  strength: (state) => state.strength !== null,
  written: (state) => state.text.trim().length >= 40,
};

function openCoach(coach) {
  const notes = [...coach.querySelectorAll("[data-note]")];
  const done = new Set();
  const back = coach.querySelector("[data-back]");
  const next = coach.querySelector("[data-forth]");
  const live = coach.querySelector("[data-coach-live]");
  const place = coach.querySelector("[data-coach-place]");
  let at = null;

  function show(index) {
    if (index === at) return;
    at = index;
    notes.forEach((note, each) => (note.hidden = each !== at));
    back.disabled = at === 0;
    next.disabled = at === notes.length - 1;
    place.textContent = t("Note {place} of {count}", { place: at + 1, count: notes.length });
    // Said after whatever the move itself says; nothing while the notes are closed.
    if (coach.open) live.textContent = notes[at].textContent.trim();
  }

  /** On to the note behind the last that is done: who has gone on needs no note about what was before. */
  function follow() {
    const behind = Math.min(notes.findLastIndex((note) => done.has(note)) + 1, notes.length - 1);
    show(Math.max(at ?? 0, behind));
  }

  document.addEventListener("task:state", ({ detail }) => {
    for (const note of notes) if (HAPPENED[note.dataset.note]?.(detail)) done.add(note);
    follow();
  });
  // A dialog's close does not bubble.
  document.addEventListener(
    "close",
    ({ target }) => {
      for (const note of notes) if (note.dataset.note === `closed:${target.id}`) done.add(note);
      follow();
    },
    true,
  );
  // By hand, too: whoever knows a thing already need not do it.
  back.addEventListener("click", () => show(at - 1));
  next.addEventListener("click", () => show(at + 1));
  coach.addEventListener("toggle", () => store.set(CLOSED, !coach.open));
  if (store.get(CLOSED)) coach.open = false;
  coach.hidden = false;
}

for (const coach of document.querySelectorAll("[data-coach]")) openCoach(coach);
