/** Holds a model to its word: a quote counts only if it stands in the file. */

/** Shorter than this proves nothing, longer is not a quote but a copy. */
const SHORTEST = 15;
const LONGEST = 700;

/**
 * Where the quote stands, as it stands there: a model may break lines elsewhere, so only white space
 * may differ, and the file's own text is what counts. Undefined when it is not in the text.
 */
export function findQuote(
  text: string,
  quote: string,
  fromLine = 1,
): { quote: string; line: number } | undefined {
  const words = quote.trim().split(/\s+/);
  const length = words.join(" ").length;
  if (length < SHORTEST || length > LONGEST) return undefined;
  const pattern = new RegExp(words.map(escaped).join("\\s+"), "g");
  const start = text
    .split("\n")
    .slice(0, fromLine - 1)
    .join("\n").length;
  // From the passage that was read, and only then from the beginning: phrases may occur twice.
  const places = Array.from(text.matchAll(pattern), (match) => ({
    index: match.index,
    found: match[0],
  }));
  const place = places.find(({ index }) => index >= start) ?? places[0];
  if (!place) return undefined;
  const line = text.slice(0, place.index).split("\n").length;
  return { quote: place.found, line };
}

function escaped(word: string): string {
  return word.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
