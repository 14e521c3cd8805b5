// What a labeler has said about one task, and what each move makes of it. Pure: no page, no clock.
//
// A task is { ids: in the order shown for rating, order: the ids in the order drawn for ranking, form: its definition }.
// A state adds to it { values: {id: {field: value}}, flags: {id: [name]}, ranks: {id: 1–K}, strength: 1–9 or null,
// same: [[id, id]], outcome, prompt: {flags, values}, step: "rate" | "rank", current: id, scale: the scale that the
// next digit is for, seen: [id] that were current, note, byRatings }. Equal ranks are a tie. Every move gives a new
// state: undo is the one before.

export const EVEN = 5; // the middle of the nine steps from "the first is much better" to "the second is"

const isEmpty = (value) => value === undefined || value === null || value === "";
const without = (values, key) => Object.fromEntries(Object.entries(values).filter(([name]) => name !== key));

/** The scales that digits fill in turn: those that need an answer, or all where none does. */
export function scalesOf(form) {
  const scales = form.completion.filter((field) => field.kind === "scale");
  const needed = scales.filter((field) => field.required);
  return needed.length ? needed : scales;
}

const needs = (form) => form.completion.filter((field) => field.required);

export const hasSteps = ({ form }) => form.order === "ranks" || (form.order === "strength" && scalesOf(form).length > 0);

/** The ids as the step shows them. A pair stays as it was shown: its scale runs from the first to the second. */
export const shownIn = (state) => (state.step === "rank" && state.form.order === "ranks" ? state.order : state.ids);

/** A fresh state of `task` with whatever of `draft` fits it. Nothing is ever filled in. */
export function begin(task, draft = {}) {
  const { ids, form } = task;
  const flagsOf = (fields, given) => fields.filter((field) => field.kind === "flag" && given?.includes?.(field.name)).map((field) => field.name);
  const valuesOf = (fields, given) =>
    Object.fromEntries(fields.filter((field) => field.kind !== "flag" && fits(field, given?.[field.name])).map((field) => [field.name, given[field.name]]));
  const each = (read) => Object.fromEntries(ids.map((id) => [id, read(id)]));
  const pair = (two) => Array.isArray(two) && two.length === 2 && two.every((id) => ids.includes(id));
  const isRank = (value) => Number.isInteger(value) && value >= 1 && value <= ids.length;
  const state = {
    ...task,
    values: each((id) => valuesOf(form.completion, draft.values?.[id])),
    flags: each((id) => flagsOf(form.completion, draft.flags?.[id])),
    ranks: Object.fromEntries(ids.filter((id) => isRank(draft.ranks?.[id])).map((id) => [id, draft.ranks[id]])),
    strength: Number.isInteger(draft.strength) && draft.strength >= 1 && draft.strength <= 9 ? draft.strength : null,
    same: Array.isArray(draft.same) ? draft.same.filter(pair) : [],
    outcome: ["all_bad", "cannot_rank"].includes(draft.outcome) ? draft.outcome : "ranked",
    prompt: { flags: flagsOf(form.prompt, draft.prompt?.flags), values: valuesOf(form.prompt, draft.prompt?.values) },
    step: firstStep(form, draft.step),
    seen: ids.filter((id) => draft.seen?.includes?.(id)),
    note: typeof draft.note === "string" ? draft.note : "",
    byRatings: draft.byRatings === true,
  };
  return goTo(state, ids.includes(draft.current) ? draft.current : (shownIn(state).find((id) => lacks(state, id)) ?? shownIn(state)[0]));
}

function firstStep(form, wanted) {
  if (form.order === "none") return "rate";
  if (form.order === "strength" && !scalesOf(form).length) return "rank";
  return wanted === "rank" ? "rank" : "rate";
}

function fits(field, value) {
  if (field.kind === "scale") return Number.isInteger(value) && value >= field.low && value <= field.high;
  if (field.kind === "choice") return field.options.some((option) => option.value === value);
  return typeof value === "string" && value.length <= field.max_characters;
}

/** What of `state` goes into the draft. */
export function toDraft({ values, flags, ranks, strength, same, outcome, prompt, step, current, seen, note, byRatings }) {
  return { values, flags, ranks, strength, same, outcome, prompt, step, current, seen, note, byRatings };
}

