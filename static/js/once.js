// Every plain POST form goes out once, however often its button is pressed. HTMX forms have hx-disabled-elt.
// Attributes, not form.dataset: a field called "dataset" stands in its place.
export function attach(root) {
  for (const form of root.querySelectorAll("form[method=post]:not([data-once-on], [data-task], [hx-post])")) {
    form.setAttribute("data-once-on", "");
    form.addEventListener("submit", (event) => {
      if (event.defaultPrevented) return;
      if (form.hasAttribute("data-sent")) return event.preventDefault();
      form.setAttribute("data-sent", "");
    });
    // Back to this page from the browser's cache: the form may be used again.
    window.addEventListener("pageshow", (event) => event.persisted && form.removeAttribute("data-sent"));
  }
}
