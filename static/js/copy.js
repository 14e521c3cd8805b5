// <button data-copy="element id">: copies that element's text or value, and says so on the button.
import { t } from "./words.js";

const SAID_FOR = 1500; // ms: long enough to read one word

export function attach(root) {
  for (const button of root.querySelectorAll("button[data-copy]:not([data-copy-on])")) {
    button.dataset.copyOn = "";
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      const label = button.textContent;
      try {
        await navigator.clipboard.writeText(source.value ?? source.textContent);
        button.textContent = t("Copied");
      } catch {
        // No permission, or not a secure context: select it for the person to copy.
        window.getSelection().selectAllChildren(source);
        button.textContent = t("Press Ctrl+C");
      }
      setTimeout(() => (button.textContent = label), SAID_FOR);
    });
  }
}
