// Texts with the words marked in which they differ.
import { compareWords } from "./diff.js";

/** Nodes that show the pieces of `compareWords`; what differs stands in elements called `tag`. Never HTML. */
export function markedNodes(pieces, tag) {
  return pieces.map(([words, differs]) => {
    if (!differs) return document.createTextNode(words);
    const mark = document.createElement(tag);
    mark.textContent = words;
    return mark;
  });
}

/** Show `before` and `after` in these two elements, what differs marked. False, and nothing changed, where it cannot be. */
export function showDifferences([left, right], [before, after]) {
  const marked = compareWords(before, after);
  if (!marked) return false;
  left.replaceChildren(...markedNodes(marked[0], "del"));
  right.replaceChildren(...markedNodes(marked[1], "ins"));
  return true;
}
