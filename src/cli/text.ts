/** Text for a terminal: made harmless, measured, cut to fit and coloured. */

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const WIDE =
  /\p{Emoji_Presentation}|\p{Script=Han}|\p{Script=Hangul}|\p{Script=Hiragana}|\p{Script=Katakana}|[\uff01-\uff60]/u;
// oxlint-disable-next-line no-control-regex -- finding them is the point
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/**
 * Shows control characters instead of sending them: ids and state come from anywhere, and must not
 * be able to move the cursor, rename the window or pretend to be another line.
 */
export function harmless(text: string): string {
  return text.replaceAll(CONTROL, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\t") return "\\t";
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Like {@link harmless}, for text of several lines. */
export function harmlessLines(text: string): string {
  return text.split(/\r?\n/).map(harmless).join("\n");
}

/** Columns that the text takes. */
export function widthOf(text: string): number {
  // oxlint-disable-next-line no-control-regex
  if (/^[\u0000-\u007f]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

/** The beginning that fits, with an ellipsis where something was cut. */
export function fit(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let used = 0;
  let kept = "";
  for (const { segment } of graphemes.segment(text)) {
    used += WIDE.test(segment) ? 2 : 1;
    if (used > width - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

export type Paint = (text: string) => string;

export interface Palette {
  bold: Paint;
  dim: Paint;
  green: Paint;
  yellow: Paint;
  red: Paint;
}

const painter =
  (open: number, close: number): Paint =>
  (text) =>
    text === "" ? "" : `\u001b[${open}m${text}\u001b[${close}m`;

/** Colours, or the same functions doing nothing. */
export function palette(colored: boolean): Palette {
  const plain: Paint = (text) => text;
  if (!colored) return { bold: plain, dim: plain, green: plain, yellow: plain, red: plain };
  return {
    bold: painter(1, 22),
    dim: painter(2, 22),
    green: painter(32, 39),
    yellow: painter(33, 39),
    red: painter(31, 39),
  };
}
