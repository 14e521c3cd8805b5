// The page on which researchers grade one demonstration after the other: a digit is a grade, Enter sends it.
const form = document.querySelector("form[data-grading]");
const note = form?.elements.note;

function typed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const writing = event.target === note;
  if (!writing && /^[1-7]$/.test(event.key)) {
    const choice = form.querySelector(`input[name="grade"][value="${event.key}"]`);
    choice.checked = true;
    choice.focus();
    event.preventDefault();
  } else if (event.key === "Enter" && event.target.name === "grade") {
    form.requestSubmit();
    event.preventDefault();
  }
}

// For who speaks to the computer or lives with a screen reader, letters and digits alone do nothing.
if (form && !form.hasAttribute("data-no-keys")) document.addEventListener("keydown", typed);
