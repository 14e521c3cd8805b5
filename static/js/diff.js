// The words in which two texts differ. Pure.
const MOST_CELLS = 4_000_000; // of the table: 2,000 words against 2,000, a tenth of a second

/** Words, the space between them and every other sign, to the byte: joined they are the text again. */
const cut = (text) => text.match(/[\p{L}\p{N}\p{M}'’]+|\s+|[^\p{L}\p{N}\p{M}\s]/gu) ?? [];

/**
 * Two lists of [text, differs] pieces, which joined are `left` and `right`; null where the texts are too long and too
 * unlike to be compared while one waits. What both have in common is a longest common subsequence of their words.
 */
export function compareWords(left, right) {
  const [a, b] = [cut(left), cut(right)];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  const [n, m] = [a.length - head - tail, b.length - head - tail];
  if (n * m > MOST_CELLS) return null;
  // best[i][j]: words in common of what follows a[head + i] and b[head + j].
  const wide = m + 1;
  const best = new Uint16Array((n + 1) * wide);
  for (let i = n - 1; i >= 0; i -= 1) {
    for (let j = m - 1; j >= 0; j -= 1) {
      const here = i * wide + j;
      best[here] = a[head + i] === b[head + j] ? best[here + wide + 1] + 1 : Math.max(best[here + wide], best[here + 1]);
    }
  }
  const [inLeft, inRight] = [new Array(a.length).fill(false), new Array(b.length).fill(false)];
  for (let i = 0, j = 0; i < n || j < m; ) {
    if (i < n && j < m && a[head + i] === b[head + j]) {
      i += 1;
      j += 1;
    } else if (j >= m || (i < n && best[(i + 1) * wide + j] >= best[i * wide + j + 1])) {
      inLeft[head + i] = true;
      i += 1;
    } else {
      inRight[head + j] = true;
      j += 1;
    }
  }
  return [pieces(a, inLeft), pieces(b, inRight)];
}

function pieces(words, differs) {
  const list = [];
  words.forEach((word, index) => {
    if (list.length && list.at(-1)[1] === differs[index]) list.at(-1)[0] += word;
    else list.push([word, differs[index]]);
  });
  return list;
}
