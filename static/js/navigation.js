// The groups of the main navigation: they open without this script; it closes one at Escape, and when the focus or a
// click goes elsewhere.
export function attach(root) {
  for (const group of root.querySelectorAll("details[data-nav-group]:not([data-nav-on])")) {
    group.setAttribute("data-nav-on", "");
    group.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !group.open) return;
      event.stopPropagation();
      group.open = false;
      group.querySelector("summary").focus();
    });
    group.addEventListener("focusout", ({ relatedTarget }) => {
      if (relatedTarget && !group.contains(relatedTarget)) group.open = false;
    });
    document.addEventListener("pointerdown", ({ target }) => {
      if (!group.contains(target)) group.open = false;
    });
  }
}
