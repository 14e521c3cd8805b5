// The words of the interface in the reader's language; the English ones are their own names.
//
// The page names the module that has them (base.html) and has asked for it already. Whoever imports this one waits for
// it, so that nothing is said before its words are here. English names none.
const address = document.documentElement.dataset.words;
const words = address ? (await import(address)).default : {};

/** `text` in that language, with `values` for what stands in braces. The text is a literal: a test looks for it. */
export function t(text, values = {}) {
  return (words[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}
