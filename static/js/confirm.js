// <form data-confirm="Stop this run?">: asks before it sends.
export function attach(root) {
  for (const form of root.querySelectorAll("form[data-confirm]:not([data-confirm-on])")) {
    form.setAttribute("data-confirm-on", "");
    form.addEventListener("submit", (event) => {
      if (!window.confirm(form.getAttribute("data-confirm"))) {
        event.preventDefault();
        event.stopImmediatePropagation();
      }
    });
  }
}
