/** Small turns of phrase. */

export function quoted(text: string, lines: number): string {
  const all = text.trim().split("\n");
  const more = all.length > lines ? [`> … ${all.length - lines} more lines`] : [];
  return [...all.slice(0, lines).map((line) => `> ${line}`), ...more].join("\n");
}

export function shorten(text: string): string {
  return text.length <= 90 ? text : `${text.slice(0, 90)}…`;
}

export function tally(nodes: readonly string[]): string {
  return [...new Set(nodes)]
    .map((node) => `${nodes.filter((other) => other === node).length} × ${node}`)
    .join(", ");
}

export function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}
