/** Pages of HTML that stand alone: text made safe, tables, light and dark, readable without scripts. */

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c] ?? c);
}

export function htmlTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: string, row: readonly string[]): string =>
    row
      .map((c, i) => `<${tag}${i > 0 && /^[-\d~<]/.test(c) ? ' class="n"' : ""}>${escapeHtml(c)}</${tag}>`)
      .join("");
  return `<div class="scroll"><table><thead><tr>${cells("th", head)}</tr></thead><tbody>${rows.map((r) => `<tr>${cells("td", r)}</tr>`).join("")}</tbody></table></div>`;
}

const STYLE = `:root{color-scheme:light dark;--fg:#1b1f24;--bg:#fff;--dim:#6b7280;--line:#d7dce2;--a:#2f6fed;--b:#e08a1e;--c:#7a8594}
@media (prefers-color-scheme:dark){:root{--fg:#e6e8eb;--bg:#14171b;--dim:#9aa3ad;--line:#343a42;--a:#6ea0ff;--b:#f0a94a;--c:#8b95a3}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:62rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:.25rem .75rem .25rem 0;text-align:left;border-bottom:1px solid var(--line)}
.n{text-align:right}.scroll{overflow-x:auto}figure{margin:1.5rem 0}svg{width:100%;height:auto;font:12px system-ui,sans-serif}svg text{fill:var(--fg)}
svg .axis{fill:var(--dim)}.grid{stroke:var(--line)}.tone0{fill:var(--a)}.tone1{fill:var(--b)}.tone2{fill:var(--c)}figcaption,p.note{color:var(--dim)}`;

/** A whole page. `body` is HTML. */
export function htmlPage(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body>
${body}
</body></html>`;
}
