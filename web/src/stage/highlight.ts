/**
 * Colours for source that is only read: comments, strings, numbers, keywords of TypeScript and C, by line.
 */

export interface Piece {
  readonly kind: "" | "comment" | "string" | "number" | "keyword";
  readonly text: string;
}

const TOKEN =
  /(?<comment>\/\/.*$|\/\*.*?(?:\*\/|$)|^\s*\*(?:\s.*|\/.*)?$)|(?<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)|(?<number>\b(?:0x[\da-f]+|\d+)\b)|(?<keyword>\b(?:export|import|from|function|const|let|if|else|for|while|do|return|break|continue|switch|case|default|new|class|interface|type|readonly|void|number|boolean|string|true|false|null|int|unsigned|long|struct|static|inline|goto|enum|sizeof|bool|char)\b)/gi;

export function highlightLine(line: string): Piece[] {
  const out: Piece[] = [];
  let at = 0;
  for (const m of line.matchAll(TOKEN)) {
    if (m.index > at) out.push({ kind: "", text: line.slice(at, m.index) });
    const kind = Object.entries(m.groups ?? {}).find(([, v]) => v !== undefined)?.[0] ?? "";
    out.push({ kind: kind as Piece["kind"], text: m[0] });
    at = m.index + m[0].length;
  }
  if (at < line.length) out.push({ kind: "", text: line.slice(at) });
  return out;
}
