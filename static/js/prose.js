// Text of prompts and completions: the same characters, with fenced code and tables set apart. Text nodes only, never HTML.
const FENCE = /^[ \t]*(```|~~~)[^\n]*\n[\s\S]*?(?:^[ \t]*\1[ \t]*$|$(?![\s\S]))/gm;
// A row, the line that makes it a head, and the rows that follow: a pipe table of Markdown.
const TABLE = /^[ \t]*\|.*\|[ \t]*\n[ \t]*\|(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*$(?:\n[ \t]*\|.*\|[ \t]*$)*/gm;
const MOST_CELLS = 2_000; // a table larger than this stays text

export function layOut(element) {
  const pieces = cut(element.textContent, FENCE, codeBlock).flatMap((piece) => (typeof piece === "string" ? cut(piece, TABLE, table) : [piece]));
  if (pieces.some((piece) => typeof piece !== "string")) element.replaceChildren(...pieces);
}

/** `text` in pieces: what matches `pattern` as `make` makes it, the rest as it is. */
function cut(text, pattern, make) {
  const pieces = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    const made = make(match[0]);
    if (!made) continue;
    if (match.index > end) pieces.push(text.slice(end, match.index));
    pieces.push(made);
    end = match.index + match[0].length;
    // The block itself breaks the line.
    if (text[end] === "\n") end += 1;
  }
  if (end < text.length) pieces.push(text.slice(end));
  return pieces;
}

function codeBlock(text) {
  const code = document.createElement("code");
  code.className = "block";
  code.dir = "ltr";
  code.tabIndex = 0; // so that the keyboard can scroll a wide one
  code.textContent = text;
  return code;
}

function table(text) {
  const rows = text.split("\n").map((line) => line.trim().slice(1, -1).split(/(?<!\\)\|/));
  rows.splice(1, 1);
  if (rows.length * rows[0].length > MOST_CELLS) return null;
  const element = document.createElement("table");
  element.className = "prose";
  element.tabIndex = 0;
  for (const [index, cells] of rows.entries()) {
    const row = element.insertRow();
    for (const cell of cells) {
      const place = document.createElement(index ? "td" : "th");
      if (!index) place.scope = "col";
      place.dir = "auto";
      place.textContent = cell.trim().replaceAll("\\|", "|");
      row.append(place);
    }
  }
  return element;
}
