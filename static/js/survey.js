// <form data-survey="id">: what is chosen survives a reload. It stays in this tab alone and goes with it, since the next
// one at this computer shall not find it; a round that was answered is forgotten at once.
const key = (round) => `kwise:survey:${document.body.dataset.user}:${round}`;

function keep(form) {
  const chosen = [...new FormData(form)].filter(([name, value]) => name !== "csrfmiddlewaretoken" && value);
  sessionStorage.setItem(key(form.dataset.survey), JSON.stringify(chosen));
}

function restore(form) {
  let chosen;
  try {
    chosen = JSON.parse(sessionStorage.getItem(key(form.dataset.survey)) ?? "[]");
  } catch {
    return;
  }
  for (const [name, value] of chosen) {
    for (const field of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
      if (field instanceof HTMLSelectElement) field.value = value;
      else if (field.value === value) field.checked = true;
    }
  }
}

for (const form of document.querySelectorAll("form[data-survey]")) {
  restore(form);
  form.addEventListener("change", () => keep(form));
}
for (const row of document.querySelectorAll("[data-survey-answered]")) sessionStorage.removeItem(key(row.dataset.surveyAnswered));