/** The answer as it is sent. */
export function toAnswer(state) {
  const { form, ids, outcome } = state;
  const ranked = form.order === "ranks" && outcome !== "cannot_rank";
  const completions = ids.map((id) => {
    const { rating = null, ...values } = state.values[id];
    return { id, rank: ranked ? (state.ranks[id] ?? null) : null, rating, flags: state.flags[id], values };
  });
  return {
    outcome,
    completions,
    strength: form.order === "strength" && outcome === "ranked" ? state.strength : null,
    same: ranked ? state.same : [],
    by_ratings: ranked && state.byRatings,
    prompt: state.prompt,
    note: state.note,
  };
}

/** What an answer given earlier would be as a draft, for correcting it. */
export function fromAnswer(answer) {
  if (!answer?.completions) return {};
  const each = (read) => Object.fromEntries(answer.completions.map((judged) => [judged.id, read(judged)]));
  return {
    ...answer,
    byRatings: answer.by_ratings,
    values: each(({ rating, values }) => (isEmpty(rating) ? { ...values } : { ...values, rating })),
    ranks: each(({ rank }) => rank),
    flags: each(({ flags }) => flags),
    seen: answer.completions.map(({ id }) => id),
    step: "rank",
  };
}

// ---- what is missing

export const lacks = (state, id) =>
  state.step === "rate" || state.form.order !== "ranks" ? !isRated(state, id) : !(id in state.ranks);

export const isRated = (state, id) => needs(state.form).every((field) => !isEmpty(state.values[id][field.name]));
export const unrated = (state) => state.ids.filter((id) => !isRated(state, id));
export const unranked = (state) => (state.form.order === "ranks" ? shownIn({ ...state, step: "rank" }).filter((id) => !(id in state.ranks)) : []);
// Where nothing has to be said of a completion, it has to be looked at: they are shown one at a time.
export const unseen = (state) => (state.form.order === "none" && !needs(state.form).length ? state.ids.filter((id) => !state.seen.includes(id)) : []);
export const unsaid = (state) => state.form.prompt.filter((field) => field.required && isEmpty(state.prompt.values[field.name]));

export function isComplete(state) {
  if (state.outcome === "cannot_rank") return true;
  if (state.outcome === "all_bad") return unranked(state).length === 0 || unranked(state).length === state.ids.length;
  const ordered = state.form.order !== "strength" || state.strength !== null;
  return ordered && unrated(state).length + unranked(state).length + unseen(state).length + unsaid(state).length === 0;
}

/** Pairs [better rated, ranked above it] in which the order says the opposite of the ratings. */
export function contradictions({ ids, values, ranks, form, strength }) {
  const said = form.order === "strength" ? ranksOf(ids, strength) : ranks;
  const pairs = ids.flatMap((a) => ids.map((b) => [a, b]));
  return pairs.filter(([a, b]) => values[a].rating > values[b].rating && said[a] > said[b]);
}

const ranksOf = ([first, second], strength) =>
  strength === null ? {} : { [first]: strength > EVEN ? 2 : 1, [second]: strength < EVEN ? 2 : 1 };

// ---- moves

/** The id after `current` (cyclic, in the order of the step) that `test` wants, or null where there is none. */
function nextWhere(state, current, test) {
  const shown = shownIn(state);
  const start = shown.indexOf(current) + 1;
  return [...shown.slice(start), ...shown.slice(0, start)].find(test) ?? null;
}

export function goTo(state, id) {
  const scales = scalesOf(state.form);
  const next = scales.find((field) => isEmpty(state.values[id][field.name])) ?? scales[0];
  const seen = state.seen.includes(id) ? state.seen : [...state.seen, id];
  return { ...state, current: id, scale: next?.name ?? null, seen };
}

export function setStep(state, step) {
  const moved = { ...state, step };
  const shown = shownIn(moved);
  return goTo(moved, shown.find((id) => lacks(moved, id)) ?? (shown.includes(state.current) ? state.current : shown[0]));
}

/** Sets a field of one completion; null takes it away. */
export function setValue(state, id, name, value) {
  const own = isEmpty(value) ? without(state.values[id], name) : { ...state.values[id], [name]: value };
  return { ...state, values: { ...state.values, [id]: own }, current: id, scale: state.current === id ? state.scale : (scalesOf(state.form)[0]?.name ?? null) };
}

/** Sets the scale at hand and goes on: to the next scale, the next unrated completion, or, once all are rated, the ranking. */
export function rateAndGoOn(state, value) {
  const id = state.current;
  const scales = scalesOf(state.form);
  const at = scales.findIndex((field) => field.name === state.scale);
  const wasRated = isRated(state, id);
  const rated = setValue(state, id, state.scale, value);
  if (at + 1 < scales.length) return { ...rated, scale: scales[at + 1].name };
  const next = nextWhere(rated, id, (other) => other !== id && !isRated(rated, other));
  if (next) return goTo(rated, next);
  if (wasRated || !isRated(rated, id) || state.form.order === "none") return { ...rated, scale: scales[0].name };
  return setStep(rated, "rank");
}

