// An answer before and after its edit, on pages that only show it: what differs is marked.
import { showDifferences } from "./marked.js";

for (const edit of document.querySelectorAll("[data-edit-shown]")) {
  const texts = [...edit.querySelectorAll("[data-text]")];
  if (texts.length === 2) showDifferences(texts, texts.map((text) => text.textContent));
}
