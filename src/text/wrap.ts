/**
 * Prose in lines of a given width, broken between words. A word that is longer than a line (a path, the id of
 * a cell) has a line of its own and is never cut, so that it can be copied. What KEEP stands between stays on
 * one line.
 */

/** A space at which no line is broken. */
export const KEEP = "\u00a0";

/** Characters that a terminal shows: code points, which is enough for what we print. */
export function textWidth(s: string): number {
  let n = 0;
  for (const _ of s) n++;
  return n;
}

/** The lines of `text`, at most `width` wide; [""] for an empty one. Newlines stay. */
export function wrapWords(text: string, width: number): string[] {
  return text.split("\n").flatMap((paragraph) => wrapParagraph(paragraph, width).map(unkept));
}

const unkept = (line: string): string => line.replaceAll(KEEP, " ");

function wrapParagraph(paragraph: string, width: number): string[] {
  if (textWidth(paragraph) <= width) return [paragraph];
  const lines: string[] = [];
  let line = "";
  for (const word of paragraph.split(/ +/)) {
    if (line !== "" && textWidth(line) + 1 + textWidth(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** As `wrapWords`, with `first` before the first line and `rest` before the others; they count as width. */
export function wrapIndented(text: string, width: number, first: string, rest: string): string[] {
  const room = Math.max(1, width - Math.max(textWidth(first), textWidth(rest)));
  return wrapWords(text, room).map((line, i) => (i === 0 ? first : rest) + line);
}

/** Width of the longest word: what a column of wrapped text needs at least. */
export function longestWord(text: string): number {
  return text.split(/\s+/).reduce((w, word) => Math.max(w, textWidth(word)), 0);
}