const toggled = (list, name, on) => [...list.filter((other) => other !== name), ...(on ? [name] : [])];

export const setFlag = (state, id, name, on) =>
  goTo({ ...state, flags: { ...state.flags, [id]: toggled(state.flags[id], name, on) } }, id);

export const setPromptFlag = (state, name, on) => ({ ...state, prompt: { ...state.prompt, flags: toggled(state.prompt.flags, name, on) } });

export function setPromptValue(state, name, value) {
  const values = isEmpty(value) ? without(state.prompt.values, name) : { ...state.prompt.values, [name]: value };
  return { ...state, prompt: { ...state.prompt, values } };
}

// An order changed by hand is no longer the one of the ratings, and two that were said to be the same stay so only while
// they are tied, or neither is ranked.
const reordered = (state, ranks) => ({ ...state, ranks, byRatings: false, same: state.same.filter(([a, b]) => ranks[a] === ranks[b]) });

/** Gives `id` this rank, beside whatever has it already, and with it what is the same and has none yet; 0 takes its rank away. */
export function rank(state, id, value) {
  if (!value) return goTo(reordered(state, without(state.ranks, id)), id);
  const ranks = { ...state.ranks, [id]: value };
  for (const pair of state.same.filter((pair) => pair.includes(id))) {
    const other = pair.find((one) => one !== id);
    ranks[other] ??= value;
  }
  return goTo(reordered(state, ranks), id);
}

export function rankAndGoOn(state, id, value) {
  const ranked = rank(state, id, value);
  return goTo(ranked, nextWhere(ranked, id, (other) => !(other in ranked.ranks)) ?? id);
}

/** Puts `id` alone at `value`; those at that rank and right behind it make room, as books on a shelf do. */
export function insert(state, id, value) {
  const ranks = without(state.ranks, id);
  const taken = new Set(Object.values(ranks));
  let free = value;
  while (taken.has(free)) free += 1;
  for (const other of Object.keys(ranks)) if (ranks[other] >= value && ranks[other] < free) ranks[other] += 1;
  ranks[id] = value;
  return goTo(reordered(state, free > state.ids.length ? closeGaps(ranks) : ranks), id);
}

/** The same order and ties with ranks 1, 2, 3 … and none left out. */
function closeGaps(ranks) {
  const levels = [...new Set(Object.values(ranks))].sort((a, b) => a - b);
  return Object.fromEntries(Object.entries(ranks).map(([id, value]) => [id, levels.indexOf(value) + 1]));
}

/** The order that the ratings say, equal ratings tied; the same state where one is not rated yet. */
export function orderByRatings(state) {
  const ratings = state.ids.map((id) => state.values[id].rating);
  if (state.form.order !== "ranks" || ratings.some(isEmpty)) return state;
  const best = Math.max(...ratings);
  const ranks = closeGaps(Object.fromEntries(state.ids.map((id, index) => [id, best + 1 - ratings[index]])));
  return { ...reordered(state, ranks), byRatings: true };
}

/** Says that two are the same, or takes that back. What is the same is tied: at the better rank of the two, or none yet. */
export function toggleSame(state, a, b) {
  const isPair = (pair) => pair.includes(a) && pair.includes(b);
  if (state.same.some(isPair)) return { ...state, same: state.same.filter((pair) => !isPair(pair)) };
  if (state.form.order === "strength") return { ...state, same: [[a, b]], strength: EVEN };
  const given = [state.ranks[a], state.ranks[b]].filter((value) => value !== undefined);
  const better = given.length ? Math.min(...given) : null;
  const tied = better === null ? state : reordered(state, { ...state.ranks, [a]: better, [b]: better });
  return { ...tied, same: [...tied.same, [a, b]] };
}

/** How much better: from 1, the first shown is much better, over 5, they are even, to 9, the second is. */
export const setStrength = (state, strength) => ({ ...state, strength, same: strength === EVEN ? state.same : [] });

export const setOutcome = (state, outcome) => ({ ...state, outcome: state.outcome === outcome ? "ranked" : outcome });

export function move(state, by) {
  const shown = shownIn(state);
  const index = shown.indexOf(state.current) + by;
  return goTo(state, shown[Math.max(0, Math.min(shown.length - 1, index))]);
}
