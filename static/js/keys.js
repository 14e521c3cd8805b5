// Which key does what on the task pages. People change single-letter keys that clash with their screen reader, or turn
// them off: `data-keys` of the body holds {"off": bool, command: key} as the account page stored it.

export const COMMANDS = {
  by_ratings: "b",
  undo: "u",
  step: "r",
  skip: "s",
  compare: "c",
  note: "n",
  guidelines: "g",
  question: "q",
  flag: "p",
  prompt: "t",
  all_bad: "w",
  cannot_rank: "y",
  same: "z",
  preview: "F9",
  suggest: "F8",
  use_suggestion: "F4",
  keys: "?",
};

function ownKeys() {
  try {
    return JSON.parse(document.body.dataset.keys || "{}") ?? {};
  } catch {
    return {};
  }
}

/**
 * The keys of this labeler: { keyOf(command), commandOf(event), flagOf(event, fields) }. A key that a command was given
 * is taken from the flag that has it by its form, and from the command whose usual key it is: one that came later than
 * the choice. Nothing answers to a letter where letters are turned off.
 */
export function readKeys() {
  const own = ownKeys();
  const chosen = new Set(Object.keys(COMMANDS).map((command) => own[command]));
  const keyFor = (command, usual) => own[command] ?? (chosen.has(usual) ? "" : usual);
  const keys = Object.fromEntries(Object.entries(COMMANDS).map(([command, usual]) => [command, keyFor(command, usual)]));
  const commands = new Map(Object.entries(keys).map(([command, key]) => [key, command]));
  const pressed = (event) => (event.key.length === 1 ? event.key.toLowerCase() : event.key);
  const isOff = (key) => own.off === true && key.length === 1;
  const free = (key) => key && !commands.has(key) && !isOff(key);
  return {
    keyOf: (command) => (isOff(keys[command]) ? "" : keys[command]),
    flagKey: (field) => (free(field.key) ? field.key : ""),
    commandOf: (event) => (isOff(pressed(event)) ? null : (commands.get(pressed(event)) ?? null)),
    flagOf: (event, fields) => fields.find((field) => field.kind === "flag" && field.key === pressed(event) && free(field.key)) ?? null,
  };
}

/** Write each command's key on its control: every [data-key=command] in `root`. */
export function showKeys(root, { keyOf }) {
  for (const sign of root.querySelectorAll("[data-key]")) {
    const key = keyOf(sign.dataset.key);
    sign.textContent = key;
    sign.hidden = !key;
    const control = sign.closest("button, summary");
    if (control && key) control.setAttribute("aria-keyshortcuts", key);
    else control?.removeAttribute("aria-keyshortcuts");
  }
}
