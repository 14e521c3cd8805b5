// What every page has: behaviours found through data- attributes, attached again to whatever HTMX brings in.
import { attach as confirm } from "./confirm.js";
import { attach as copy } from "./copy.js";
import { attach as navigation } from "./navigation.js";
import { attach as once } from "./once.js";
import { startOutbox } from "./outbox.js";
import { layOut } from "./prose.js";

function attachAll(root) {
  for (const attach of [confirm, copy, navigation, once]) attach(root);
}

attachAll(document);
// Once: a text that is laid out is another text.
for (const text of document.querySelectorAll("[data-prose]")) layOut(text);
document.addEventListener("htmx:load", (event) => attachAll(event.target));
startOutbox();
